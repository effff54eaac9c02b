import CarouselModel

/// What a loss says in the terms of a task, and what else was measured.
public struct TaskMetrics: Hashable, Sendable {
  /// The mean loss: a cross-entropy in nats, a squared error, or what a forecast minimizes.
  public var loss: Double
  /// Of a text, the cross-entropy in bits per byte: `loss / ln 2`.
  public var bitsPerByte: Double?
  /// Of a text in UTF-8, the bits that a character costs, `bitsPerByte` times its bytes on average.
  public var bitsPerCharacter: Double?
  /// The share of classes or tags that is right.
  public var accuracy: Double?
  /// The mean F1 of all classes.
  public var macroF1: Double?
  /// How often each class, a row, was taken for each, a column.
  public var confusion: [[Int]]?
  /// The F1 of spans that BIO tags mark.
  public var spanF1: Double?
  /// The accuracy of always saying the tag that occurs most often.
  public var mostFrequentTag: Double?
  /// The errors of a forecast; in JSON beside the others, without a name of their own.
  public var forecast: ForecastErrors?
  /// The same errors of repeating the last number, and that of the same place in the season before.
  public var persistence: ForecastErrors?, seasonalPersistence: ForecastErrors?
  /// The share of numbers between the lowest and the highest quantile.
  public var coverage: Double?
  /// What `Metric`s of one's own are, by their names; not in JSON, where lines of metrics have them.
  public var others: [String: Double]?

  /// Takes the loss of a task without a text.
  public init(loss: Double) { self.loss = loss }

  /// Takes the loss of a text in nats per byte; `bytesPerCharacter` is nil where it is not UTF-8.
  public init(lossPerByte loss: Double, bytesPerCharacter: Double?) {
    self.loss = loss
    let bits = loss / 0.693147180559945309417232121458
    bitsPerByte = bits
    bitsPerCharacter = bytesPerCharacter.map { bits * $0 }
  }
}

extension TaskMetrics: Codable {
  private enum CodingKeys: CodingKey {
    case loss, bitsPerByte, bitsPerCharacter, accuracy, macroF1, confusion, spanF1, mostFrequentTag
    case persistence, seasonalPersistence, coverage
  }

  /// Reads metrics.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    loss = try values.decode(Double.self, forKey: .loss)
    bitsPerByte = try values.decodeIfPresent(Double.self, forKey: .bitsPerByte)
    bitsPerCharacter = try values.decodeIfPresent(Double.self, forKey: .bitsPerCharacter)
    accuracy = try values.decodeIfPresent(Double.self, forKey: .accuracy)
    macroF1 = try values.decodeIfPresent(Double.self, forKey: .macroF1)
    confusion = try values.decodeIfPresent([[Int]].self, forKey: .confusion)
    spanF1 = try values.decodeIfPresent(Double.self, forKey: .spanF1)
    mostFrequentTag = try values.decodeIfPresent(Double.self, forKey: .mostFrequentTag)
    persistence = try values.decodeIfPresent(ForecastErrors.self, forKey: .persistence)
    seasonalPersistence = try values.decodeIfPresent(
      ForecastErrors.self, forKey: .seasonalPersistence)
    coverage = try values.decodeIfPresent(Double.self, forKey: .coverage)
    forecast = persistence == nil ? nil : try ForecastErrors(from: decoder)
  }

  /// Writes metrics; what was not measured is absent.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(loss, forKey: .loss)
    try values.encodeIfPresent(bitsPerByte, forKey: .bitsPerByte)
    try values.encodeIfPresent(bitsPerCharacter, forKey: .bitsPerCharacter)
    try values.encodeIfPresent(accuracy, forKey: .accuracy)
    try values.encodeIfPresent(macroF1, forKey: .macroF1)
    try values.encodeIfPresent(confusion, forKey: .confusion)
    try values.encodeIfPresent(spanF1, forKey: .spanF1)
    try values.encodeIfPresent(mostFrequentTag, forKey: .mostFrequentTag)
    try values.encodeIfPresent(persistence, forKey: .persistence)
    try values.encodeIfPresent(seasonalPersistence, forKey: .seasonalPersistence)
    try values.encodeIfPresent(coverage, forKey: .coverage)
    try forecast?.encode(to: encoder)
  }
}
