extension Backend {
  /// Throws where an element of a view is not in its buffer, or where there are more than a kernel counts.
  package func check(
    _ buffer: Buffer, _ view: StridedView, _ name: StaticString
  ) throws(CarouselError) {
    guard view.extents.count == view.strides.count, view.extents.allSatisfy({ $0 >= 0 }),
      let count = Shape.count(of: view.extents), count <= Int(Int32.max)
    else {
      throw CarouselError(.usage, "\(name): the view \(view.extents) cannot be counted")
    }
    guard let bounds = view.bounds else { return }
    guard bounds.lowerBound >= 0, bounds.upperBound < buffer.count else {
      throw CarouselError(
        .usage,
        "\(name): a view reaches from \(bounds.lowerBound) to \(bounds.upperBound) in a buffer of "
          + "\(buffer.count) elements")
    }
  }

  package func checkCopy(
    _ x: Buffer, _ from: StridedView, _ y: Buffer, _ into: StridedView
  ) throws(CarouselError) {
    guard from.extents == into.extents else {
      throw CarouselError(
        .usage, "a view of \(from.extents) cannot be copied to one of \(into.extents)")
    }
    try check(x, from, "x")
    try check(y, into, "y")
  }

  package func checkElementwise(
    _ function: ElementwiseFunction, _ inputs: [(buffer: Buffer, view: StridedView)], _ y: Buffer,
    extents: [Int]
  ) throws(CarouselError) {
    guard inputs.count == function.inputCount, inputs.allSatisfy({ $0.view.extents == extents })
    else {
      throw CarouselError(
        .usage, "the function reads \(function.inputCount) views of \(extents), but is given others"
      )
    }
    for input in inputs { try check(input.buffer, input.view, "input") }
    try check(y, StridedView(extents: extents, strides: StridedView.strides(of: extents)), "y")
  }

  package func checkReduce(
    _ x: Buffer, kept: StridedView, reduced: StridedView, _ y: Buffer
  ) throws(CarouselError) {
    try check(
      x,
      StridedView(
        offset: kept.offset + reduced.offset, extents: kept.extents + reduced.extents,
        strides: kept.strides + reduced.strides), "x")
    try check(y, "y", kept.count)
  }

  package func checkProduct(
    _ product: GraphProduct, _ a: Buffer, _ b: Buffer, _ y: Buffer
  ) throws(CarouselError) {
    let extents = product.batch + [product.rows, product.columns]
    try check(
      y, StridedView(extents: extents, strides: product.yBatch + [product.yRow, product.yColumn]),
      "y")
    try check(
      a,
      StridedView(
        extents: product.batch + [product.rows] + product.depth,
        strides: product.a.batch + [product.a.outer] + product.a.depth), "a")
    try check(
      b,
      StridedView(
        extents: product.batch + [product.columns] + product.depth,
        strides: product.b.batch + [product.b.outer] + product.b.depth), "b")
  }

  package func checkConvolution(
    _ convolution: DirectConvolution, x: Buffer, weight: Buffer, bias: Buffer?, added: Buffer?,
    y: Buffer
  ) throws(CarouselError) {
    let window = convolution.window
    guard
      [window.input, window.kernel, window.strides, window.dilations, window.before, window.output]
        .allSatisfy({ $0.count == 2 }), (window.strides + window.dilations).allSatisfy({ $0 > 0 }),
      convolution.inputCount <= Int(Int32.max), convolution.outputCount <= Int(Int32.max)
    else { throw CarouselError(.usage, "the convolution \(convolution) makes no sense") }
    try check(x, "x", convolution.inputCount)
    try check(weight, "weight", convolution.weightCount)
    if let bias { try check(bias, "bias", convolution.groups * convolution.outputs) }
    if let added { try check(added, "added", convolution.outputCount) }
    try check(y, "y", convolution.outputCount)
  }

  package func checkWindow(
    _ window: Window, plane: Buffer, columns: Buffer
  ) throws(CarouselError) {
    guard
      [window.input, window.kernel, window.strides, window.dilations, window.before, window.output]
        .allSatisfy({ $0.count == 2 }), (window.strides + window.dilations).allSatisfy({ $0 > 0 }),
      window.columnCount <= Int(Int32.max)
    else { throw CarouselError(.usage, "the window \(window) makes no sense") }
    try check(plane, "x", window.inputCount)
    try check(columns, "columns", window.columnCount)
  }

  package func checkGather(
    x: Buffer, indices: IndexBuffer, y: Buffer, outer: Int, extent: Int, inner: Int, count: Int
  ) throws(CarouselError) {
    try check(x, "x", outer * extent, inner)
    try check(y, "y", outer * count, inner)
    try check(indices, "index", count: count, in: 0..<extent, ignoresNegative: true)
  }
}
