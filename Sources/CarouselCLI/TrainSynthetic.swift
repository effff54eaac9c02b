import ArgumentParser
import Carousel

/// `carousel train adding`: the sum of two marked numbers of a long sequence.
struct TrainAdding: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "adding",
    abstract: "Trains a network on the adding problem: to sum two marked numbers of a sequence.",
    discussion: """
      --sequence-length numbers between 0 and 1 are read, two of which are marked, one in either half; their \
      sum is to be predicted at the end. Always predicting 1 has the mean squared error 0.167. The \
      sequences are synthetic, a function of the seed; 1000 steps are an epoch, and about 1000 \
      other sequences are held out. The run's folder and Ctrl-C are as in 'train text'.
      """)

  static let basics = TrainSyntheticOptions.basics
  static var defaults: [String: String] { TrainingSettings.defaults(for: .adding).helpDefaults }

  @OptionGroup var made: TrainSyntheticOptions

  func run() throws { try made.run(.adding) }
}

/// `carousel train copy`: a few symbols again after a long pause.
struct TrainCopy: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "copy",
    abstract: "Trains a network on copy memory: to repeat 10 symbols after a long pause.",
    discussion: """
      10 symbols of 8 are read, then --sequence-length blanks, then the symbols are to be repeated. Without \
      memory the cross-entropy is 10 ln 8 / (T + 20) nats a step. The sequences are made on the \
      way, a function of the seed; 1000 steps are an epoch, and about 1000 other sequences are held \
      out. The run's folder and Ctrl-C are as in 'train text'.
      """)

  static let basics = TrainSyntheticOptions.basics
  static var defaults: [String: String] { TrainingSettings.defaults(for: .copy).helpDefaults }

  @OptionGroup var made: TrainSyntheticOptions

  func run() throws { try made.run(.copy) }
}

/// The words of a task with synthetic sequences.
struct TrainSyntheticOptions: ParsableArguments {
  static let basics = [
    "cell", "hidden-size", "sequence-length", "batch-size", "learning-rate", "max-epochs",
    "max-time", "output", "from", "resume", "device", "seed", "help-all",
  ]

  @OptionGroup var place: TrainRunOptions
  @OptionGroup(title: "Network") var recurrent: RecurrentOptions
  @OptionGroup(title: "Optimization") var training: TrainOptions
  @OptionGroup(title: "Optimization") var work: WorkOptions
  @OptionGroup(title: "Length of the run") var bounds: TrainBoundOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if place.resume != nil,
      !(recurrent.isEmpty && training.isEmpty && work.isEmpty && seed.given == nil)
    {
      throw ValidationError(TrainSession.resumeSentence)
    }
    if training.validation != nil || training.validationBytes != nil {
      throw ValidationError(
        "--validation is a share of a text and --validation-bytes counts its bytes, but this task "
          + "has synthetic sequences")
    }
  }

  /// Begins a run of the task, or goes on with one.
  func run(_ task: TrainingTask) throws {
    if let path = place.resume {
      let folder = try RunFolder(path).owned(creating: false)
      let checkpoint = try Checkpoint(contentsOf: folder.last)
      guard checkpoint.description.task == task else {
        throw CarouselError(
          .badData,
          "\(checkpoint.path): expected a run of 'train \(task.rawValue)', found one of "
            + "'train \(checkpoint.description.task.rawValue)'")
      }
      var settings = checkpoint.description.settings
      settings.bounds = bounds.bounds(over: settings.bounds)
      try train(
        task, settings, resuming: checkpoint, from: nil, in: folder,
        on: device.resuming(settings).makeBackend())
    } else {
      let from = try place.startingWeights(recurrent)
      let settings = try newSettings(task, from: from)
      try train(
        task, settings, resuming: nil, from: from, in: place.newFolder(task.rawValue),
        on: device.makeBackend())
    }
  }

  private func newSettings(_ task: TrainingTask, from: StartingWeights?) throws -> TrainingSettings
  {
    if task == .adding {
      for (option, size) in [
        ("--input-size", recurrent.stack.inputSize), ("--embedding-size", training.embeddingSize),
      ] {
        if let size, size != 2 {
          throw CarouselError(
            .usage, "the adding problem has sequences of 2 features, but \(option) is \(size)")
        }
      }
    }
    var settings = try training.settings(
      recurrent: recurrent, work: work, bounds: bounds, defaults: .defaults(for: task), from: from)
    if task == .adding { settings.recurrent.inputSize = 2 }
    settings.seed = seed.seed
    device.record(in: &settings)
    try settings.validate()
    return settings
  }

  private func train<B: Backend>(
    _ task: TrainingTask, _ settings: TrainingSettings, resuming checkpoint: Checkpoint?,
    from: StartingWeights?, in folder: RunFolder, on backend: B
  ) throws {
    let session = TrainSession(
      place: place, output: output, logsGradients: training.logGradients)
    try session.train(
      Trainer(task, settings: settings, backend: backend, resuming: checkpoint) {
        try from?.weights(for: $0, vocabulary: nil, isQuiet: output.quiet)
      }, in: folder)
  }
}
