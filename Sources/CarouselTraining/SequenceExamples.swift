import CarouselModel

/// A batch of examples: what a network reads at once.
struct ExampleBatch {
  /// T and N: every sequence has room for T steps, places beyond the examples stay empty.
  let sequenceLength: Int, batchSize: Int
  /// The examples, at most N, by their numbers in `source`.
  let examples: [Int]
  /// Where the examples are.
  let source: any SequenceExamples
  /// What the network reads, `[T, N]` rows.
  let input: NetworkInput
  /// The steps of each sequence; nil where all have T.
  let lengths: [Int32]?

  /// The examples as those of a task.
  func source<Examples: SequenceExamples>(as: Examples.Type) -> Examples {
    guard let source = source as? Examples else {
      preconditionFailure("a batch of \(type(of: source)) where \(Examples.self) are counted")
    }
    return source
  }
}

/// What is drawn anew in each training step is drawn from: the seed, the step, and which sequences of its batch
/// these are, nil where they are all.
struct ExampleNoise {
  let seed: UInt64, step: Int
  let slice: BatchSlice?
}

/// The outputs of a network for a batch, `[T, N, O]`, or `[N, O]` where the steps of a sequence are pooled.
struct BatchOutputs {
  let values: [Double]
  let batchSize: Int, width: Int

  /// Where the outputs of a step of a sequence begin, or the one row of them.
  func offset(step: Int = 0, sequence: Int) -> Int { (step * batchSize + sequence) * width }

  /// The outputs of a step of a sequence, or the one row of them.
  func row(step: Int = 0, sequence: Int) -> [Double] {
    let start = offset(step: step, sequence: sequence)
    return Array(values[start..<start + width])
  }
}

/// A loss as a sum, and what it is to be divided by.
struct LossSum {
  var sum = 0.0, weight = 0.0

  /// The mean loss; nil where nothing counted.
  var mean: Double? { weight > 0 ? sum / weight : nil }
}

/// Examples of a task, in memory or in a file.
///
/// Data and network meet here: a network learns from whatever gives it batches and targets in this way.
protocol ExampleSource: Sendable {
  /// The number of examples.
  var count: Int { get }
  /// T of an example; where only reading it tells, that of the longest known.
  func length(_ index: Int) -> Int
  /// Whether all have the same steps, at least one.
  var haveOneLength: Bool { get }
  /// Where only reading tells how long examples are, the lengths of passes, rising, and how many examples are read
  /// at once to be sorted by length; nil where `length` tells.
  var ragged: (lengths: [Int], pool: Int)? { get }
  /// What the linear layer reads of a sequence's steps; nil reads every step.
  var timePooling: TimePooling? { get }
  /// The loss as a device computes it.
  var graphLoss: GraphLoss { get }
  /// The weight of each class in it; nil weighs all alike, and where there are none.
  var weights: [Double]? { get }
  /// Examples in memory; throws where they are in a file that is not what it should be.
  ///
  /// A file that has more of them than an epoch gives others in each epoch.
  func read(_ examples: [Int], epoch: Int) throws(CarouselError) -> ExampleSelection
  /// What counts what the outputs are worth.
  func makeTally() -> any ExampleTally
}

/// Examples that were chosen, in memory.
struct ExampleSelection {
  let source: any SequenceExamples
  /// Their numbers in `source`.
  let indices: [Int]

  /// The batch of some of them.
  func batch(
    _ range: Range<Int>, sequenceLength: Int, batchSize: Int, noise: ExampleNoise? = nil
  ) -> ExampleBatch {
    source.batch(
      Array(indices[range]), sequenceLength: sequenceLength, batchSize: batchSize, noise: noise)
  }

  /// What the sum of the losses of some of them is divided by.
  func weight(_ range: Range<Int>) -> Double { source.weight(Array(indices[range])) }
}

/// Examples in memory: what a network reads of them, and how its outputs are judged.
protocol SequenceExamples: ExampleSource {
  /// What the network reads of examples, `[T, N]` rows with zeros past each end; without `noise` nothing is drawn
  /// at random.
  func input(
    _ examples: [Int], sequenceLength: Int, batchSize: Int, noise: ExampleNoise?
  ) -> NetworkInput
  /// What `graphLoss` compares the outputs with, `[T, N]` rows, or `[N]` where steps are pooled.
  func targets(_ batch: ExampleBatch) -> NetworkTargets
  /// What the sum of the losses of examples is divided by.
  func weight(_ examples: [Int]) -> Double
  /// The loss of a batch's outputs; with `gradient`, which is 0 before, ∂(sum)/∂outputs is added to it.
  func loss(_ outputs: BatchOutputs, _ batch: ExampleBatch, gradient: inout [Double]?) -> LossSum
}

/// Counts what outputs are worth, batch after batch.
protocol ExampleTally {
  mutating func add(_ outputs: BatchOutputs, _ batch: ExampleBatch)
  /// The metrics of all batches but the loss.
  func fill(_ metrics: inout TaskMetrics)
}

extension SequenceExamples {
  var haveOneLength: Bool { (0..<count).allSatisfy { length($0) == max(length(0), 1) } }

  /// The length of the longest example; 0 without any.
  var longest: Int { (0..<count).reduce(0) { max($0, length($1)) } }

  var ragged: (lengths: [Int], pool: Int)? { nil }

  func read(_ examples: [Int], epoch: Int) throws(CarouselError) -> ExampleSelection {
    ExampleSelection(source: self, indices: examples)
  }

  /// A batch of examples.
  func batch(
    _ examples: [Int], sequenceLength: Int, batchSize: Int, noise: ExampleNoise? = nil
  ) -> ExampleBatch {
    let lengths = examples.map { Int32(length($0)) }
    let isRagged = lengths.contains { Int($0) != sequenceLength }
    return ExampleBatch(
      sequenceLength: sequenceLength, batchSize: batchSize, examples: examples, source: self,
      input: input(
        examples, sequenceLength: sequenceLength, batchSize: batchSize, noise: noise),
      lengths: isRagged
        ? lengths + [Int32](repeating: 0, count: batchSize - examples.count) : nil)
  }
}
