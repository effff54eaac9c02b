import CarouselModel

/// A line of `metrics.jsonl`: what was logged on the way, or what an evaluation found.
public struct TrainingMetrics: Hashable, Sendable, Codable {
  /// The steps taken.
  public var step: Int
  /// The epoch of the last step, counted from 1.
  public var epoch: Int
  /// The seconds of all sessions so far.
  public var seconds: Double
  /// The learning rate of the last step; absent from an evaluation.
  public var learningRate: Double?
  /// The mean loss of the steps since the last such line, in nats; absent from an evaluation.
  public var trainingLoss: Double?
  /// The norm of the gradient in the last step before it was clipped; absent where nothing is clipped.
  public var gradientNorm: Double?
  /// The bytes of a text trained on per second since the last such line, evaluations left out.
  public var bytesPerSecond: Double?
  /// The same of other tasks, in sequences.
  public var sequencesPerSecond: Double?
  /// The loss of the held-out part in nats; absent where nothing is held out.
  public var validationLoss: Double?
  /// The same of a text in bits per byte, and in bits per character where the text is UTF-8.
  ///
  /// Files from before `bitsPerByte` have the bits per byte under the other name.
  public var bitsPerByte: Double?, bitsPerCharacter: Double?
  /// What an evaluation found beside the loss, where the task has more, but for the confusion.
  public var accuracy: Double?, macroF1: Double?, spanF1: Double?
  /// The same of a forecast.
  public var mae: Double?, rmse: Double?, mase: Double?, smape: Double?, coverage: Double?
  /// What `Metric`s of one's own are on the held-out part, by their names.
  public var metrics: [String: Double]?
  /// Whether the evaluation was the best so far.
  public var isBest: Bool?
  /// How the gradient of a loss at the last step travels back, where that is measured.
  public var gradientNorms: [GradientNorm]?
}

extension TrainingMetrics {
  /// Takes over what an evaluation of the held-out part found.
  mutating func take(_ metrics: TaskMetrics?) {
    guard let metrics else { return }
    validationLoss = metrics.loss
    (bitsPerByte, bitsPerCharacter) = (metrics.bitsPerByte, metrics.bitsPerCharacter)
    (accuracy, macroF1, spanF1) = (metrics.accuracy, metrics.macroF1, metrics.spanF1)
    (mae, rmse) = (metrics.forecast?.mae, metrics.forecast?.rmse)
    (mase, smape) = (metrics.forecast?.mase, metrics.forecast?.smape)
    coverage = metrics.coverage
    self.metrics = metrics.others
  }
}

/// What a trainer reports while it runs.
public enum TrainingEvent: Sendable {
  /// A step was taken.
  case stepped(TrainingProgress)
  /// A line of metrics on the training was due.
  case logged(TrainingMetrics, TrainingProgress)
  /// An evaluation is under way, of which this share is done, from 0 to 1.
  case evaluating(Double)
  /// An evaluation was done.
  case evaluated(TrainingMetrics, TrainingProgress)
  /// A checkpoint from which the run can be resumed was saved after this step.
  case saved(step: Int)
  /// How every rank fares, after a line of metrics, where that was asked for.
  case ranks(step: Int, [RankProgress])
  /// Something that whoever trains should know; one sentence.
  case warned(String)
}

/// How far a run is, for people to see.
public struct TrainingProgress: Sendable {
  /// The steps taken.
  public var step: Int
  /// The epoch of the last step, counted from 1.
  public var epoch: Int
  /// How much of the run is over, from 0 to 1, by the bound that will end it first.
  public var fraction: Double
  /// The seconds until then; nil before the first step of a session.
  public var secondsLeft: Double?
  /// The loss of the last step.
  public var loss: Double
  /// The bytes of a text trained on per second in this session, or the sequences of other tasks,
  /// evaluations left out.
  public var rate: Double
}

/// How a run ended, and with what.
public struct TrainingResult: Sendable {
  /// Why a run ends.
  public enum Reason: String, Sendable, Codable {
    /// The last epoch is over.
    case epochs
    /// The last step was taken.
    case steps
    /// The time is up.
    case time
    /// The evaluations brought nothing better for too long.
    case patience
    /// It was asked to stop; the run can be resumed.
    case interrupted
  }

  /// Why the run ended.
  public var reason: Reason
  /// How far it came, with its losses.
  public var position: TrainingPosition
  /// The epoch of the last step, counted from 1.
  public var epoch: Int
  /// The bytes of a text trained on per second in this session, or the sequences of other tasks,
  /// evaluations left out; 0 without a step.
  public var rate: Double
}
