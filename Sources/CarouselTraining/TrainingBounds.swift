import CarouselModel

/// Where a run ends: at the first bound that it meets.
public struct TrainingBounds: Hashable, Sendable, Codable {
  /// The walks through the training part of the text.
  public var maxEpochs: Int?
  /// The updates of the parameters.
  public var maxSteps: Int?
  /// The seconds of all sessions of the run together, evaluations included.
  public var maxSeconds: Double?

  /// Bounds of which at least one has to be there.
  public init(maxEpochs: Int? = nil, maxSteps: Int? = nil, maxSeconds: Double? = nil) {
    self.maxEpochs = maxEpochs
    self.maxSteps = maxSteps
    self.maxSeconds = maxSeconds
  }

  /// Whether the run's last step is known before it begins.
  public var endsByStep: Bool { maxEpochs != nil || maxSteps != nil }

  /// The last step where each epoch has `windowCount` steps; nil where only time ends the run.
  public func horizon(windowCount: Int) -> Int? {
    [
      maxSteps,
      maxEpochs.map { $0.multipliedReportingOverflow(by: windowCount) }.map {
        $0.overflow ? Int.max : $0.partialValue
      },
    ].compactMap(\.self).min()
  }

  /// What counts of steps, epochs and evaluations may not exceed: what random numbers are told apart by.
  static let maximumCount = 1 << 40 - 1
  /// What seconds may not exceed: some 300 years.
  static let maximumSeconds = 1e10

  func validate() throws(CarouselError) {
    guard endsByStep || maxSeconds != nil else {
      throw CarouselError(.usage, "a run needs a bound in epochs, steps or seconds, but has none")
    }
    for (name, value) in [("epochs", maxEpochs), ("steps", maxSteps)] {
      if let value, !(1...Self.maximumCount ~= value) {
        throw CarouselError(
          .usage,
          "the most \(name) must be between 1 and \(Self.maximumCount), but are \(value)")
      }
    }
    if let maxSeconds, !(maxSeconds > 0 && maxSeconds <= Self.maximumSeconds) {
      throw CarouselError(
        .usage,
        "the longest time must be above 0 s and at most \(Self.maximumSeconds) s, but is \(maxSeconds) s"
      )
    }
  }
}

/// How often a run is saved beside its evaluations.
public enum SaveInterval: Hashable, Sendable, Codable {
  /// After this many seconds.
  case seconds(Double)
  /// After this many training steps.
  case steps(Int)

  /// Every five minutes.
  public static let standard = SaveInterval.seconds(300)

  func validate() throws(CarouselError) {
    switch self {
    case .seconds(let seconds):
      guard seconds > 0, seconds <= TrainingBounds.maximumSeconds else {
        throw CarouselError(
          .usage,
          "the time between two saves must be above 0 s and at most \(TrainingBounds.maximumSeconds) s, "
            + "but is \(seconds) s")
      }
    case .steps(let count):
      guard 1...TrainingBounds.maximumCount ~= count else {
        throw CarouselError(
          .usage,
          "the steps between two saves must be between 1 and \(TrainingBounds.maximumCount), "
            + "but are \(count)")
      }
    }
  }
}
