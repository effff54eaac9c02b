/// What a network is trained for.
public enum TrainingTask: String, Hashable, Sendable, Codable, CaseIterable {
  /// The next byte of a text.
  case text
  /// The sum of two marked numbers of a sequence.
  case adding
  /// A few symbols again, after a long pause.
  case copy
  /// The class of a sequence of one's own.
  case classify
  /// The next numbers of a series of one's own.
  case forecast
  /// The tag of each word of a sequence of one's own.
  case tag

  /// Whether the task reads one's own examples, see `TrainingExamples`.
  public var readsExamples: Bool { [.classify, .forecast, .tag].contains(self) }
}
