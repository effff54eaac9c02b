import CarouselFormats
import CarouselModel

extension Trainer {
  /// What the run's model is worth: the best one of `folder`, else the network as it is, on the examples
  /// that were trained on (at most 10,000 of them, spread evenly), on those held out, and on the test.
  ///
  /// `shouldStop` is asked before each pass and says which share is done; nil where it became true. Several ranks
  /// share the work, and each has to ask; the folder is that of the first.
  public func finalMetrics(
    _ examples: TrainingExamples, in folder: RunFolder?, shouldStop: () throws -> Bool = { false }
  ) throws -> (train: TaskMetrics?, validation: TaskMetrics?, test: TaskMetrics?)? {
    func stops() throws -> Bool { try ranks.onAny(shouldStop()) }
    guard ranks.count > 1 else {
      return try withBestNetwork(in: folder) { try measure($0, examples, stops) }
    }
    let path = folder?.best
    let hasBest = try ranks.fromFirst(path.map { FileKind(at: $0) != nil } ?? false)
    guard hasBest else {
      return try withEvaluatedWeights { try measure(network, examples, stops) }
    }
    let best =
      if ranks.isFirst, let path {
        try Checkpoint(contentsOf: path).makeNetwork(backend: network.backend)
      } else {
        try Network(network.configuration, backend: network.backend, seed: nil)
      }
    try best.parameters.share(by: ranks)
    return try measure(best, examples, stops)
  }

  private func measure(
    _ network: Network<B>, _ examples: TrainingExamples, _ shouldStop: () throws -> Bool
  ) throws -> (train: TaskMetrics?, validation: TaskMetrics?, test: TaskMetrics?)? {
    func measure(_ part: (any SequenceExamples)?, limit: Int? = nil) throws -> TaskMetrics? {
      guard let part else { return nil }
      return try SequenceEvaluator(
        network, part, batchSize: settings.batchSize, limit: limit, ranks: ranks
      ).measure(shouldStop: shouldStop)
    }
    let train = try measure(examples.training, limit: 10_000)
    let validation = try measure(examples.validation)
    let test = try measure(examples.test)
    let isWhole =
      train != nil && (validation != nil) == (examples.validation != nil)
      && (test != nil) == (examples.test != nil)
    return isWhole ? (train, validation, test) : nil
  }
}

/// A model of one's own data, to be measured on other data and to predict.
public final class ExampleModel<B: Backend> {
  /// What the model was trained for, and what it remembers of the data.
  public let task: TrainingTask, description: DataDescription
  let network: Network<B>
  private let batchSize = 64

  /// Takes a checkpoint; throws where it is none of the tasks on one's own data.
  public init(_ checkpoint: Checkpoint, backend: B, overrides: [String: Double] = [:]) throws {
    task = checkpoint.description.task
    guard let data = checkpoint.description.data else {
      throw CarouselError(
        .usage,
        "\(checkpoint.path): expected a model of the tasks classify, forecast or tag, found one of the task "
          + task.rawValue)
    }
    description = data
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
    let settings = file.settings(description.settings)
    let examples: any SequenceExamples
    switch task {
    case .classify:
      examples = try ClassExamples(
        SequenceSet(
          contentsOf: file.path, columns: settings.columns, labels: file.labels,
          channels: description.channels, missing: settings.missing), description)
    case .tag: examples = try TagExamples(TaggedSet(file.path, settings), description)
    default: examples = try ForecastExamples(whole: SeriesSet(file.path, settings), description)
    }
    try ranks.shakeHands(over: network, files: file.all)
    let evaluator = SequenceEvaluator(network, examples, batchSize: batchSize, ranks: ranks)
    return try evaluator.measure(shouldStop: shouldStop).map { ($0, examples.count) }
  }

  /// Predicts for every example of a file and hands over each in the order of the file.
  ///
  /// Several ranks share the work, and each has to ask; the first alone is given the predictions.
  public func predict(
    _ file: ExampleFile, ranks: any Communicator = Alone(),
    shouldStop: () throws -> Bool = { false },
    _ body: (ExamplePrediction) throws -> Void
  ) throws {
    let settings = file.settings(description.settings)
    func forEachOutput(
      _ examples: any SequenceExamples,
      _ body: (_ outputs: BatchOutputs, _ sequence: Int, _ example: Int) throws -> Void
    ) throws {
      try ranks.shakeHands(over: network, files: file.all)
      try self.forEachOutput(examples, ranks, shouldStop, body)
    }
    switch task {
    case .classify:
      let set = try SequenceSet(
        contentsOf: file.path, columns: settings.columns, channels: description.channels,
        requiresLabels: false, missing: settings.missing)
      let examples = try ClassExamples(set, description, knowsLabels: false)
      try forEachOutput(examples) { outputs, sequence, example in
        let logits = outputs.row(sequence: sequence)
        try body(
          .class(
            id: set.ids.isEmpty ? nil : set.ids[example],
            name: (description.classes ?? [])[logits.indexOfLargest],
            probabilities: CrossEntropy.probabilities(logits)))
      }
    case .tag:
      let set = try TaggedSet(file.path, settings, requiresTags: false)
      let examples = try TagExamples(set, description, knowsTags: false)
      try forEachOutput(examples) { outputs, sequence, example in
        let words = set.words[example]
        let tags = words.indices.map { step in
          let logits = outputs.row(step: step, sequence: sequence)
          return (
            words[step], (description.classes ?? [])[logits.indexOfLargest],
            CrossEntropy.probabilities(logits)
          )
        }
        try body(
          .tags(id: set.ids.isEmpty ? nil : set.ids[example], sequence: example + 1, words: tags))
      }
    default:
      let set = try SeriesSet(file.path, settings)
      let examples = try ForecastExamples(endsOf: set, description)
      try forEachOutput(examples) { outputs, _, example in
        try body(
          .numbers(
            id: set.ids[example].isEmpty ? nil : set.ids[example],
            examples.predictions(outputs, example)))
      }
    }
  }

