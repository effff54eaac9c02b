import CarouselModel

/// A batch of examples: what a network reads at once.
struct ExampleBatch {
  /// T and N: every sequence has room for T steps, places beyond the examples stay empty.
  let sequenceLength: Int, batchSize: Int
  /// The examples, at most N.
  let examples: [Int]
  /// What the network reads, `[T, N]` rows.
  let input: NetworkInput
  /// The steps of each sequence; nil where all have T.
  let lengths: [Int32]?
  /// The numbers of each example, where they were read for this batch.
  var loaded: [[Double]]?
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

/// Examples of a task: what a network reads of them, and how its outputs are judged.
///
/// Data and network meet here: a network learns from whatever gives it batches and targets in this way.
protocol SequenceExamples: Sendable {
  /// The number of examples.
  var count: Int { get }
  /// T of an example.
  func length(_ index: Int) -> Int
  /// What the linear layer reads of a sequence's steps; nil reads every step.
  var timePooling: TimePooling? { get }
  /// Reads the numbers of examples that stay in a file; nil where all are in memory.
  func load(_ examples: [Int]) throws(CarouselError) -> [[Double]]?
  /// What the network reads of examples, `[T, N]` rows with zeros past each end; `loaded` is what `load` gave;
  /// without `noise` nothing is drawn at random.
  func input(
    _ examples: [Int], loaded: [[Double]]?, sequenceLength: Int, batchSize: Int,
    noise: ExampleNoise?
  ) -> NetworkInput
  /// The loss as a device computes it.
  var graphLoss: GraphLoss { get }
  /// The weight of each class in it; nil weighs all alike, and where there are none.
  var weights: [Double]? { get }
  /// What `graphLoss` compares the outputs with, `[T, N]` rows, or `[N]` where steps are pooled.
  func targets(_ batch: ExampleBatch) -> NetworkTargets
  /// What the sum of the losses of examples is divided by.
  func weight(_ examples: [Int]) -> Double
  /// The loss of a batch's outputs; with `gradient`, which is 0 before, ∂(sum)/∂outputs is added to it.
  func loss(_ outputs: BatchOutputs, _ batch: ExampleBatch, gradient: inout [Double]?) -> LossSum
  /// What counts what the outputs are worth.
  func makeTally() -> any ExampleTally
}

/// Counts what outputs are worth, batch after batch.
protocol ExampleTally {
  mutating func add(_ outputs: BatchOutputs, _ batch: ExampleBatch)
  /// The metrics of all batches but the loss.
  func fill(_ metrics: inout TaskMetrics)
}

extension SequenceExamples {
  /// Whether all have the same steps, at least one.
  var haveOneLength: Bool { (0..<count).allSatisfy { length($0) == max(length(0), 1) } }

  /// The length of the longest example; 0 without any.
  var longest: Int { (0..<count).reduce(0) { max($0, length($1)) } }

  /// Nothing: all examples are in memory.
  func load(_ examples: [Int]) throws(CarouselError) -> [[Double]]? { nil }

  /// A batch of examples; throws where they are in a file that is not what it should be.
  func batch(
    _ examples: [Int], sequenceLength: Int, batchSize: Int,
    noise: ExampleNoise? = nil
  ) throws(CarouselError) -> ExampleBatch {
    let loaded = try load(examples)
    let lengths = examples.map { Int32(length($0)) }
    let isRagged = lengths.contains { Int($0) != sequenceLength }
    return ExampleBatch(
      sequenceLength: sequenceLength, batchSize: batchSize, examples: examples,
      input: input(
        examples, loaded: loaded, sequenceLength: sequenceLength, batchSize: batchSize,
        noise: noise),
      lengths: isRagged
        ? lengths + [Int32](repeating: 0, count: batchSize - examples.count) : nil, loaded: loaded)
  }
}
