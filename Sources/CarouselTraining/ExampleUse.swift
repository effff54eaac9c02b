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
    try withBestOfAll(in: folder) { network in
      try measure(network, examples) { try ranks.onAny(shouldStop()) }
    }
  }

  /// What the run's model is worth on the text that it is tested on, as `finalMetrics`; nil where there is none.
  public func textMetrics(
    in folder: RunFolder?, shouldStop: () throws -> Bool = { false }
  ) throws -> TaskMetrics? {
    guard let test = texts?.test else { return nil }
    return try withBestOfAll(in: folder) { network in
      let evaluator = try TextEvaluator(
        network, text: test.content, vocabulary: vocabulary, shards: settings.shards ?? 1,
        ranks: ranks)
      return try evaluator.evaluate { try ranks.onAny(shouldStop()) }
        .map { TaskMetrics(lossPerByte: $0.loss, bytesPerCharacter: test.bytesPerCharacter) }
    }
  }

  /// Computes on every rank with the best network of the first one's folder, else with the network as it is.
  private func withBestOfAll<Result>(
    in folder: RunFolder?, _ body: (Network<B>) throws -> Result
  ) throws -> Result {
    guard ranks.count > 1 else { return try withBestNetwork(in: folder, body) }
    let path = folder?.best
    let hasBest = try ranks.fromFirst(path.map { FileKind(at: $0) != nil } ?? false)
    guard hasBest else { return try withEvaluatedWeights { try body(network) } }
    let best =
      if ranks.isFirst, let path {
        try Checkpoint(contentsOf: path).makeNetwork(backend: network.backend)
      } else {
        try Network(network.configuration, backend: network.backend, seed: nil)
      }
    try best.parameters.share(by: ranks)
    return try body(best)
  }

  private func measure(
    _ network: Network<B>, _ examples: TrainingExamples, _ shouldStop: () throws -> Bool
  ) throws -> (train: TaskMetrics?, validation: TaskMetrics?, test: TaskMetrics?)? {
    func measure(_ part: (any ExampleSource)?, limit: Int? = nil) throws -> TaskMetrics? {
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
  var all: [String] { [path] + [labels].compactMap(\.self) }

  func settings(_ known: DataSettings) -> DataSettings {
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