  /// Calls `body` on the first rank for every example in order; what batches of like length need is kept for at
  /// most some thousand examples.
  ///
  /// The ranks compute the batches in turn.
  private func forEachOutput(
    _ examples: any SequenceExamples, _ ranks: any Communicator, _ shouldStop: () throws -> Bool,
    _ body: (_ outputs: BatchOutputs, _ sequence: Int, _ example: Int) throws -> Void
  ) throws {
    let passes = ExamplePasses(network, examples, training: false)
    let classes = BatchPlan.classes((0..<examples.count).map(examples.length))
    func outputs(_ indices: Range<Int>) throws -> BatchOutputs {
      let longest = indices.reduce(1) { max($0, examples.length($1)) }
      return try passes.outputs(
        examples.batch(
          Array(indices), sequenceLength: classes.first { $0 >= longest } ?? longest,
          batchSize: batchSize))
    }
    for start in stride(from: 0, to: examples.count, by: batchSize * ranks.count) {
      if try shouldStop() { return }
      let end = min(start + batchSize * ranks.count, examples.count)
      let group = stride(from: start, to: end, by: batchSize).map { $0..<min($0 + batchSize, end) }
      let own = ranks.rank < group.count ? try outputs(group[ranks.rank]) : nil
      for (indices, outputs) in zip(group, try gather(own, ranks)) {
        for (sequence, example) in indices.enumerated() { try body(outputs, sequence, example) }
      }
    }
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

/// A file to be measured or predicted, where it is read otherwise than the training file.
public struct ExampleFile: Sendable {
  /// The file, and of images the file of their labels.
  public var path: String, labels: String?
  /// What stands for missing numbers; nil takes what training took.
  public var missing: MissingValues?

  /// Names a file.
  public init(_ path: String, labels: String? = nil, missing: MissingValues? = nil) {
    (self.path, self.labels, self.missing) = (path, labels, missing)
  }

  /// All files.
  fileprivate var all: [String] { [path] + [labels].compactMap(\.self) }

  fileprivate func settings(_ known: DataSettings) -> DataSettings {
    var result = known
    if let missing { result.missing = missing }
    return result
  }
}

/// What a model says of one example.
public enum ExamplePrediction: Sendable {
  /// A class, and the probability of each.
  case `class`(id: String?, name: String, probabilities: [Double])
  /// A tag for each word, and the probability of each; `sequence` counts from 1.
  case tags(
    id: String?, sequence: Int, words: [(word: String, tag: String, probabilities: [Double])])
  /// The next numbers.
  case numbers(id: String?, [ForecastNumber])
}

/// A number that is predicted.
public struct ForecastNumber: Sendable {
  /// What is predicted, and how many steps ahead, from 1 on.
  public let target: String, ahead: Int
  /// The number to go by: the mean, or the median.
  public let value: Double
  /// The quantiles, rising; empty where none are predicted.
  public let quantiles: [Double]
  /// The standard deviation, where it is predicted.
  public let deviation: Double?
}

extension ForecastExamples {
  /// The last window of each series, whose targets are not known.
  init(endsOf set: SeriesSet, _ description: DataDescription) throws(CarouselError) {
    let settings = description.settings
    for series in 0..<set.count where set.length(series) < settings.window {
      throw CarouselError(
        .badData,
        "\(set.place(series)): expected at least the \(settings.window) steps of a window, found "
          + "\(set.length(series))")
    }
    self.init(
      set, (0..<set.count).map { Window(series: $0, last: set.length($0) - 1) }, description,
      naiveErrors: [])
  }

  /// What outputs say of an example, whose place in its batch is its number modulo the batch.
  func predictions(_ outputs: BatchOutputs, _ example: Int) -> [ForecastNumber] {
    let row = outputs.offset(sequence: example % outputs.batchSize)
    return (1...settings.horizon).flatMap { ahead in
      (0..<targetCount).map { target in
        let found = prediction(
          outputs, windows[example], target, ahead: ahead,
          from: row + ((ahead - 1) * targetCount + target) * settings.loss.outputCount)
        return ForecastNumber(
          target: set.targets[target], ahead: ahead, value: found.value,
          quantiles: found.quantiles, deviation: found.deviation)
      }
    }
  }
}
