import CarouselModel
import OpenCLDriver

// The twins of cross_entropy.cl and regression_loss.cl.
extension OpenCLBackend {
  /// One launch with a work-group for each row, then the sum of the rows' losses.
  public func crossEntropy(
    logits: Buffer, targets: IndexBuffer, classWeights: Buffer?, smoothing: Double,
    gradLogits: Buffer?, loss: Buffer, rows: Int, classes: Int, scale: Double
  ) throws {
    try checkCrossEntropy(
      logits: logits, targets: targets, classWeights: classWeights, smoothing: smoothing,
      gradLogits: gradLogits, loss: loss, rows: rows, classes: classes)
    let lanes = launcher.parameters.lanes
    let losses = try launcher.scratch(count: rows)
    let passes: Double = gradLogits == nil ? 1 : 2
    try launcher.launch(
      launcher.kernel(
        "cross_entropy", in: ["ops/cross_entropy.cl"]),
      global: [lanes, rows], local: [lanes, 1], flops: 24 * passes * Double(rows * classes),
      bytes: 4 * passes * Double(rows * classes),
      [
        "logits": .buffer(logits), "targets": .buffer(targets.memory),
        "weights": .optional(classWeights), "grad_logits": .optional(gradLogits),
        "losses": .buffer(losses), "V": .int(classes), "hit": .float(Float(1 - smoothing)),
        "share": .float(Float(smoothing / Double(classes))), "scale": .float(Float(scale)),
      ])
    try sum(losses, count: rows, squares: false, scale: scale, root: false, into: loss)
  }

  /// One launch with a work-item for each row, then the sum of the rows' losses.
  public func regressionLoss(
    _ kind: RegressionLoss, predictions: Buffer, targets: Buffer, counted: IndexBuffer?,
    gradPredictions: Buffer?, loss: Buffer, rows: Int, width: Int, scale: Double
  ) throws {
    try checkRegression(
      kind, predictions: predictions, targets: targets, counted: counted,
      gradPredictions: gradPredictions, loss: loss, rows: rows, width: width)
    let losses = try launcher.scratch(count: rows)
    let predicted = kind.predictionsPerTarget
    let elements = Double(rows * width * predicted)
    var delta = 0.0
    var levels: Buffer?
    if case .huber(let given) = kind { delta = given }
    if case .quantile(let given) = kind {
      levels = try launcher.scratch(count: given.count)
      try levels.map { try write(given, to: $0) }
    }
    try launcher.launch(
      launcher.kernel("regression_loss", in: ["ops/regression_loss.cl"]), global: [rows],
      flops: 8 * elements, bytes: (gradPredictions == nil ? 8 : 12) * elements,
      [
        "predictions": .buffer(predictions), "targets": .buffer(targets),
        "counted": .optional(counted?.memory), "grad_predictions": .optional(gradPredictions),
        "levels": .optional(levels), "losses": .buffer(losses),
        "kind": .int(kind.kernelNumber), "O": .int(width), "P": .int(predicted),
        "delta": .float(Float(delta)), "scale": .float(Float(scale)),
      ])
    try sum(losses, count: rows, squares: false, scale: scale, root: false, into: loss)
  }
}

extension RegressionLoss {
  /// The loss's number in `regression_loss.cl`.
  fileprivate var kernelNumber: Int {
    switch self {
    case .squared: 0
    case .absolute: 1
    case .huber: 2
    case .quantile: 3
    case .gaussian: 4
    }
  }
}
