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

  func validate() throws(CarouselError) {
    guard endsByStep || maxSeconds != nil else {
      throw CarouselError(.usage, "a run needs a bound in epochs, steps or seconds, but has none")
    }
    for (name, value) in [("epochs", maxEpochs), ("steps", maxSteps)] {
      if let value, value < 1 {
        throw CarouselError(.usage, "the most \(name) must be at least 1, but are \(value)")
      }
    }
    if let maxSeconds, !(maxSeconds > 0) {
      throw CarouselError(.usage, "the longest time must be above 0 s, but is \(maxSeconds) s")
    }
  }
}
