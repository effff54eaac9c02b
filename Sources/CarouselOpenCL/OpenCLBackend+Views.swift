import CarouselModel
import OpenCLDriver

// The twin of views.cl and view_places.cl.
extension OpenCLBackend {
  /// ITEM of `view_places.cl` and `windows.cl`.
  var elementsPerItem: Int { launcher.parameters.lanes == 1 ? 4096 : 1 }

  private func viewKernel(_ name: String) throws -> Kernel {
    try launcher.kernel(name, in: ["ops/views.cl"], options: ["-DITEM=\(elementsPerItem)"])
  }

  /// Queues one launch.
  public func copyView(
    _ x: Buffer, _ from: StridedView, to y: Buffer, _ into: StridedView, accumulates: Bool
  ) throws {
    try checkCopy(x, from, y, into)
    let count = from.count
    guard count > 0 else { return }
    let layout = ViewLayout([into, from])
    if !accumulates, launcher.parameters.lanes == 1, let plane = layout.transposedPlane {
      let rowVectors = ceilDivide(plane.rows, launcher.parameters.width)
      return try launcher.launch(
        viewKernel("copy_transposed"),
        global: [rowVectors, count / (plane.rows * plane.columns)], bytes: 8 * Double(count),
        ["x": .buffer(x), "y": .buffer(y), "layout": .buffer(launcher.layout(layout.numbers))])
    }
    try launcher.launch(
      viewKernel("copy_view"), items: ceilDivide(count, elementsPerItem),
      flops: accumulates ? Double(count) : 0, bytes: 8 * Double(count),
      [
        "x": .buffer(x), "y": .buffer(y),
        "layout": .buffer(launcher.layout(layout.numbers)),
        "count": .int(count), "accumulate": .int(accumulates),
      ])
  }
}

/// Extents that several operands share, with the strides of each, as few axes as they can be counted by.
struct ViewLayout {
  private(set) var extents: [Int]
  private(set) var strides: [[Int]]
  private let offsets: [Int]

  /// Drops axes of one element, and joins neighbours that all operands count through without a gap.
  init(_ views: [StridedView]) {
    offsets = views.map(\.offset)
    extents = []
    strides = views.map { _ in [] }
    for (axis, extent) in (views.first?.extents ?? []).enumerated() where extent != 1 {
      let steps = views.map { $0.strides[axis] }
      if let last = extents.last,
        strides.indices.allSatisfy({ strides[$0].last == steps[$0] * extent })
      {
        extents[extents.count - 1] = last * extent
        for index in strides.indices { strides[index][extents.count - 1] = steps[index] }
      } else {
        extents.append(extent)
        for index in strides.indices { strides[index].append(steps[index]) }
      }
    }
    if extents.isEmpty {
      extents = [1]
      strides = views.map { _ in [0] }
    }
  }

  /// The numbers that `view_places.cl` reads.
  var numbers: [Int32] {
    let operands = zip(offsets, strides).flatMap { [$0] + $1 }
    return ([extents.count] + extents + operands).map(Int32.init)
  }

  /// The extents of the last two axes, where the first operand lies along the last and the second along the one before:
  /// as many rows as a vector has lanes are then copied at once.
  var transposedPlane: (rows: Int, columns: Int)? {
    let last = extents.count - 1
    guard last > 0, strides[0][last] == 1, strides[1][last] != 1, strides[1][last - 1] == 1,
      extents[last - 1] >= 16, extents[last] >= 4
    else { return nil }
    return (extents[last - 1], extents[last])
  }

  /// The extents of the last two axes, where elements are better read by planes than along the last axis alone: an
  /// input lies along the axis before it, or it is shorter than a vector.
  func plane(width: Int) -> (rows: Int, columns: Int)? {
    let last = extents.count - 1
    guard last > 0, extents[last - 1] >= 8 else { return nil }
    let isTransposed = strides.dropFirst().contains { $0[last - 1] == 1 && $0[last] > 1 }
    guard isTransposed || extents[last] < width else { return nil }
    return (extents[last - 1], extents[last])
  }

  /// The rank, the extents and the strides of the first operand, as `reduce_axes.cl` reads them.
  var axes: [Int32] { ([extents.count] + extents + strides[0]).map(Int32.init) }
}

extension Launcher {
  /// A list of numbers in device memory, written once.
  func layout(_ numbers: [Int32]) throws -> Buffer {
    if let buffer = layouts[numbers] { return buffer }
    // Shapes that change all the time leave layouts behind.
    if layouts.count >= 4096 { layouts = [:] }
    let buffer = try scratch(count: numbers.count)
    try queue.write(numbers, to: buffer)
    layouts[numbers] = buffer
    return buffer
  }
}
