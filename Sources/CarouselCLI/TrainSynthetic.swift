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

  @OptionGroup var common: TrainCommonOptions

  func validate() throws {
    if common.place.resume != nil, !common.isEmpty {
      throw ValidationError(TrainSession.resumeSentence)
    }
    if common.training.validation != nil || common.training.validationBytes != nil {
      throw ValidationError(
        "--validation is a share of a text and --validation-bytes counts its bytes, but this task "
          + "has synthetic sequences")
    }
  }

  /// Begins a run of the task, or goes on with one.
  func run(_ task: TrainingTask) throws {
    try Ranks.run(common.device) { try run(task, $0) }
  }

  private func run(_ task: TrainingTask, _ ranks: any Communicator) throws {
    if let path = common.place.resume {
      let folder = try common.place.resumedFolder(path, ranks)
      let checkpoint = try common.checkpoint(of: task, in: folder)
      let settings = common.settings(resuming: checkpoint)
      try train(
        task, settings, resuming: checkpoint, from: nil, in: folder, ranks,
        on: common.device.resuming(settings).of(ranks).makeBackend())
    } else {
      let from = try common.startingWeights()
      let settings = try newSettings(task, from: from, ranks)
      try train(
        task, settings, resuming: nil, from: from,
        in: common.place.newFolder(task.rawValue, ranks), ranks,
        on: common.device.of(ranks).makeBackend())
    }
  }

  private func newSettings(
    _ task: TrainingTask, from: StartingWeights?, _ ranks: any Communicator
  ) throws -> TrainingSettings {
    if task == .adding {
      try common.requireInputSize(2) { option, size in
        "the adding problem has sequences of 2 features, but \(option) is \(size)"
      }
    }
    return try common.settings(defaults: .defaults(for: task), from: from, ranks) { settings in
      if task == .adding { settings.recurrent.inputSize = 2 }
    }
  }

  private func train<B: Backend>(
    _ task: TrainingTask, _ settings: TrainingSettings, resuming checkpoint: Checkpoint?,
    from: StartingWeights?, in folder: RunFolder, _ ranks: any Communicator, on backend: B
  ) throws {
    try common.session.train(
      Trainer(task, settings: settings, backend: backend, ranks: ranks, resuming: checkpoint) {
        try common.weights(of: from, for: $0)
      }, in: folder)
  }
}
