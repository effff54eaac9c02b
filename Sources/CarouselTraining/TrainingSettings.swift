import CarouselModel

/// Everything that decides how a network is trained; with the text, where there is one, and the device it
/// decides every bit of the result.
public struct TrainingSettings: Hashable, Sendable, Codable {
  /// What the schedule of the learning rate takes as the measure of how much of the run is over.
  public enum Clock: String, Hashable, Sendable, Codable, CaseIterable {
    /// The steps taken, of those that `bounds` allows: repeatable.
    case steps
    /// The seconds gone by, of `bounds.maxSeconds`: not repeatable to the bit.
    case time
  }

  /// The recurrent layers; their `inputSize` is the width of the embedding.
  public var recurrent: RecurrentConfiguration
  /// T, the steps through which gradients travel back, or over which a synthetic sequence has to be
  /// remembered.
  public var sequenceLength = 64
  /// K, the steps whose activations are kept for the way back while others are computed again, see
  /// `TrainingPass`; nil keeps all.
  public var checkpointSteps: Int?
  /// N, the streams read side by side.
  public var batchSize = 64
  /// K, the batches of N whose gradients are added up for one update: that of a batch of K·N, to rounding,
  /// in the memory of N; nil stands for 1.
  public var accumulate: Int?
  /// V, the shards into which each batch of N is cut, see `BatchPieces`: with the same V any number of ranks gives
  /// the same bits; nil means 1.
  public var shards: Int?
  /// Whether each of several ranks keeps the optimizer's moments of its own share of the parameters alone, which
  /// decides no bit; nil stands for false.
  public var shardOptimizer: Bool?
  /// The share of the text, at its end but for the test, that is held out for validation; 0 holds out nothing.
  public var validation = 0.1
  /// The share at the end of the text on which the best model is tested; nil stands for 0.
  public var test: Double?
  /// The bytes of the held-out part that an evaluation predicts at most, spread evenly over it; nil, as in
  /// runs from before this setting, predicts all.
  public var validationBytes: Int? = 1 << 20
  /// How the parameters follow their gradients.
  public var optimizer = OptimizerSettings()
  /// How the learning rate moves.
  public var schedule = LearningRateSchedule(
    .inverseSquareRoot, peak: 0.004, warmupSteps: 100, decaySteps: 500)
  /// By what the schedule measures the run.
  public var scheduleBy = Clock.steps
  /// The norm to which the gradient of all parameters together is cut; nil cuts nothing.
  public var clipNorm: Double? = 1
  /// The decay of an exponential moving average of the parameters, which is then what is evaluated and kept as
  /// the best; nil averages nothing.
  public var averageDecay: Double?
  /// Where the run ends.
  public var bounds: TrainingBounds
  /// The steps between two evaluations.
  public var evaluateEvery = 1000
  /// The steps between two lines of metrics.
  public var logEvery = 100
  /// How often the run is saved beside its evaluations; nil means `SaveInterval.standard`.
  public var saveEvery: SaveInterval?
  /// The evaluations in a row that may bring nothing better before the run ends; nil waits forever.
  public var patience: Int?
  /// The seed of the initial parameters and of dropout.
  public var seed: UInt64 = 1
  /// What computes, as `--device` takes it: for the record, and for a run that is resumed.
  public var device = "auto"
  /// The form of the kernels, as `--kernels` takes it.
  public var kernels = "auto"
  /// To what products may round their factors, as `--precision` takes it; nil means Float32.
  public var precision: String?

  /// The model whose weights the run began with: for the record.
  public var from: String?
  /// Which stack of layers of that model was taken, where it was chosen.
  public var prefix: String?

  /// Settings with every default but the size of the network and the end of the run.
  public init(recurrent: RecurrentConfiguration, bounds: TrainingBounds) {
    self.recurrent = recurrent
    self.bounds = bounds
  }

  /// Settings for a graph, whose layers are its own: every default but the end of the run.
  ///
  /// `recurrent` and `sequenceLength` mean nothing then.
  public init(bounds: TrainingBounds) {
    self.init(recurrent: RecurrentConfiguration(inputSize: 1, hiddenSize: 1), bounds: bounds)
    (sequenceLength, batchSize) = (1, 32)
    schedule = LearningRateSchedule(.cosine, peak: 0.01)
    if !bounds.endsByStep { scheduleBy = .time }
  }

