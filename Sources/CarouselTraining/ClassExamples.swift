import CarouselFormats
import CarouselModel
import Foundation

/// Sequences of numbers, each of one class.
///
/// The loss is the mean cross-entropy in nats, each example weighed by its class where asked for.
struct ClassExamples: SequenceExamples {
  /// The sequences, scaled by `mean` and `scale` where they are read.
  let set: SequenceSet
  /// The class of each sequence by number; empty where it is not known.
  let targets: [Int32]
  let classCount: Int
  let mean: [Float], scale: [Float]
  let timePooling: TimePooling?
  /// The weight of each class; nil weighs all alike.
  let weights: [Double]?
  let smoothing: Double

  var count: Int { self.set.count }
  func length(_ index: Int) -> Int { set.length(index) }

  /// Reads sequences as a model does that was trained on others.
  init(
    _ set: SequenceSet, _ description: DataDescription, weights: [Double]? = nil,
    smoothing: Double = 0, knowsLabels: Bool = true
  ) throws(CarouselError) {
    self.set = set
    let classes = description.classes ?? []
    classCount = classes.count
    mean = description.mean.map(Float.init)
    scale = description.scale.map(Float.init)
    timePooling = description.settings.pooling == .last ? .last : .mean
    self.weights = weights
    self.smoothing = smoothing
    guard set.channels.count == description.channels.count else {
      throw CarouselError(
        .badData,
        "\(set.source): expected \(counted(description.channels.count, "channel")) as in training, found "
          + "\(set.channels.count)")
    }
    guard !knowsLabels || set.labels.count == set.count else {
      throw CarouselError(
        .badData, "\(set.source): expected a class for each sequence, found \(set.labels.count)")
    }
    var targets: [Int32] = []
    for (index, label) in set.labels.enumerated() where knowsLabels {
      guard let number = classes.firstIndex(of: label) else {
        throw CarouselError(
          .badData,
          "\(set.place(index)): " + description.refusal(of: label, "class"))
      }
      targets.append(Int32(number))
    }
    self.targets = targets
  }

  func input(
    _ examples: [Int], sequenceLength: Int, batchSize: Int, noise: ExampleNoise?
  ) -> NetworkInput {
    let width = mean.count
    var x = [Double](repeating: 0, count: sequenceLength * batchSize * width)
    for (n, example) in examples.enumerated() {
      var source = set.starts[example] * width
      for t in 0..<set.length(example) {
        let row = (t * batchSize + n) * width
        for channel in 0..<width {
          x[row + channel] = Double((set.values[source + channel] - mean[channel]) / scale[channel])
        }
        source += width
      }
    }
    return .features(x)
  }

  var graphLoss: GraphLoss { .crossEntropy(smoothing: smoothing) }

  func targets(_ batch: ExampleBatch) -> NetworkTargets {
    let padding = [Int32](repeating: -1, count: batch.batchSize - batch.examples.count)
    return .classes(batch.examples.map { targets[$0] } + padding)
  }

  func weight(_ examples: [Int]) -> Double {
    examples.reduce(0) { $0 + (weights?[Int(targets[$1])] ?? 1) }
  }

  func loss(_ outputs: BatchOutputs, _ batch: ExampleBatch, gradient: inout [Double]?) -> LossSum {
    var result = LossSum()
    for (n, example) in batch.examples.enumerated() {
      let (sum, slope) = CrossEntropy.loss(
        outputs.row(sequence: n), target: Int(targets[example]), weights: weights,
        smoothing: smoothing)
      result.sum += sum
      result.weight += weights?[Int(targets[example])] ?? 1
      guard gradient != nil else { continue }
      let start = outputs.offset(sequence: n)
      for (o, slope) in slope.enumerated() { gradient?[start + o] += slope }
    }
    return result
  }

  func makeTally() -> any ExampleTally { ClassTally(classCount: classCount) }
}

/// Cross-entropy of one row of logits.
enum CrossEntropy {
  /// The probabilities of classes: softmax.
  static func probabilities(_ logits: [Double]) -> [Double] {
    let largest = logits.max() ?? 0
    let powers = logits.map { exp($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// `−Σ a·log softmax(logits)` and its slope, with a = (1 − s)·w[target]·onehot(target) + s/O·w and
  /// weights w of the classes, nil for ones: the loss of `LossBackend.crossEntropy`, PyTorch's.
  static func loss(
    _ logits: [Double], target: Int, weights: [Double]? = nil, smoothing: Double
  ) -> (sum: Double, slope: [Double]) {
    let largest = logits.max() ?? 0
    let logSum = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
    let even = smoothing / Double(logits.count)
    let wanted = logits.indices.map { index in
      (even + (index == target ? 1 - smoothing : 0)) * (weights?[index] ?? 1)
    }
    let all = wanted.reduce(0, +)
    var sum = 0.0
    let slope = zip(logits, wanted).map { logit, wanted in
      if wanted > 0 { sum -= wanted * (logit - logSum) }
      return exp(logit - logSum) * all - wanted
    }
    return (sum, slope)
  }
}

/// Counts which classes were taken for which.
private struct ClassTally: ExampleTally {
  /// `[truth][prediction]`.
  private var confusion: [[Int]]

  init(classCount: Int) {
    confusion = [[Int]](
      repeating: [Int](repeating: 0, count: classCount), count: classCount)
  }

  mutating func add(_ outputs: BatchOutputs, _ batch: ExampleBatch) {
    let targets = batch.source(as: ClassExamples.self).targets
    for (n, example) in batch.examples.enumerated() {
      let prediction = outputs.row(sequence: n).indexOfLargest
      confusion[Int(targets[example])][prediction] += 1
    }
  }

  func fill(_ metrics: inout TaskMetrics) {
    metrics.accuracy = ClassMetrics.accuracy(confusion)
    metrics.macroF1 = ClassMetrics.macroF1(confusion)
    metrics.confusion = confusion
  }
}

/// What a table `[truth][prediction]` says.
enum ClassMetrics {
  /// The share that is right.
  static func accuracy(_ confusion: [[Int]]) -> Double {
    let right = confusion.indices.reduce(0) { $0 + confusion[$1][$1] }
    return Double(right) / Double(max(confusion.joined().reduce(0, +), 1))
  }

  /// The mean of F1 = 2·TP / (2·TP + FP + FN) over the classes that occur, in truth or prediction.
  static func macroF1(_ confusion: [[Int]]) -> Double {
    let scores = confusion.indices.compactMap { index -> Double? in
      let truth = confusion[index].reduce(0, +)
      let predicted = confusion.reduce(0) { $0 + $1[index] }
      guard truth + predicted > 0 else { return nil }
      return 2 * Double(confusion[index][index]) / Double(truth + predicted)
    }
    return scores.reduce(0, +) / Double(max(scores.count, 1))
  }
}

extension [Double] {
  /// The index of the first of the largest elements; 0 where there is none.
  var indexOfLargest: Int { indices.max { self[$0] < self[$1] } ?? 0 }
}
