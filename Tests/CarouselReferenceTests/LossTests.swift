import CarouselModel
import CarouselReference
import Foundation
import Testing

private struct LossCase: Decodable {
  var kind: String
  var tensors: [String: GoldenValues]
  var targets: [Double]?
  var smoothing: Double?
  var weights: [Double]?
  var labels: [Int32]?
  var lengths: [Int32]?
  var labelLengths: [Int32]?
  var blank: Int?
  var dropsImpossible: Bool?

  var regression: RegressionLoss? {
    switch kind {
    case "squared": .squared
    case "absolute": .absolute
    case "huber": .huber(delta: 0.7)
    case "quantile": .quantile([0.1, 0.7])
    case "gaussian": .gaussian
    default: nil
    }
  }
}

@Suite struct LossTests {
  private let backend = ReferenceBackend()
  private static let regressions: [RegressionLoss] = [
    .squared, .absolute, .huber(delta: 0.5), .quantile([0.1, 0.5, 0.9]), .gaussian,
    .boundedGaussian(bound: 1),
  ]

  @Test func lossesAgreeWithTorch() throws {
    let golden = try Golden<LossCase>.load("losses")
    for (index, item) in golden.cases.enumerated() {
      let predictions = try #require(item.tensors["predictions"])
      let buffer = try backend.buffer(predictions.values)
      let gradient = try backend.random(predictions.values.count, stream: 9)
      let loss = try backend.makeBuffer(count: 1)
      try judge(item, predictions, buffer, gradient: gradient, loss: loss)
      for (name, actual) in [("loss", loss), ("gradient", gradient)] {
        expectClose(
          backend.values(actual), try #require(item.tensors[name]).values,
          tolerance: golden.tolerance, "\(item.kind) \(index) \(name)")
      }
    }
  }