  /// K·N, the sequences of an update.
  public var updateSize: Int { batchSize * (accumulate ?? 1) }

  /// What T and N may not exceed: their products with other sizes then fit an Int, and no device has memory
  /// for more.
  static let maximumSize = 1 << 20

  /// Throws a usage error where settings make no sense, alone or together.
  public func validate() throws(CarouselError) {
    try recurrent.validate()
    try bounds.validate()
    try saveEvery?.validate()
    let most = TrainingBounds.maximumCount
    for (name, value, maximum) in [
      ("number of steps", sequenceLength, Self.maximumSize),
      ("batch size", batchSize, Self.maximumSize),
      ("number of batches of an update", accumulate ?? 1, Self.maximumSize / max(batchSize, 1)),
      ("number of steps between checkpoints", checkpointSteps ?? 1, most),
      ("number of steps between evaluations", evaluateEvery, most),
      ("number of steps between lines of metrics", logEvery, most),
      ("period of the learning rate's decay", schedule.decaySteps, most),
      ("patience in evaluations", patience ?? 1, most),
      ("number of bytes to validate on", validationBytes ?? 1, most),
    ] where !(1...maximum ~= value) {
      throw CarouselError(
        .usage,
        value < 1
          ? "the \(name) must be at least 1, but is \(value)"
          : "the \(name) must be at most \(maximum), but is \(value)")
    }
    let widest = Double(max(recurrent.inputSize, 4 * recurrent.hiddenSize, recurrent.outputSize))
    guard Double(sequenceLength) * Double(batchSize) * widest <= 0x1p46 else {
      throw CarouselError(
        .noDevice,
        "the activations of \(sequenceLength) steps of \(batchSize) sequences with \(recurrent.hiddenSize) hidden "
          + "units are more than any device holds")
    }
    if checkpointSteps != nil, recurrent.direction != .forward {
      throw CarouselError(
        .usage,
        "steps can be computed again from checkpoints where the direction is forward, but it is "
          + recurrent.direction.rawValue)
    }
    let shards = shards ?? 1
    guard 1...batchSize ~= shards, batchSize.isMultiple(of: shards) else {
      throw CarouselError(
        .usage,
        "the number of shards must be one that divides the batch size \(batchSize), but is \(shards)"
      )
    }
    try HeldOut.validate(validation: .share(validation), test: test.map { .share($0) })
    if let clipNorm, !(clipNorm > 0) {
      throw CarouselError(.usage, "the clipping norm must be above 0, but is \(clipNorm)")
    }
    guard Double(sequenceLength) * Double(updateSize) <= 0x1p31 else {
      throw CarouselError(
        .noDevice,
        "the \(updateSize) sequences of \(sequenceLength) steps of an update are more than a host holds"
      )
    }
    if let averageDecay, !(averageDecay > 0 && averageDecay < 1) {
      throw CarouselError(
        .usage,
        "the decay of the average of the weights must be above 0 and below 1, but is \(averageDecay)"
      )
    }
    try optimizer.validate()
    try validateSchedule()
  }

  /// Throws a usage error where the settings make no sense for a text.
  func validateForText() throws(CarouselError) {
    guard recurrent.direction == .forward else {
      throw CarouselError(
        .usage,
        "a network that predicts the next byte cannot read it first: the direction must be forward, "
          + "but is \(recurrent.direction.rawValue)")
    }
  }

