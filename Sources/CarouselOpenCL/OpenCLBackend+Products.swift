import CarouselModel
import OpenCLDriver

// The twin of batch_product.cl, and where a product is one that every layer has.
extension OpenCLBackend {
  /// ROWS and TILE of `batch_product.cl`.
  private static let productRows = 4, productTile = 16

  /// One product of large matrices is computed like a linear layer's; any other by one launch.
  public func product(
    _ product: GraphProduct, _ a: Buffer, _ b: Buffer, into y: Buffer
  ) throws {
    try checkProduct(product, a, b, y)
    guard product.count > 0 else { return }
    guard product.depth[0] * product.depth[1] > 0 else {
      return try fill(y, count: product.count, with: 0)
    }
    if try multiplyLarge(product, a, b, into: y) { return }
    let numbers =
      product.batch + [product.rows, product.columns] + product.depth + product.a.batch
      + [product.a.outer] + product.a.depth + product.b.batch + [product.b.outer] + product.b.depth
      + product.yBatch + [product.yRow, product.yColumn]
    let isCPU = launcher.parameters.lanes == 1
    let batch = product.batch[0] * product.batch[1]
    let (width, tile) = (launcher.parameters.width, Self.productTile)
    let global =
      isCPU
      ? [
        ceilDivide(product.columns, width), ceilDivide(product.rows, Self.productRows), batch,
      ] : [roundUp(product.columns, to: tile), roundUp(product.rows, to: tile), batch]
    try launcher.launch(
      launcher.kernel("batch_product", in: ["ops/batch_product.cl"]), global: global,
      local: isCPU ? [1, 1, 1] : [tile, tile, 1], flops: product.flops,
      bytes: 4 * Double(product.count) + 8 * Double(batch * product.depth[0] * product.depth[1])
        * Double(max(product.rows, product.columns)),
      [
        "a": .buffer(a), "b": .buffer(b), "y": .buffer(y),
        "layout": .buffer(launcher.layout(numbers.map(Int32.init))),
      ])
  }

  /// Whether it is one product of contiguous matrices, large enough to be worth their packing.
  private func multiplyLarge(
    _ product: GraphProduct, _ a: Buffer, _ b: Buffer, into y: Buffer
  ) throws -> Bool {
    let (rows, columns, depth) = (product.rows, product.columns, product.depth[1])
    guard product.batch == [1, 1], product.depth[0] == 1, product.yRow == columns,
      product.yColumn == 1, rows >= 8, Double(rows * columns) * Double(depth) >= 0x1p17
    else { return false }
    let aStrides = [product.a.outer, product.a.depth[1]]
    let bStrides = [product.b.outer, product.b.depth[1]]
    if aStrides == [depth, 1], bStrides == [depth, 1] {
      try products.forward(
        x: a, weight: b, bias: nil, bias2: nil, y: y, yStride: nil, rows: rows, columns: columns,
        depth: depth)
    } else if aStrides == [depth, 1], bStrides == [1, columns] {
      try products.backward(
        gradY: a, gradYStride: nil, weight: b, gradX: y, rows: rows, columns: columns, depth: depth)
    } else if aStrides == [1, rows], bStrides == [1, columns] {
      try products.gradients(
        GradientColumns(buffer: a, stride: rows, width: rows, depth: depth),
        [WeightGradient(source: .matrix(b), columns: columns, weight: y)])
    } else {
      return false
    }
    return true
  }
}
