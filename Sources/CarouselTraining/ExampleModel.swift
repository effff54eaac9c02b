import CarouselFormats
import CarouselModel

/// A model of one's own data, to be measured on other data and to predict.
public final class ExampleModel<B: Backend> {
  /// What the model was trained for, and what it remembers of the data.
  public let task: TrainingTask, description: DataDescription
  let network: Network<B>
  private let kind: any ExampleTask.Type
  private let batchSize = 64
  /// The bytes beyond which a file is read in chunks.
  var mostInMemory = TrainingText.mostInMemory

  /// Takes a checkpoint; throws where it is none of the tasks on one's own data.
  public init(_ checkpoint: Checkpoint, backend: B, overrides: [String: Double] = [:]) throws {
    task = checkpoint.description.task
    guard let data = checkpoint.description.data, let kind = task.exampleTask else {
      let tasks = TrainingTask.allCases.filter(\.readsExamples).map(\.rawValue)
      throw CarouselError(
        .usage,
        "\(checkpoint.path): expected a model of the tasks \(tasks.joined(separator: ", ")), found one of the "
          + "task \(task.rawValue)")
    }
    (description, self.kind) = (data, kind)
    network = try checkpoint.makeNetwork(backend: backend, overrides: overrides)
  }

  /// What the model is worth on a file, which has to hold what is to be predicted.
  ///
  /// Returns the number of examples too. Throws as `TrainingExamples` does; nil where `shouldStop` became true.
  /// Several ranks share the work, and each has to ask.
  public func evaluate(
    _ file: ExampleFile, ranks: any Communicator = Alone(),
    shouldStop: () throws -> Bool = { false }
  ) throws -> (metrics: TaskMetrics, count: Int)? {
    try kind.evaluate(self, file, ranks, shouldStop: shouldStop)
  }

  /// What the model is worth on the sets of a file.
  func measure<Set>(
    _ file: ExampleFile, _ chunks: SetChunks<Set>, _ ranks: any Communicator,
    _ shouldStop: () throws -> Bool, _ examples: (Set) throws -> any SequenceExamples
  ) throws -> (metrics: TaskMetrics, count: Int)? {
    var found: (sums: EvaluationSums, passes: ExamplePasses<B>)?
    var (count, isWhole) = (0, true)
    try chunks.forEachChunk { set in
      let examples = try examples(set)
      if found == nil { try ranks.shakeHands(over: network, files: file.all) }
      var (sums, passes) =
        found
        ?? (
          EvaluationSums(tally: examples.makeTally()),
          ExamplePasses(network, examples, training: false, areRagged: !chunks.isWhole)
        )
      let evaluator =
        chunks.isWhole
        ? SequenceEvaluator(network, examples, batchSize: batchSize, ranks: ranks)
        : SequenceEvaluator(
          network, chunk: examples, passes: passes, batchSize: batchSize, ranks: ranks)
      isWhole = try evaluator.add(to: &sums, shouldStop: shouldStop)
      found = (sums, passes)
      count += examples.count
      return isWhole
    }
    return isWhole ? found.map { ($0.sums.metrics, count) } : nil
  }

  /// Predicts for every example of a file and hands over each in the order of the file.
  ///
  /// Several ranks share the work, and each has to ask; the first alone is given the predictions.
  public func predict(
    _ file: ExampleFile, ranks: any Communicator = Alone(),
    shouldStop: () throws -> Bool = { false },
    _ body: (ExamplePrediction) throws -> Void
  ) throws {
    try kind.predict(self, file, ranks, shouldStop: shouldStop, body)
  }

  /// Calls `body` on the first rank for every example of a file in order, with its set, the number of examples
  /// before that, the outputs, and its numbers in the batch and in the set.
  func forEachOutput<Set>(
    _ file: ExampleFile, _ chunks: SetChunks<Set>, _ ranks: any Communicator,
    _ shouldStop: () throws -> Bool, _ examples: (Set) throws -> any SequenceExamples,
    _ body: (
      _ set: Set, _ first: Int, _ outputs: BatchOutputs, _ sequence: Int, _ example: Int
    ) throws -> Void
  ) throws {
    var passes: ExamplePasses<B>?
    var first = 0
    try chunks.forEachChunk { set in
      let examples = try examples(set)
      if passes == nil { try ranks.shakeHands(over: network, files: file.all) }
      let known =
        passes ?? ExamplePasses(network, examples, training: false, areRagged: !chunks.isWhole)
      passes = known
      let lengths =
        chunks.isWhole ? BatchPlan.classes((0..<examples.count).map(examples.length)) : []
      let goesOn = try forEachOutput(examples, known, lengths, ranks, shouldStop) {
        try body(set, first, $0, $1, $2)
      }
      first += examples.count
      return goesOn
    }
  }

  /// Calls `body` on the first rank for every example in order; what batches of like length need is kept for at
  /// most some thousand examples.
  ///
  /// The ranks compute the batches in turn.
  private func forEachOutput(
    _ examples: any SequenceExamples, _ passes: ExamplePasses<B>, _ lengths: [Int],
    _ ranks: any Communicator, _ shouldStop: () throws -> Bool,
    _ body: (_ outputs: BatchOutputs, _ sequence: Int, _ example: Int) throws -> Void
  ) throws -> Bool {
    func outputs(_ indices: Range<Int>) throws -> BatchOutputs {
      let longest = indices.reduce(1) { max($0, examples.length($1)) }
      return try passes.outputs(
        examples.batch(
          Array(indices), sequenceLength: BatchPlan.length(longest, among: lengths),
          batchSize: batchSize))
    }
    for start in stride(from: 0, to: examples.count, by: batchSize * ranks.count) {
      if try shouldStop() { return false }
      let end = min(start + batchSize * ranks.count, examples.count)
      let group = stride(from: start, to: end, by: batchSize).map { $0..<min($0 + batchSize, end) }
      let own = ranks.rank < group.count ? try outputs(group[ranks.rank]) : nil
      for (indices, outputs) in zip(group, try gather(own, ranks)) {
        for (sequence, example) in indices.enumerated() { try body(outputs, sequence, example) }
      }
    }
    return true
  }

  /// The outputs of every rank that has some, on the first.
  private func gather(
    _ own: BatchOutputs?, _ ranks: any Communicator
  ) throws -> [BatchOutputs] {
    guard ranks.count > 1 else { return [own].compactMap(\.self) }
    let counts = try ranks.gather(Int64(own?.values.count ?? 0)).map(Int.init)
    var rest = try ranks.gather(own?.values ?? [], counts: counts)[...]
    guard ranks.isFirst else { return [] }
    return counts.filter { $0 > 0 }.map { count in
      defer { rest = rest.dropFirst(count) }
      return BatchOutputs(
        values: Array(rest.prefix(count)), batchSize: batchSize,
        width: network.configuration.outputSize)
    }
  }
}