  private func validateSchedule() throws(CarouselError) {
    guard schedule.peak > 0, schedule.peak.isFinite else {
      throw CarouselError(
        .usage, "the learning rate must be above 0 and finite, but is \(schedule.peak)")
    }
    guard schedule.final >= 0, schedule.final <= schedule.peak else {
      throw CarouselError(
        .usage,
        "the final learning rate must be between 0 and the learning rate \(schedule.peak), "
          + "but is \(schedule.final)")
    }
    guard 0...TrainingBounds.maximumCount ~= schedule.warmupSteps else {
      throw CarouselError(
        .usage,
        "the number of warm-up steps must be at least 0 and at most \(TrainingBounds.maximumCount), "
          + "but is \(schedule.warmupSteps)")
    }
    guard schedule.decayFactor > 0, schedule.decayFactor <= 1 else {
      throw CarouselError(
        .usage,
        "the factor of the learning rate's decay must be above 0 and at most 1, "
          + "but is \(schedule.decayFactor)")
    }
    switch scheduleBy {
    case .time where bounds.maxSeconds == nil:
      throw CarouselError(
        .usage, "a schedule by time needs a bound in seconds, but the run has none")
    case .steps where schedule.decay.needsHorizon && !bounds.endsByStep:
      throw CarouselError(
        .usage,
        "the schedule \(schedule.decay.rawValue) needs a bound in steps or epochs, or to go by "
          + "time, but the run has neither")
    default:
      break
    }
  }
}

extension TrainingSettings {
  /// How `carousel train` trains where nothing else is asked for: within minutes on two cores these
  /// settings learn the task.
  ///
  /// An LSTM's forget gate begins at a bias of 1 (Jozefowicz et al. 2015), for `copy` of 5. docs/textbook.md has the
  /// commands behind the numbers, and what they printed.
  public static func defaults(for task: TrainingTask) -> TrainingSettings {
    if let task = task.exampleTask { return task.defaults }
    var result = plain(inputSize: 64, hiddenSize: 256, maxEpochs: 10)
    if task == .adding {
      result = plain(inputSize: 2, hiddenSize: 128, maxEpochs: 5)
      (result.sequenceLength, result.batchSize) = (200, 32)
      result.schedule.decay = .constant
      result.schedule.peak = 0.01
    } else if task == .copy {
      result = plain(inputSize: 16, hiddenSize: 128, maxEpochs: 15)
      (result.sequenceLength, result.batchSize) = (50, 32)
      // A symbol waits 60 steps, of which a gate that begins at sigmoid(1) keeps 10⁻⁸, at sigmoid(3) 0.05 and at
      // sigmoid(5) 0.67. With 3, and without clipping, some seeds never begin to learn.
      result.recurrent.options.forgetBias = 5
      result.schedule.peak = 0.01
      result.schedule.decaySteps = 4000
    }
    return result
  }

  /// LSTM layers whose forget gates begin by remembering.
  static func plain(inputSize: Int, hiddenSize: Int, maxEpochs: Int) -> TrainingSettings {
    TrainingSettings(
      recurrent: RecurrentConfiguration(
        inputSize: inputSize, hiddenSize: hiddenSize,
        options: CellOptions(forgetBias: CellOptions.customaryForgetBias)),
      bounds: TrainingBounds(maxEpochs: maxEpochs))
  }

  /// The same for examples of one's own: batches, epochs and evaluations follow their number.
  ///
  /// A run is some 2,500 training steps long, at least 10 and at most 150 epochs.
  public static func defaults(for examples: TrainingExamples) -> TrainingSettings {
    var result = defaults(for: examples.task)
    result.batchSize = examples.count >= 2048 ? 64 : examples.count >= 512 ? 32 : 16
    if examples.description.words == nil {
      result.recurrent.inputSize = examples.description.channels.count
    }
    result.sequenceLength = examples.description.longest
    examples.task.exampleTask?.adapt(&result, to: examples)
    result.follow(examples.count)
    return result
  }

  /// Sets what follows the number of examples, once the size of a batch is known.
  public mutating func follow(_ count: Int) {
    let epochSteps = (count + updateSize - 1) / updateSize
    let epochs = min(max((2500 + epochSteps - 1) / epochSteps, 10), 150)
    bounds = TrainingBounds(maxEpochs: epochs)
    schedule.warmupSteps = min(100, epochs * epochSteps / 10)
    // Whole epochs, but not more often than every 20 steps.
    evaluateEvery = epochSteps * ((20 + epochSteps - 1) / epochSteps)
    logEvery = min(100, evaluateEvery)
  }
}
