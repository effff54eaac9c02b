import CarouselModel
import CarouselOpenCL
import Testing

/// How far predictions are from targets, some rows left out.
struct RegressionWork: Work {
  var kind: RegressionLoss
  var rows: Int, width: Int
  var ignoring = Int.max
  var isInPlace = false

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let count = rows * width * kind.predictionsPerTarget
    let predictions = try backend.input(numbers(count, stream: 62, scale: 2))
    var targets = numbers(rows * width, stream: 63)
    let counted = (0..<rows).map { Int32($0 % ignoring == ignoring - 1 ? 0 : 1) }
    for row in 0..<rows where counted[row] == 0 { targets[row * width] = .nan }
    let gradient = isInPlace ? predictions : try backend.output(count)
    let loss = try backend.output(1)
    try backend.regressionLoss(
      kind, predictions: predictions, targets: backend.input(targets),
      counted: ignoring == .max ? nil : backend.indices(counted), gradPredictions: gradient,
      loss: loss, rows: rows, width: width, scale: 0.125)
    return [
      try backend.outcome("loss", loss, 1), try backend.outcome("gradient", gradient, count),
    ]
  }
}

/// Cross-entropy with weights of classes and smoothed labels.
struct WeightedEntropyWork: Work {
  var rows: Int, classes: Int
  var smoothing: Double
  var isWeighted: Bool
  var isInPlace = false

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let count = rows * classes
    let logits = try backend.input(numbers(count, stream: 64, scale: 8))
    let targets = (0..<rows).map { Int32($0 % 5 == 3 ? -1 : $0 * 7 % classes) }
    let weights = numbers(classes, stream: 65).map(\.magnitude)
    let gradient = isInPlace ? logits : try backend.output(count)
    let loss = try backend.output(1)
    try backend.crossEntropy(
      logits: logits, targets: backend.indices(targets),
      classWeights: isWeighted ? backend.input(weights) : nil, smoothing: smoothing,
      gradLogits: gradient, loss: loss, rows: rows, classes: classes, scale: 0.25)
    return [
      try backend.outcome("loss", loss, 1), try backend.outcome("gradient", gradient, count),
    ]
  }
}

/// CTC over sequences of unequal lengths.
struct CTCTestWork: Work {
  var sequenceLength: Int, batchSize: Int, classes: Int, maximumLabels: Int
  var scale = 4.0
  var wantsGradient = true
  var dropsImpossible = false

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let (T, N, V, S) = (sequenceLength, batchSize, classes, maximumLabels)
    let logits = try backend.input(numbers(T * N * V, stream: 66, scale: scale))
    let blank = V - 1
    let labels = (0..<N * S).map { Int32($0 * 5 % 7 % max(blank, 1)) }
    let lengths = (0..<N).map { Int32(T - $0 % max(T / 2, 1)) }
    // Equal labels need a blank between: no more of them than surely fit, but where they may drop.
    let counts = lengths.map { length in
      Int32(min(S, dropsImpossible ? S : V == 1 ? 0 : Int(length) / 2))
    }
    let work = CTCWork(
      sequenceLength: T, batchSize: N, classes: V, maximumLabels: S, blank: blank,
      labels: try backend.indices(labels), lengths: try backend.indices(lengths),
      labelLengths: try backend.indices(counts), dropsImpossible: dropsImpossible)
    let weights = (0..<N).map { 1 / Double(1 << ($0 % 3)) }
    let gradient = wantsGradient ? try backend.output(T * N * V) : nil
    let loss = try backend.output(1)
    try backend.connectionistTemporalClassification(
      work, logits: logits, weights: backend.input(weights), gradLogits: gradient, loss: loss)
    var result = [try backend.outcome("loss", loss, 1)]
    if let gradient { result.append(try backend.outcome("gradient", gradient, T * N * V)) }
    return result
  }
}

@MainActor @Suite(.device)
struct LossTests {
  @Test(arguments: [
    RegressionLoss.squared, .absolute, .huber(delta: 0.5), .quantile([0.1, 0.5, 0.9]), .gaussian,
    .boundedGaussian(bound: 1),
  ])
  func everyRegressionAgrees(kind: RegressionLoss) throws {
    for (rows, width) in [(1, 1), (3, 1), (65, 3), (4100, 2)] {
      try expectAgreement(RegressionWork(kind: kind, rows: rows, width: width))
      try expectAgreement(RegressionWork(kind: kind, rows: rows, width: width, ignoring: 3))
      try expectAgreement(RegressionWork(kind: kind, rows: rows, width: width, isInPlace: true))
    }
  }

  @Test(arguments: [(1, 1), (3, 2), (17, 33), (5, 1000), (1029, 9)])
  func everyCrossEntropyAgrees(rows: Int, classes: Int) throws {
    for (smoothing, isWeighted) in [(0, true), (0.1, false), (0.3, true)] {
      var work = WeightedEntropyWork(
        rows: rows, classes: classes, smoothing: smoothing, isWeighted: isWeighted)
      try expectAgreement(work)
      work.isInPlace = true
      try expectAgreement(work)
    }
  }

  @Test(arguments: [(1, 1, 2, 1), (3, 2, 3, 1), (20, 5, 7, 8), (130, 3, 29, 60), (9, 70, 5, 4)])
  func everyCTCAgrees(steps: Int, sequences: Int, classes: Int, labels: Int) throws {
    var work = CTCTestWork(
      sequenceLength: steps, batchSize: sequences, classes: classes, maximumLabels: labels)
    try expectAgreement(work)
    work.wantsGradient = false
    try expectAgreement(work)
    work.wantsGradient = true
    work.dropsImpossible = true
    try expectAgreement(work)
  }

  @Test func aBlankAloneAndLargeLogitsAgree() throws {
    try expectAgreement(
      CTCTestWork(sequenceLength: 50, batchSize: 3, classes: 9, maximumLabels: 12, scale: 64))
  }
}
