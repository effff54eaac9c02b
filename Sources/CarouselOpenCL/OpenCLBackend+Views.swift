import CarouselModel
import OpenCLDriver

// The twin of views.cl.
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
