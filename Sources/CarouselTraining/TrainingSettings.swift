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
  /// T, the steps through which gradients travel back, or over which a made sequence has to be
  /// remembered.
  public var steps = 64
  /// K, the steps whose activations are kept for the way back while others are computed again, see
  /// `TrainingPass`; nil keeps all.
  public var checkpointSteps: Int?
  /// N, the streams read side by side.
  public var batchSize = 64
  /// The share of the text, at its end, that is held out for validation; 0 holds out nothing.
  public var validation = 0.1
  /// How the parameters follow their gradients.
  public var optimizer = OptimizerSettings()
  /// How the learning rate moves.
  public var schedule = LearningRateSchedule(
    .inverseSquareRoot, peak: 0.004, warmupSteps: 100, decaySteps: 500)
  /// By what the schedule measures the run.
  public var scheduleBy = Clock.steps
  /// The norm to which the gradient of all parameters together is cut; nil cuts nothing.
  public var clipNorm: Double? = 1
  /// Where the run ends.
  public var bounds: TrainingBounds
  /// The steps between two evaluations.
  public var evaluateEvery = 1000
  /// The steps between two lines of metrics.
  public var logEvery = 100
  /// The evaluations in a row that may bring nothing better before the run ends; nil waits forever.
  public var patience: Int?
  /// The seed of the initial parameters and of dropout.
  public var seed: UInt64 = 1
  /// What computes, as `--device` takes it: for the record, and for a run that is resumed.
  public var device = "auto"
  /// The form of the kernels, as `--kernels` takes it.
  public var kernels = "auto"
  /// To what products may round their factors, as `--precision` takes it; nil stands for Float32.
  public var precision: String?

  /// The model whose weights the run began with: for the record.
  public var from: String?

  /// Settings with every default but the size of the network and the end of the run.
  public init(recurrent: RecurrentConfiguration, bounds: TrainingBounds) {
    self.recurrent = recurrent
    self.bounds = bounds
  }

  /// Throws a usage error where settings make no sense, alone or together.
  public func validate() throws(CarouselError) {
    try recurrent.validate()
    try bounds.validate()
    for (name, value) in [
      ("number of steps", steps), ("batch size", batchSize),
      ("number of steps between evaluations", evaluateEvery),
      ("number of steps between lines of metrics", logEvery),
      ("period of the learning rate's decay", schedule.decaySteps),
    ] where value < 1 {
      throw CarouselError(.usage, "the \(name) must be at least 1, but is \(value)")
    }
    if let checkpointSteps {
      guard checkpointSteps >= 1 else {
        throw CarouselError(
          .usage,
          "the number of steps between checkpoints must be at least 1, but is \(checkpointSteps)")
      }
      guard recurrent.direction == .forward else {
        throw CarouselError(
          .usage,
          "steps can be computed again from checkpoints where the direction is forward, but it is "
            + recurrent.direction.rawValue)
      }
    }
    if let patience, patience < 1 {
      throw CarouselError(.usage, "the patience must be at least 1 evaluation, but is \(patience)")
    }
    guard validation >= 0, validation < 1 else {
      throw CarouselError(
        .usage, "the validation share must be at least 0 and below 1, but is \(validation)")
    }
    if let clipNorm, !(clipNorm > 0) {
      throw CarouselError(.usage, "the clipping norm must be above 0, but is \(clipNorm)")
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
    guard schedule.warmupSteps >= 0 else {
      throw CarouselError(
        .usage, "the number of warm-up steps must be at least 0, but is \(schedule.warmupSteps)")
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
