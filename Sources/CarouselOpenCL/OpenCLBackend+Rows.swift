import CarouselModel
import OpenCLDriver

// The twin of normalized_rows.cl: one launch each, with a work-group for each row.
extension OpenCLBackend {
  private func launchRows(
    _ name: String, rows: Int, width: Int, passes: Double, _ arguments: KernelArguments
  ) throws {
    guard rows > 0, width > 0 else { return }
    let lanes = launcher.parameters.lanes
    try launcher.launch(
      launcher.kernel(
        name, in: ["ops/normalized_rows.cl"]),
      global: [lanes, rows], local: [lanes, 1], flops: 8 * passes * Double(rows * width),
      bytes: 4 * passes * Double(rows * width), arguments)
  }

  /// Softmax of each row, or its logarithm.
  public func softmax(
    _ x: Buffer, into y: Buffer, rows: Int, width: Int, isLogarithm: Bool
  ) throws {
    try check(x, "x", rows, width)
    try check(y, "y", rows, width)
    try launchRows(
      "softmax_rows", rows: rows, width: width, passes: 4,
      ["x": .buffer(x), "y": .buffer(y), "V": .int(width), "logarithm": .int(isLogarithm)])
  }

  /// The gradient of `softmax`.
  public func softmaxBackward(
    y: Buffer, gradY: Buffer, into gradX: Buffer, rows: Int, width: Int, isLogarithm: Bool
  ) throws {
    for buffer in [y, gradY, gradX] { try check(buffer, "softmax", rows, width) }
    try launchRows(
      "softmax_rows_backward", rows: rows, width: width, passes: 5,
      [
        "y": .buffer(y), "grad_y": .buffer(gradY), "grad_x": .buffer(gradX), "V": .int(width),
        "logarithm": .int(isLogarithm),
      ])
  }

  /// `(x − mean)/√(variance + ε)` of each row, over the columns that count.
  public func normalize(
    _ x: Buffer, weights: Buffer?, into y: Buffer, statistics: Buffer, rows: Int, width: Int,
    epsilon: Double
  ) throws {
    try check(x, "x", rows, width)
    try check(y, "y", rows, width)
    try check(weights, "weights", width)
    try check(statistics, "statistics", 2, rows)
    try launchRows(
      "normalize_rows", rows: rows, width: width, passes: 4,
      [
        "x": .buffer(x), "weights": .optional(weights), "y": .buffer(y),
        "statistics": .buffer(statistics), "V": .int(width), "epsilon": .float(Float(epsilon)),
      ])
  }

  /// The gradient of `normalize`.
  public func normalizeBackward(
    y: Buffer, statistics: Buffer, weights: Buffer?, gradY: Buffer, into gradX: Buffer, rows: Int,
    width: Int
  ) throws {
    for buffer in [y, gradY, gradX] { try check(buffer, "normalize", rows, width) }
    try check(weights, "weights", width)
    try check(statistics, "statistics", 2, rows)
    try launchRows(
      "normalize_rows_backward", rows: rows, width: width, passes: 5,
      [
        "y": .buffer(y), "statistics": .buffer(statistics), "weights": .optional(weights),
        "grad_y": .buffer(gradY), "grad_x": .buffer(gradX), "V": .int(width),
      ])
  }
}
