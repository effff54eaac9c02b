import CarouselModel

/// How far a run has come: all that its next step needs besides tensors.
public struct TrainingPosition: Hashable, Sendable, Codable {
  /// The steps taken; with the length of an epoch it says which window comes next.
  public internal(set) var step = 0
  /// The seconds of all sessions so far.
  public internal(set) var seconds = 0.0
  /// The training losses since the last line of metrics.
  var logged = RunningMean()
  /// The training losses since the last evaluation that was due.
  var evaluated = RunningMean()
  /// The mean training loss of the last line of metrics, in nats.
  public internal(set) var trainingLoss: Double?
  /// The last evaluation.
  public internal(set) var evaluation: Evaluation?
  /// The best evaluation so far.
  public internal(set) var best: Evaluation?
  /// The evaluations that were due since the best one.
  public internal(set) var evaluationsSinceBest = 0

  /// Before the first step.
  public init() {}

  /// Throws where the numbers are none that a run can have come to.
  func validate() throws(CarouselError) {
    guard 0...TrainingBounds.maximumCount ~= step else {
      throw CarouselError(
        .badData,
        "the steps taken must be between 0 and \(TrainingBounds.maximumCount), but are \(step)")
    }
    guard 0...TrainingBounds.maximumSeconds ~= seconds else {
      throw CarouselError(
        .badData,
        "the seconds so far must be between 0 and \(TrainingBounds.maximumSeconds), but are \(seconds)"
      )
    }
    for (name, value) in [
      ("losses since the last line of metrics", logged.count),
      ("losses since the last evaluation", evaluated.count),
      ("step of the last evaluation", evaluation?.step ?? 0),
      ("step of the best evaluation", best?.step ?? 0),
      ("evaluations since the best one", evaluationsSinceBest),
    ] where !(0...step ~= value) {
      throw CarouselError(
        .badData, "the \(name) must be between 0 and the \(step) steps taken, but are \(value)")
    }
    let losses = [logged.sum, evaluated.sum, trainingLoss, evaluation?.loss, best?.loss]
    for loss in losses.compactMap(\.self) where !loss.isFinite || loss.magnitude > 1e300 {
      throw CarouselError(.badData, "a loss must be finite, but is \(loss)")
    }
  }

  /// What was found at a step.
  public struct Evaluation: Hashable, Sendable, Codable {
    /// The steps taken by then.
    public var step: Int
    /// The mean loss of the held-out part, or, where nothing is held out, of the training steps since
    /// the last evaluation.
    public var loss: Double
    /// What else was measured, but for the confusion.
    public var metrics: TaskMetrics?
  }

  /// Takes note of a step and its loss; `seconds` are those of all sessions so far.
  mutating func take(_ loss: Double, seconds: Double) {
    step += 1
    logged.add(loss)
    evaluated.add(loss)
    self.seconds = seconds
  }

  /// Takes note of an evaluation and says whether it is the best so far.
  ///
  /// The best has the lowest loss; where classes or tags are told, the highest accuracy, and of those with
  /// the same accuracy the lowest loss. One that was not `due`, at the end of a run, does not use up patience.
  mutating func record(_ loss: Double, _ metrics: TaskMetrics? = nil, due: Bool) -> Bool {
    var current = Evaluation(step: step, loss: loss, metrics: metrics)
    current.metrics?.confusion = nil
    evaluation = current
    if due {
      evaluated = RunningMean()
      evaluationsSinceBest += 1
    }
    let isLower = loss < best?.loss ?? .infinity
    var isBest = isLower
    if let accuracy = metrics?.accuracy, let known = best?.metrics?.accuracy {
      isBest = accuracy > known || accuracy == known && isLower
    }
    if isBest { (best, evaluationsSinceBest) = (current, 0) }
    return isBest
  }
}

/// A mean of values that come one by one.
struct RunningMean: Hashable, Sendable, Codable {
  private(set) var sum = 0.0
  private(set) var count = 0

  mutating func add(_ value: Double) {
    sum += value
    count += 1
  }

  /// The mean; nil before the first value.
  var value: Double? { count == 0 ? nil : sum / Double(count) }
}
