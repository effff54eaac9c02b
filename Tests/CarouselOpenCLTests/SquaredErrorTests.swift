import CarouselModel
import CarouselOpenCL
import Testing

/// The squared error with rows that do not count.
struct SquaredErrorWork: Work {
  var rows: Int, width: Int
  /// Every which row does not count, and holds NaN.
  var ignoring = Int.max
  var wantsGradient = true
  /// Whether the gradient overwrites the predictions.
  var isInPlace = false

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let count = rows * width
    let predictions = try backend.input(numbers(count, stream: 60))
    var targets = numbers(count, stream: 61)
    let counted = (0..<rows).map { Int32($0 % ignoring == ignoring - 1 ? 0 : 1) }
    for row in 0..<rows where counted[row] == 0 {
      for o in 0..<width { targets[row * width + o] = .nan }
    }
    let gradient = isInPlace ? predictions : wantsGradient ? try backend.output(count) : nil
    let loss = try backend.output(1)
    try backend.squaredError(
      predictions: predictions, targets: backend.input(targets),
      counted: backend.indices(counted), gradPredictions: gradient, loss: loss, rows: rows,
      width: width, scale: 0.125)
    var result = [try backend.outcome("loss", loss, 1)]
    if let gradient { result.append(try backend.outcome("grad_predictions", gradient, count)) }
    return result
  }
}

@MainActor @Suite(.device)
struct SquaredErrorTests {
  @Test(arguments: [(1, 1), (3, 1), (2, 17), (65, 3), (5000, 1), (300, 5)])
  func everyShapeAgrees(rows: Int, width: Int) throws {
    for ignoring in [Int.max, 2] {
      var work = SquaredErrorWork(rows: rows, width: width, ignoring: ignoring)
      try expectAgreement(work)
      work.isInPlace = true
      try expectAgreement(work)
      work.isInPlace = false
      work.wantsGradient = false
      try expectAgreement(work)
    }
  }
}
