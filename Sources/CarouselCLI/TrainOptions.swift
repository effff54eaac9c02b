import ArgumentParser
import Carousel

/// How a network is trained; each is optional, so that `--resume` can tell what was given.
struct TrainOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("E, the width of the embedding.", valueName: "count"))
  var embeddingSize: Int?

  @Option(help: "The optimizer.")
  var optimizer: OptimizerSettings.Kind?

  @Option(
    help: ArgumentHelp(
      "The learning rate after the warm-up.",
      valueName: "rate"))
  var learningRate: Double?

  @Option(help: ArgumentHelp("The weight decay.", valueName: "number"))
  var weightDecay: Double?

  @Option(help: ArgumentHelp("The momentum of sgd.", valueName: "number"))
  var momentum: Double?

  @Option(
    help: ArgumentHelp(
      "How the learning rate falls.",
      discussion: "cosine and linear end with the run; the others do not depend on its length."))
  var schedule: LearningRateSchedule.Decay?

  @Option(
    help: ArgumentHelp(
      "By what cosine and linear measure the run; time is not repeatable bit for bit."))
  var scheduleBy: TrainingSettings.Clock?

  @Option(
    help: ArgumentHelp(
      "The steps in which the learning rate rises.", valueName: "count"))
  var warmupSteps: Int?

  @Option(
    help: ArgumentHelp(
      "The learning rate at the end, or the least one.", valueName: "rate"))
  var finalLearningRate: Double?

  @Option(
    help: ArgumentHelp(
      "The period of the schedule step; where inverse-sqrt begins to fall.",
      valueName: "count"))
  var decaySteps: Int?

  @Option(
    help: ArgumentHelp("The factor of the schedule step.", valueName: "number"))
  var decayFactor: Double?

  @Option(
    help: ArgumentHelp(
      "The norm to which the whole gradient is cut, 0 for none.",
      valueName: "norm"))
  var clipNorm: Double?

  @Option(
    help: ArgumentHelp(
      "Add up the gradients of K batches for each update.",
      discussion: """
        An update is that of a batch K times as large, to rounding, in the memory of one. Epochs, \
        evaluations and schedules count updates.
        """, valueName: "K"))
  var accumulate: Int?

  @Option(
    help: ArgumentHelp(
      "Cut each batch into V shards, which ranks compute side by side.",
      discussion: """
        The gradients of shards are added in one fixed order, so that any number of ranks that divides V \
        gives the same bits. Without it V is the number of ranks, see docs/many-machines.md.
        """, valueName: "V"))
  var shards: Int?

  @Option(
    help: ArgumentHelp(
      "Evaluate and keep an exponential moving average of the weights.",
      discussion: """
        After update t it is moved by 1 - min(decay, t / (t + 9)) of the way to the weights. Training \
        goes on with the weights themselves.
        """, valueName: "decay"))
  var ema: Double?

  @Option(
    help: ArgumentHelp(
      "Keep the activations of K steps alone and compute those before again.",
      discussion: """
        For long windows: memory grows with K and with T/K, time by at most one forward pass, and \
        no bit of the result changes. K is rounded up to a multiple of 64.
        """, valueName: "K"))
  var checkpointSteps: Int?

  @Option(
    help: ArgumentHelp(
      "What is held out: a file, or a share, of a text or a series its end; 0 for none.",
      valueName: "share|file"))
  var validation: HeldOut?

  @Option(
    help: ArgumentHelp(
      "The bytes of what is held out that an evaluation reads at most, spread evenly, or all.",
      valueName: "count|all"))
  var validationBytes: ByteLimit?

  @Option(
    help: ArgumentHelp("The steps between evaluations.", valueName: "count"))
  var evaluateEvery: Int?

  @Option(
    help: ArgumentHelp("The steps between lines of metrics.", valueName: "count"))
  var logEvery: Int?

  @Option(
    help: ArgumentHelp(
      "End after this many evaluations in a row without a better one.", valueName: "count"))
  var patience: Int?

  @Flag(
    help: """
      Let each of several ranks keep the optimizer's moments of its own share of the parameters alone; no bit of
      the result changes.
      """)
  var shardOptimizer = false

  @Flag(help: "Say with each line of metrics how every rank fares.")
  var logRanks = false

  @Flag(
    help: """
      Log with the metrics how the gradient of a loss at the last step travels back, as
      'carousel gradients' shows it.
      """)
  var logGradients = false

  /// Whether nothing was given that decides what is computed.
  var isEmpty: Bool {
    embeddingSize == nil && optimizer == nil && learningRate == nil && weightDecay == nil
      && momentum == nil && schedule == nil && scheduleBy == nil && warmupSteps == nil
      && finalLearningRate == nil && decaySteps == nil && decayFactor == nil && clipNorm == nil
      && accumulate == nil && shards == nil && ema == nil && checkpointSteps == nil
      && validation == nil
      && validationBytes == nil
      && evaluateEvery == nil && logEvery == nil
      && patience == nil
  }

  func validate() throws {
    if momentum != nil, optimizer != .sgd {
      throw ValidationError("--momentum belongs to --optimizer sgd, but the optimizer is another")
    }
    if decayFactor != nil, schedule != .step {
      throw ValidationError(
        "--decay-factor belongs to --schedule step, but the schedule is another")
    }
    if let clipNorm, !(clipNorm >= 0) {
      throw ValidationError("--clip-norm must be at least 0, but is \(clipNorm)")
    }
  }

  /// The defaults with what was given in their place.
  func settings(
    recurrent: RecurrentOptions, work: WorkOptions, bounds: TrainBoundOptions,
    defaults: TrainingSettings, from: StartingWeights? = nil
  ) throws -> TrainingSettings {
    if let embeddingSize, let inputSize = recurrent.stack.inputSize, embeddingSize != inputSize {
      throw CarouselError(
        .usage,
        "--embedding-size \(embeddingSize) and --input-size \(inputSize) are the same size here, "
          + "expected only one of them")
    }
    var result = defaults
    result.bounds = bounds.bounds(defaults: defaults.bounds)
    if let from {
      result.recurrent = from.layers(cell: recurrent.cell, defaults: defaults.recurrent)
      result.from = from.model.source
    }
    result.recurrent = try recurrent.configuration(defaults: result.recurrent)
    if let embeddingSize {
      result.recurrent.inputSize = try atLeastOne(embeddingSize, "--embedding-size")
    }
    (result.sequenceLength, result.batchSize) = try work.sizes(
      sequenceLength: result.sequenceLength, batchSize: result.batchSize)
    if let optimizer { result.optimizer.kind = optimizer }
    if let weightDecay { result.optimizer.weightDecay = weightDecay }
    if let momentum { result.optimizer.momentum = momentum }
    if let schedule { result.schedule.decay = schedule }
    if let learningRate { result.schedule.peak = learningRate }
    if let finalLearningRate { result.schedule.final = finalLearningRate }
    if let warmupSteps { result.schedule.warmupSteps = warmupSteps }
    if let decaySteps { result.schedule.decaySteps = decaySteps }
    if let decayFactor { result.schedule.decayFactor = decayFactor }
    if let scheduleBy { result.scheduleBy = scheduleBy }
    if let clipNorm { result.clipNorm = clipNorm == 0 ? nil : clipNorm }
    if let accumulate { result.accumulate = accumulate }
    if let shards { result.shards = shards }
    if shardOptimizer { result.shardOptimizer = true }
    if let ema { result.averageDecay = ema }
    if let checkpointSteps { result.checkpointSteps = checkpointSteps }
    if case .share(let share) = validation { result.validation = share }
    if let validationBytes { result.validationBytes = validationBytes.count }
    if let evaluateEvery { result.evaluateEvery = evaluateEvery }
    if let logEvery { result.logEvery = logEvery }
    result.patience = patience
    return result
  }
}

extension OptimizerSettings.Kind: ExpressibleByArgument {}
extension LearningRateSchedule.Decay: ExpressibleByArgument {}
extension TrainingSettings.Clock: ExpressibleByArgument {}

extension HeldOut: ExpressibleByArgument {
  /// A number is a share, anything else a file.
  public init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    self = Double(argument).map { .share($0) } ?? .file(argument)
  }
}

/// A number of bytes, or `all` of them.
struct ByteLimit: ExpressibleByArgument {
  let count: Int?

  init?(argument: String) {
    count = Int(argument)
    guard count != nil || argument == "all" else { return nil }
  }
}
