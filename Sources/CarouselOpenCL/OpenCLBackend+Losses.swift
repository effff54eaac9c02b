import CarouselModel
import OpenCLDriver

// The twins of softmax.cl, squared_error.cl, cross_entropy.cl, regression_loss.cl and ctc.cl.
extension OpenCLBackend {
  /// One launch with a work-group for each row, then the sum of the rows' losses.
  public func softmaxCrossEntropy(
    logits: Buffer, targets: IndexBuffer, gradLogits: Buffer?, loss: Buffer, rows: Int,
    classes: Int, scale: Double
  ) throws {
    try checkSoftmaxCrossEntropy(
      logits: logits, targets: targets, gradLogits: gradLogits, loss: loss, rows: rows,
      classes: classes)
    let lanes = launcher.parameters.lanes
    let losses = try launcher.scratch(count: rows)
    let passes: Double = gradLogits == nil ? 1 : 2
    let files = ["ops/softmax.cl"]
    try launcher.launch(
      launcher.kernel("softmax_cross_entropy", in: files), global: [lanes, rows],
      local: [lanes, 1], flops: 20 * passes * Double(rows * classes),
      bytes: 4 * passes * Double(rows * classes),
      [
        "logits": .buffer(logits), "targets": .buffer(targets.memory),
        "grad_logits": .optional(gradLogits), "losses": .buffer(losses), "V": .int(classes),
        "scale": .float(Float(scale)),
      ])
    try sum(losses, count: rows, squares: false, scale: scale, root: false, into: loss)
  }

  /// One launch with a work-item for each row, then the sum of the rows' errors.
  public func squaredError(
    predictions: Buffer, targets: Buffer, counted: IndexBuffer, gradPredictions: Buffer?,
    loss: Buffer, rows: Int, width: Int, scale: Double
  ) throws {
    try checkSquaredError(
      predictions: predictions, targets: targets, counted: counted,
      gradPredictions: gradPredictions, loss: loss, rows: rows, width: width)
    let losses = try launcher.scratch(count: rows)
    let elements = Double(rows * width)
    try launcher.launch(
      launcher.kernel("squared_error", in: ["ops/squared_error.cl"]), global: [rows],
      flops: 4 * elements, bytes: (gradPredictions == nil ? 8 : 12) * elements,
      [
        "predictions": .buffer(predictions), "targets": .buffer(targets),
        "counted": .buffer(counted.memory), "grad_predictions": .optional(gradPredictions),
        "losses": .buffer(losses), "O": .int(width), "scale": .float(Float(scale)),
      ])
    try sum(losses, count: rows, squares: false, scale: scale, root: false, into: loss)
  }

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
    if case .boundedGaussian(let given) = kind { delta = given }
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

  /// Four launches and the sum of the sequences' losses; memory for T·N·(V + 4·S + 2) numbers.
  ///
  /// A work-group computes α of one sequence, another its β: time ∝ T·S/lanes.
  public func connectionistTemporalClassification(
    _ work: CTCWork<IndexBuffer>, logits: Buffer, weights: Buffer, gradLogits: Buffer?, loss: Buffer
  ) throws {
    try checkCTC(work, logits: logits, weights: weights, gradLogits: gradLogits, loss: loss)
    let (T, N, V) = (work.sequenceLength, work.batchSize, work.classes)
    let (rows, states) = (T * N, T * N * (2 * work.maximumLabels + 1))
    let lanes = launcher.parameters.lanes
    let logProbabilities = try launcher.scratch(count: rows * V)
    let stateValues = try launcher.scratch(count: 2 * states)
    let losses = try launcher.scratch(count: N)
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: ["ops/ctc.cl"])
    }
    try launcher.launch(
      kernel("ctc_log_softmax"), global: [lanes, rows], local: [lanes, 1],
      flops: 20 * Double(rows * V), bytes: 8 * Double(rows * V),
      ["logits": .buffer(logits), "log_p": .buffer(logProbabilities), "V": .int(V)])
    try launcher.launch(
      kernel("ctc_states"), global: [lanes, N, gradLogits == nil ? 1 : 2], local: [lanes, 1, 1],
      flops: 80 * Double(states), bytes: 8 * Double(states),
      [
        "log_p": .buffer(logProbabilities), "labels": .buffer(work.labels.memory),
        "lengths": .buffer(work.lengths.memory),
        "label_lengths": .buffer(work.labelLengths.memory), "states": .buffer(stateValues),
        "losses": .buffer(losses), "T": .int(T), "N": .int(N), "V": .int(V),
        "S": .int(work.maximumLabels), "blank": .int(work.blank),
      ])
    if let gradLogits {
      try launcher.launch(
        kernel("ctc_gradient"), global: [rows], flops: 20 * Double(rows * V + 2 * states),
        bytes: 8 * Double(rows * V + states),
        [
          "log_p": .buffer(logProbabilities), "states": .buffer(stateValues),
          "losses": .buffer(losses), "weights": .buffer(weights),
          "labels": .buffer(work.labels.memory), "lengths": .buffer(work.lengths.memory),
          "label_lengths": .buffer(work.labelLengths.memory), "grad_logits": .buffer(gradLogits),
          "T": .int(T), "N": .int(N), "V": .int(V), "S": .int(work.maximumLabels),
          "blank": .int(work.blank), "drops": .int(work.dropsImpossible),
        ])
    }
    try launcher.launch(
      kernel("ctc_weigh"), global: [N], bytes: 12 * Double(N),
      [
        "losses": .buffer(losses), "weights": .buffer(weights),
        "drops": .int(work.dropsImpossible),
      ])
    try sum(losses, count: N, squares: false, scale: 1, root: false, into: loss)
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
    case .boundedGaussian: 5
    }
  }
}
