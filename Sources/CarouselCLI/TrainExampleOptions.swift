import ArgumentParser
import Carousel
import Foundation

/// The words of a task on one's own data, and how it is trained.
struct TrainExampleOptions: ParsableArguments {
  /// What the first page of help shows of them, beside what is the task's own.
  static let basics = [
    "test", "validation", "cell", "hidden-size", "layers", "bidirectional", "learning-rate",
    "max-epochs", "max-time", "patience", "output", "from", "resume", "device", "seed", "json",
    "help-all",
  ]

  @Argument(help: ArgumentHelp("The data to learn from."))
  var file: String?

  @Option(
    help: ArgumentHelp(
      "What the trained model is tested on: a file, or a share of the data.",
      valueName: "file|share"))
  var test: HeldOut?

  @Option(
    help: ArgumentHelp("Of a table, the column that tells sequences apart.", valueName: "column"))
  var id: String?

  @Option(
    help: ArgumentHelp(
      "Of a table, the column by which steps are ordered; without it the order of the file.",
      valueName: "column"))
  var time: String?

  @Flag(help: "The first row of a table is data; columns are called 1, 2, ….")
  var noHeader = false

  @OptionGroup var common: TrainCommonOptions

  /// Whether nothing was given that decides what is computed.
  private var isEmpty: Bool {
    file == nil && test == nil && id == nil && time == nil && !noHeader && common.isEmpty
  }

  func validate() throws {
    if common.place.resume == nil, file == nil {
      throw ValidationError("the data to learn from are missing; expected a file")
    }
    if common.training.validationBytes != nil {
      throw ValidationError(
        "--validation-bytes counts bytes of a text, which this task does not read")
    }
    if common.training.checkpointSteps != nil {
      throw ValidationError(
        "--checkpoint-steps is for a text and for synthetic sequences, which this task does not read"
      )
    }
  }

  /// Begins a run of the task, or goes on with one; `isPlain` says whether the task's own words are absent.
  func run(
    _ task: TrainingTask, isPlain: Bool,
    _ complete: @escaping (inout DataSettings) throws -> Void
  ) throws {
    if common.place.resume != nil, !isEmpty || !isPlain {
      throw ValidationError(TrainSession.resumeSentence + " or the data")
    }
    try Ranks.run(common.device) { try run(task, $0, complete) }
  }

  private func run(
    _ task: TrainingTask, _ ranks: any Communicator,
    _ complete: (inout DataSettings) throws -> Void
  ) throws {
    if let path = common.place.resume {
      return try resume(task, common.place.resumedFolder(path, ranks), ranks)
    }
    let from = try common.startingWeights()
    let device = try common.device.of(ranks)
    device.loadDrivers()
    var data = DataSettings(file: file ?? "")
    if let validation = common.training.validation { data.validation = validation }
    data.test = test
    (data.columns.id, data.columns.time, data.columns.hasHeader) = (id, time, !noHeader)
    try complete(&data)
    try data.validate()
    try data.requireUse(by: task)
    let path = data.file
    Progress.show(Status("reading \(path)"))
    let examples = try TrainingExamples(task, settings: data, seed: common.seed.seed)
    let settings = try settings(examples, from: from, ranks)
    let name = URL(fileURLWithPath: data.file).deletingPathExtension().lastPathComponent
    try train(
      examples, settings, resuming: nil, from: from, in: common.place.newFolder(name, ranks), ranks,
      on: device.makeBackend())
  }

  private func resume(
    _ task: TrainingTask, _ folder: RunFolder, _ ranks: any Communicator
  ) throws {
    let checkpoint = try common.checkpoint(of: task, in: folder)
    let settings = common.settings(resuming: checkpoint)
    let device = try common.device.resuming(settings).of(ranks)
    device.loadDrivers()
    let examples = try TrainingExamples(resuming: checkpoint)
    try train(
      examples, settings, resuming: checkpoint, from: nil, in: folder, ranks,
      on: device.makeBackend())
  }

  private func settings(
    _ examples: TrainingExamples, from: StartingWeights?, _ ranks: any Communicator
  ) throws -> TrainingSettings {
    if common.work.sequenceLength != nil {
      throw CarouselError(
        .usage,
        examples.task == .forecast
          ? "--sequence-length is not for a forecast, whose window --window sets"
          : "--sequence-length is not for sequences that have a length of their own")
    }
    let description = examples.description
    var defaults = TrainingSettings.defaults(for: examples)
    if common.recurrent.cell == .lstm {
      defaults.recurrent.options.forgetBias = CellOptions.customaryForgetBias
    }
    if let batchSize = common.work.batchSize {
      defaults.batchSize = try atLeastOne(batchSize, "--batch-size")
    }
    if let count = common.training.accumulate {
      defaults.accumulate = try atLeastOne(count, "--accumulate")
    }
    defaults.follow(examples.count)
    let channels = description.channels.count
    if description.words == nil {
      try common.requireInputSize(channels) { option, size in
        "\(option) is \(size), but the data have \(channels) channels"
      }
    }
    return try common.settings(defaults: defaults, from: from, ranks) { result in
      if description.words == nil { result.recurrent.inputSize = channels }
      // A schedule that ends with the run needs an end in epochs, also where time was bounded.
      if !result.bounds.endsByStep, result.scheduleBy == .steps {
        result.bounds.maxEpochs = defaults.bounds.maxEpochs
      }
      result.validation = 0
    }
  }

  private func train<B: Backend>(
    _ examples: TrainingExamples, _ settings: TrainingSettings, resuming checkpoint: Checkpoint?,
    from: StartingWeights?, in folder: RunFolder, _ ranks: any Communicator, on backend: B
  ) throws {
    try common.session.train(
      Trainer(
        examples, settings: settings, backend: backend, ranks: ranks, resuming: checkpoint
      ) {
        try common.weights(of: from, for: $0)
      }, examples, in: folder)
  }
}

/// `--missing`, for commands that read numbers.
struct MissingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What stands for empty cells and NaN: error refuses them, zero, forward repeats the one before."
    ))
  var missing: MissingValues?
}

extension MissingValues: ExpressibleByArgument {}
extension Pooling: ExpressibleByArgument {}

/// Names of columns, separated by commas.
struct NameList: ExpressibleByArgument {
  let names: [String]

  init?(argument: String) {
    names = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard names.allSatisfy({ !$0.isEmpty }) else { return nil }
  }
}

extension ForecastLoss: ExpressibleByArgument {
  /// `mse`, `mae`, `huber`, `gaussian`, or `quantile:` and the levels.
  public init?(argument: String) {
    switch argument {
    case "mse": self = .squared
    case "mae": self = .absolute
    case "huber": self = .huber
    case "gaussian": self = .gaussian
    default:
      guard argument.hasPrefix("quantile:") else { return nil }
      let levels = argument.dropFirst(9).split(separator: ",", omittingEmptySubsequences: false)
        .map { Double($0) }
      guard levels.allSatisfy({ $0 != nil }) else { return nil }
      self = .quantile(levels.compactMap(\.self))
    }
  }
}
