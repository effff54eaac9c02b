import CarouselModel
import OpenCLDriver

// The twin of merge.cl.
extension OpenCLBackend {
  private func vectors(_ count: Int) -> Int { ceilDivide(count, launcher.parameters.width) }

  /// Queues one launch.
  public func add(_ y: Buffer, to x: Buffer, count: Int) throws {
    try check(x, "x", count)
    try check(y, "y", count)
    try launcher.launch(
      launcher.kernel("add", in: Launcher.mergeFiles), items: vectors(count),
      flops: Double(count),
      bytes: 12 * Double(count), ["x": .buffer(x), "y": .buffer(y), "count": .int(count)])
  }

  /// Queues one launch.
  public func mergeForward(
    _ merge: Merge, _ a: Buffer, _ b: Buffer, into y: Buffer, rows: Int, width: Int
  ) throws {
    try checkMerge(merge, a, b, y, rows: rows, width: width)
    try launcher.merge(merge, a, b, into: y, rows: rows, width: width)
  }

  /// Queues one launch.
  public func mergeBackward(
    _ merge: Merge, gradY: Buffer, _ a: Buffer, _ b: Buffer, gradA: Buffer, gradB: Buffer,
    rows: Int, width: Int
  ) throws {
    try checkMerge(merge, gradY, a, b, gradA, gradB, rows: rows, width: width)
    try launcher.launch(
      launcher.kernel("merge_backward", in: Launcher.mergeFiles), global: [vectors(width), rows],
      bytes: 16 * Double(rows * width),
      [
        "grad_y": .buffer(gradY), "a": .buffer(a), "b": .buffer(b), "grad_a": .buffer(gradA),
        "grad_b": .buffer(gradB), "width": .int(width), "mode": .int(merge.kernelNumber),
      ])
  }
}

extension Launcher {
  static let mergeFiles = ["ops/merge.cl"]

  func merge(
    _ merge: Merge, _ a: Buffer, _ b: Buffer, into y: Buffer, rows: Int, width: Int
  ) throws {
    try launch(
      kernel("merge_forward", in: Self.mergeFiles),
      global: [ceilDivide(width, parameters.width), rows], bytes: 16 * Double(rows * width),
      [
        "a": .buffer(a), "b": .buffer(b), "y": .buffer(y), "width": .int(width),
        "mode": .int(merge.kernelNumber),
      ])
  }

  /// `y[i] = a[i] b[i]`.
  func multiply(_ a: Buffer, _ b: Buffer, into y: Buffer, count: Int) throws {
    try merge(.multiply, a, b, into: y, rows: 1, width: count)
  }
}

extension Merge {
  /// The number of the merge in `ops/merge.cl`.
  fileprivate var kernelNumber: Int {
    switch self {
    case .concatenate: preconditionFailure("the directions do it themselves")
    case .sum: 0
    case .average: 1
    case .multiply: 2
    }
  }
}
