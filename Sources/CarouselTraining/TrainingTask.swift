import CarouselModel

/// What a network is trained for.
public enum TrainingTask: String, Hashable, Sendable, Codable, CaseIterable {
  /// The next byte of a text.
  case text
  /// The sum of two marked numbers of a sequence.
  case adding
  /// A few symbols again, after a long pause.
  case copy
  /// The class of a sequence of one's own.
  case classify
  /// The next numbers of a series of one's own.
  case forecast
  /// The tag of each word of a sequence of one's own.
  case tag

  /// Whether the task reads one's own examples, see `TrainingExamples`.
  public var readsExamples: Bool { exampleTask != nil }

  /// What else decides a task on one's own examples; nil for the others.
  var exampleTask: (any ExampleTask.Type)? {
    switch self {
    case .classify: ClassifyTask.self
    case .forecast: ForecastTask.self
    case .tag: TagTask.self
    case .text, .adding, .copy: nil
    }
  }
}

/// A task on examples of one's own: what its data are, how its network is trained, and what a model says.
///
/// The examples themselves, with loss and metrics, are an `ExampleSource`.
protocol ExampleTask {
  /// Reads the files that settings name and cuts them into parts; a file with more than `mostInMemory` bytes may
  /// stay where it is.
  static func parts(
    _ settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts

  /// How the network is trained where nothing else is asked for, whatever the data.
  static var defaults: TrainingSettings { get }

  /// Adapts the defaults to the examples.
  static func adapt(_ settings: inout TrainingSettings, to examples: TrainingExamples)

  /// Throws where a description that was read from a file lacks what the task needs.
  static func validate(_ description: DataDescription) throws(CarouselError)

  /// What is learnt from, in a few words.
  static func summary(_ examples: TrainingExamples) -> String

  /// Adds the options of the data as `config.yaml` has them, beside those of every task.
  static func addOptions(of data: DataSettings, to options: inout ResolvedOptions)

  /// See `ExampleModel.evaluate`.
  static func evaluate<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool
  ) throws -> (metrics: TaskMetrics, count: Int)?

  /// See `ExampleModel.predict`.
  static func predict<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool, _ body: (ExamplePrediction) throws -> Void
  ) throws
}

extension ExampleTask {
  static func adapt(_ settings: inout TrainingSettings, to examples: TrainingExamples) {}

  /// Settings for one's own data: an LSTM of H units, batches of 32, a learning rate that falls to 0.
  static func defaults(inputSize: Int = 1, hiddenSize: Int = 128) -> TrainingSettings {
    var result = TrainingSettings.plain(inputSize: inputSize, hiddenSize: hiddenSize, maxEpochs: 10)
    (result.batchSize, result.validation) = (32, 0)
    result.schedule = LearningRateSchedule(.cosine, peak: 0.003, warmupSteps: 100)
    return result
  }
}
