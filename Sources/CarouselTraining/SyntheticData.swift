import CarouselModel

/// Synthetic sequences, each a pure function of a seed: the adding problem and copy
/// memory.
///
/// Adding (Hochreiter & Schmidhuber 1997, as in Bai et al. 2018): T steps of two features, a number
/// drawn uniformly from [0, 1) and a mark, 1 at one step of either half and 0 elsewhere. The target at
/// the last step is the sum of the two marked numbers; predicting 1 always has the squared error 1/6.
///
/// Copy memory (the same sources): T + 20 steps, first 10 symbols drawn from 8, then T − 1 blanks, then a
/// delimiter and 10 more of it. The target is blank until the last 10 steps, which are the symbols;
/// without memory the cross-entropy is 10·ln 8/(T + 20).
package struct SyntheticData: Sendable {
  /// `adding` or `copy`.
  package let task: TrainingTask
  /// T, the distance that has to be remembered.
  package let length: Int
  /// N, the sequences of a batch.
  package let batchSize: Int
  /// What the sequences are drawn from.
  package let seed: UInt64

  /// Which sequences are drawn: those to learn from, and others.
  package enum Part: UInt64, Sendable {
    case training = 9
    case test = 10
  }
  /// The part.
  package let part: Part

  static let symbols = 8
  static let symbolCount = 10
  /// The steps that are called an epoch.
  static let epochSteps = 1000

  /// Describes sequences; throws a usage error where T is too short for the task, or the task is another.
  package init(
    _ task: TrainingTask, length: Int, batchSize: Int, seed: UInt64, part: Part = .training
  ) throws(CarouselError) {
    guard task == .adding || task == .copy else {
      throw CarouselError(.usage, "the task \(task.rawValue) makes no synthetic sequences")
    }
    guard batchSize >= 1 else {
      throw CarouselError(.usage, "the batch size must be at least 1, but is \(batchSize)")
    }
    guard length >= 2 else {
      throw CarouselError(
        .usage, "the task \(task.rawValue) needs at least 2 steps, but has \(length)")
    }
    self.task = task
    self.length = length
    self.batchSize = batchSize
    self.seed = seed
    self.part = part
  }

  /// The network that the task needs around recurrent layers: two features and one value, or ten
  /// symbols each way.
  package func network(_ recurrent: RecurrentConfiguration) -> NetworkConfiguration {
    if task == .copy {
      return NetworkConfiguration(vocabularySize: Self.symbols + 2, recurrent: recurrent)
    }
    var recurrent = recurrent
    recurrent.inputSize = 2
    return NetworkConfiguration(vocabularySize: nil, recurrent: recurrent, outputSize: 1)
  }

  /// The loss of a network that remembers nothing.
  package var baseline: Double {
    task == .adding
      ? 1.0 / 6 : Double(Self.symbolCount) * 2.0794415416798357 / Double(sequenceLength)  // ln 8
  }

  /// What the network reads in one training step, counted from 0: `[T, N, 2]`, or tokens `[T + 20, N]`.
  package func input(_ step: Int) -> NetworkInput { batch(step).input }

  private func random(_ step: Int) -> Philox {
    Philox(seed: seed, stream: part.rawValue << 56 | UInt64(step))
  }

  private func adding(_ step: Int, _ sequences: Range<Int>) -> TrainingBatch {
    let (random, N, half) = (random(step), sequences.count, length / 2)
    var x = [Double](repeating: 0, count: length * N * 2)
    var targets = [Double](repeating: 0, count: length * N)
    for (n, sequence) in sequences.enumerated() {
      // The numbers first, then the two marks.
      let first = sequence * (length + 2)
      for t in 0..<length { x[(t * N + n) * 2] = random.uniform(first + t) }
      let marks = [
        Int(random.uniform(first + length) * Double(half)),
        half + Int(random.uniform(first + length + 1) * Double(length - half)),
      ]
      for t in marks {
        x[(t * N + n) * 2 + 1] = 1
        targets[(length - 1) * N + n] += x[(t * N + n) * 2]
      }
    }
    let counted = (0..<length * N).map { Int32($0 >= (length - 1) * N ? 1 : 0) }
    return TrainingBatch(
      input: .features(x), targets: .values(targets, counted: counted), begins: true)
  }

  private func copying(_ step: Int, _ sequences: Range<Int>) -> TrainingBatch {
    let (random, N, delimiter) = (random(step), sequences.count, Int32(Self.symbols + 1))
    var tokens = [Int32](repeating: 0, count: sequenceLength * N)
    var targets = [Int32](repeating: 0, count: sequenceLength * N)
    for (n, sequence) in sequences.enumerated() {
      for index in 0..<Self.symbolCount {
        let draw = random.uniform(sequence * Self.symbolCount + index)
        let symbol = 1 + Int32(draw * Double(Self.symbols))
        tokens[index * N + n] = symbol
        targets[(sequenceLength - Self.symbolCount + index) * N + n] = symbol
      }
      for t in (Self.symbolCount + length - 1)..<sequenceLength { tokens[t * N + n] = delimiter }
    }
    return TrainingBatch(input: .tokens(tokens), targets: .classes(targets), begins: true)
  }
}

extension SyntheticData: WindowData {
  /// T of the adding problem, T + 20 of copy memory.
  package var sequenceLength: Int { task == .adding ? length : length + 2 * Self.symbolCount }
  var epochSteps: Int { Self.epochSteps }

  func batch(_ step: Int) -> TrainingBatch { batch(step, sequences: 0..<batchSize) }

  func batch(_ step: Int, sequences: Range<Int>) -> TrainingBatch {
    task == .adding ? adding(step, sequences) : copying(step, sequences)
  }
}

/// Measures a network on sequences that it was not trained on, always the same ones.
package final class SyntheticDataEvaluator<B: Backend> {
  /// The passes that an evaluation is.
  package let passCount: Int
  private let data: SyntheticData
  private let pass: NetworkPass<B>
  private let ranks: any Communicator
  private let batchCount: Int

  /// Allocates activations for about 1000 sequences, in batches as large as those of `data`, which several ranks
  /// compute in turn.
  package init(
    _ network: Network<B>, like data: SyntheticData, ranks: any Communicator = Alone()
  ) throws {
    self.ranks = ranks
    self.data = try SyntheticData(
      data.task, length: data.length, batchSize: data.batchSize, seed: data.seed, part: .test)
    batchCount = (1000 + data.batchSize - 1) / data.batchSize
    passCount = (batchCount + ranks.count - 1) / ranks.count
    pass = try NetworkPass(
      network, sequenceLength: data.sequenceLength, batchSize: data.batchSize, purpose: .loss)
  }

  /// The mean loss; nil where `shouldStop` became true on the way.
  package func evaluate(shouldStop: () throws -> Bool = { false }) throws -> Double? {
    var sum = 0.0
    for start in stride(from: 0, to: batchCount, by: ranks.count) {
      if try shouldStop() { return nil }
      var loss = 0.0
      if start + ranks.rank < batchCount {
        let batch = data.batch(start + ranks.rank)
        try pass.resetStates()
        loss = try pass.loss(batch.input, batch.targets)
      }
      for part in try ranks.gather(loss).prefix(batchCount - start) { sum += part }
    }
    return sum / Double(batchCount)
  }
}

extension SyntheticDataEvaluator: TrainingEvaluator {
  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics? {
    try evaluate(shouldStop: shouldStop).map { TaskMetrics(loss: $0) }
  }
}
