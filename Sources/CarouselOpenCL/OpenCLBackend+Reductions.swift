import CarouselModel
import OpenCLDriver

// The twin of reduce_axes.cl.
extension OpenCLBackend {
  /// One launch, or two where few results are each made of many elements: ranges, then the ranges'.
  public func reduce(
    _ reduction: Reduction, _ x: Buffer, kept: StridedView, reduced: StridedView, into y: Buffer,
    scale: Double
  ) throws {
    try checkReduce(x, kept: kept, reduced: reduced, y)
    let (results, elements) = (kept.count, reduced.count)
    guard results > 0 else { return }
    guard elements > 0 else { return try fill(y, count: results, with: scale * reduction.identity) }
    // The number of ranges depends on the sizes alone.
    let ranges = max(1, min(ceilDivide(512, results), elements / 2048))
    let perRange = ceilDivide(elements, ranges)
    let used = ceilDivide(elements, perRange)
    guard used > 1 else {
      return try launch(
        reduction, x, kept: kept, reduced: reduced, into: y, ranges: 1, perRange: elements,
        scale: scale)
    }
    let parts = try launcher.scratch(count: used * results)
    try launch(
      reduction, x, kept: kept, reduced: reduced, into: parts, ranges: used, perRange: perRange,
      scale: 1)
    try launch(
      reduction.ofResults, parts, kept: StridedView([results]),
      reduced: StridedView(extents: [used], strides: [results]), into: y, ranges: 1, perRange: used,
      scale: scale)
  }

  private func launch(
    _ reduction: Reduction, _ x: Buffer, kept: StridedView, reduced: StridedView, into y: Buffer,
    ranges: Int, perRange: Int, scale: Double
  ) throws {
    let (results, elements) = (kept.count, reduced.count)
    // The axes that are reduced in the order in which they lie in memory.
    let order = reduced.extents.indices.sorted {
      (reduced.strides[$0].magnitude, $1) > (reduced.strides[$1].magnitude, $0)
    }
    let inMemory = StridedView(
      offset: reduced.offset, extents: order.map { reduced.extents[$0] },
      strides: order.map { reduced.strides[$0] })
    let (outer, inner) = (ViewLayout([kept]), ViewLayout([inMemory]))
    let layout = try launcher.layout(
      outer.axes + inner.axes + [Int32(kept.offset + reduced.offset)])
    let lanes = launcher.parameters.lanes
    let alongKept = outer.strides[0].last == 1
    let alongReduced = inner.strides[0].last == 1
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(
        name, in: ["ops/reduce_axes.cl"],
        options: ["-DREDUCTION=\(reduction.kernelName)"])
    }
    let work: KernelArguments = [
      "x": .buffer(x), "y": .buffer(y), "layout": .buffer(layout), "kept": .int(results),
      "reduced": .int(elements), "range_count": .int(perRange),
    ]
    let (flops, bytes) = (Double(results) * Double(elements), 4 * Double(results * (elements + 1)))
    if alongReduced, !alongKept || (inner.extents.last ?? 1) >= launcher.parameters.width {
      return try launcher.launch(
        kernel("reduce_rows"), global: [lanes, results, ranges], local: [lanes, 1, 1], flops: flops,
        bytes: bytes, work + ["scale": .float(Float(scale))])
    }
    let extent = outer.extents.last ?? 1
    let items =
      alongKept ? results / extent * ceilDivide(extent, launcher.parameters.width) : results
    try launcher.launch(
      kernel("reduce_columns"), global: [items, ranges], flops: flops, bytes: bytes,
      work + ["along_kept": .int(alongKept), "scale": .float(Float(scale))])
  }
}

extension Reduction {
  /// What joins the results of ranges.
  fileprivate var ofResults: Reduction {
    switch self {
    case .squareSum, .absoluteSum: .sum
    default: self
    }
  }

  /// REDUCTION of `reduce_axes.cl`.
  fileprivate var kernelName: String {
    switch self {
    case .squareSum: "square_sum"
    case .absoluteSum: "absolute_sum"
    default: rawValue
    }
  }
}