  private func judge(
    _ item: LossCase, _ predictions: GoldenValues, _ buffer: Buffer, gradient: Buffer, loss: Buffer
  ) throws {
    let (rows, targets) = (predictions.shape[0], item.targets ?? [])
    if let kind = item.regression {
      try backend.regressionLoss(
        kind, predictions: buffer, targets: backend.buffer(targets), counted: nil,
        gradPredictions: gradient, loss: loss, rows: rows, width: targets.count / rows,
        scale: 1 / Double(targets.count))
    } else if item.kind == "crossEntropy" {
      let counted = targets.filter { $0 >= 0 }.map { item.weights?[Int($0)] ?? 1 }
      try backend.crossEntropy(
        logits: buffer, targets: backend.indices(targets.map { Int32($0) }),
        classWeights: item.weights.map { try backend.buffer($0) },
        smoothing: #require(item.smoothing), gradLogits: gradient, loss: loss, rows: rows,
        classes: predictions.shape[1], scale: 1 / counted.reduce(0, +))
    } else {
      let counts = try #require(item.labelLengths)
      let work = try CTCWork(
        sequenceLength: rows, batchSize: counts.count, classes: predictions.shape[2],
        maximumLabels: #require(item.labels).count / counts.count, blank: #require(item.blank),
        labels: backend.indices(#require(item.labels)),
        lengths: backend.indices(#require(item.lengths)), labelLengths: backend.indices(counts),
        dropsImpossible: item.dropsImpossible == true)
      let weights = counts.map { 1 / (Double(counts.count) * Double(max($0, 1))) }
      try backend.connectionistTemporalClassification(
        work, logits: buffer, weights: backend.buffer(weights), gradLogits: gradient, loss: loss)
    }
  }

  @Test(arguments: regressions)
  func theGradientOfARegressionIsItsDerivative(kind: RegressionLoss) throws {
    let (rows, width) = (5, 3)
    let count = rows * width * kind.predictionsPerTarget
    let predictions = try backend.random(count, stream: 1)
    var values = normal(rows * width, stream: 2)
    values.replaceSubrange(width..<2 * width, with: [.nan, .nan, .nan])
    let targets = try backend.buffer(values)
    let counted = try backend.indices([1, 0, 1, 1, 0])
    let gradient = try backend.random(count, stream: 3)
    let loss = try backend.makeBuffer(count: 1)
    func judge(_ gradient: Buffer?) throws -> Double {
      try backend.regressionLoss(
        kind, predictions: predictions, targets: targets, counted: counted,
        gradPredictions: gradient, loss: loss, rows: rows, width: width, scale: 0.3)
      return backend.values(loss)[0]
    }
    _ = try judge(gradient)
    try expectGradient(backend.values(gradient), of: predictions, in: backend, "\(kind)") {
      try judge(nil)
    }
    let perRow = count / rows
    #expect(backend.values(gradient)[perRow..<2 * perRow].allSatisfy { $0 == 0 })
  }

  @Test(arguments: [0, 0.2, 1])
  func theGradientOfCrossEntropyIsItsDerivative(smoothing: Double) throws {
    let logits = try backend.random(4 * 5, stream: 4)
    let targets = try backend.indices([2, -1, 4, 0])
    let weights = try backend.buffer([0.5, 1, 2, 0, 1.5])
    let gradient = try backend.random(4 * 5, stream: 5)
    let loss = try backend.makeBuffer(count: 1)
    func judge(_ gradient: Buffer?) throws -> Double {
      try backend.crossEntropy(
        logits: logits, targets: targets, classWeights: weights, smoothing: smoothing,
        gradLogits: gradient, loss: loss, rows: 4, classes: 5, scale: 0.3)
      return backend.values(loss)[0]
    }
    _ = try judge(gradient)
    try expectGradient(backend.values(gradient), of: logits, in: backend, "logits") {
      try judge(nil)
    }
  }

  @Test func theGradientOfCTCIsItsDerivative() throws {
    let (T, N, V) = (6, 3, 4)
    let logits = try backend.random(T * N * V, stream: 6)
    let work = CTCWork(
      sequenceLength: T, batchSize: N, classes: V, maximumLabels: 2, blank: 1,
      labels: try backend.indices([2, 2, 0, 3, 3, 9]), lengths: try backend.indices([6, 4, 5]),
      labelLengths: try backend.indices([2, 2, 1]))
    let weights = try backend.buffer([0.5, 1, 2])
    let gradient = try backend.random(T * N * V, stream: 7)
    let loss = try backend.makeBuffer(count: 1)
    func judge(_ gradient: Buffer?) throws -> Double {
      try backend.connectionistTemporalClassification(
        work, logits: logits, weights: weights, gradLogits: gradient, loss: loss)
      return backend.values(loss)[0]
    }
    _ = try judge(gradient)
    try expectGradient(backend.values(gradient), of: logits, in: backend, "logits") {
      try judge(nil)
    }
  }

  @Test func labelsThatDoNotFitCostInfinityOrNothing() throws {
    let logits = try backend.random(3 * 2 * 3, stream: 8)
    let gradient = try backend.makeBuffer(count: 3 * 2 * 3)
    let loss = try backend.makeBuffer(count: 1)
    for drops in [false, true] {
      let work = CTCWork(
        sequenceLength: 3, batchSize: 2, classes: 3, maximumLabels: 2,
        labels: try backend.indices([1, 1, 2, 0]), lengths: try backend.indices([2, 3]),
        labelLengths: try backend.indices([2, 1]), dropsImpossible: drops)
      try backend.connectionistTemporalClassification(
        work, logits: logits, weights: backend.buffer([1, 1]), gradLogits: gradient, loss: loss)
      #expect(backend.values(loss)[0].isFinite == drops)
      #expect(backend.values(gradient)[0].isNaN != drops)
      #expect(backend.values(gradient)[3].isFinite)
      // Past the first sequence's end.
      #expect(backend.values(gradient)[12..<15].allSatisfy { $0 == 0 })
    }
  }

  @Test func wrongNumbersAreRefused() throws {
    let buffer = try backend.random(12, stream: 1)
    let labels = try backend.indices([1, 0])
    let work = CTCWork(
      sequenceLength: 2, batchSize: 2, classes: 3, maximumLabels: 1, labels: labels,
      lengths: try backend.indices([2, 2]), labelLengths: try backend.indices([1, 1]))
    #expect(throws: CarouselError.self) {
      try backend.connectionistTemporalClassification(
        work, logits: buffer, weights: buffer, gradLogits: nil, loss: buffer)
    }
    for kind in [
      RegressionLoss.huber(delta: 0), .huber(delta: .nan), .quantile([]), .quantile([1]),
    ] {
      #expect(throws: CarouselError.self) {
        try backend.regressionLoss(
          kind, predictions: buffer, targets: buffer, counted: nil, gradPredictions: nil,
          loss: buffer, rows: 2, width: 2, scale: 1)
      }
    }
    #expect(throws: CarouselError.self) {
      try backend.crossEntropy(
        logits: buffer, targets: labels, classWeights: nil, smoothing: .nan, gradLogits: nil,
        loss: buffer, rows: 2, classes: 3, scale: 1)
    }
  }
}
