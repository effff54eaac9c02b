import CarouselFormats
import CarouselModel
import Foundation

/// What an experiment measured, and what it shows.
public struct ExperimentResult: Sendable {
  /// Why an experiment ended.
  public enum End: String, Sendable, Encodable {
    /// Everything was measured.
    case complete
    /// The budget was used up before that.
    case budget
    /// Whoever ran it stopped it.
    case interrupted
  }

  /// A column of the table.
  public struct Column: Sendable {
    /// How a number is written.
    public enum Format: Sendable {
      /// A whole number with its thousands apart.
      case count
      /// Three significant digits, or a power of ten.
      case number
      /// Bytes with their unit; seconds with theirs; a share in percent.
      case bytes, seconds, percent
    }

    /// The name in the JSON document.
    public let key: String
    /// The heading, with the unit.
    public let title: String
    /// How its numbers are written.
    public let format: Format

    /// Describes a column.
    public init(_ key: String, _ title: String, _ format: Format = .number) {
      (self.key, self.title, self.format) = (key, title, format)
    }
  }

  /// A case that was measured.
  public struct Row: Sendable {
    /// What it is, in words.
    public let name: String
    /// The command that does the same by itself, with the first seed; several, where a line ends.
    public internal(set) var command: String
    /// What belongs to it in words, such as the equation that remains.
    public var note = ""
    /// The numbers by the keys of their columns: one where it is the same for all seeds, else one for each.
    public private(set) var values: [String: [Double]] = [:]
    /// The columns whose numbers depend on the seed.
    private(set) var measured: Set<String> = []

    /// Names a case.
    public init(_ name: String, command: String = "", note: String = "") {
      (self.name, self.command, self.note) = (name, command, note)
    }

    /// Sets what is the same for all seeds.
    mutating func set(_ key: String, _ value: Double) { values[key] = [value] }

    /// Adds what was measured with the next seed.
    mutating func add(_ key: String, _ value: Double) {
      values[key, default: []].append(value)
      measured.insert(key)
    }

    /// Removes what was measured of a column.
    mutating func remove(_ key: String) { values[key] = nil }

    /// The numbers of a column; empty where none was measured.
    public func all(_ key: String) -> [Double] { values[key] ?? [] }

    /// The mean over the seeds; NaN where nothing was measured.
    public func mean(_ key: String) -> Double { all(key).mean }

    /// From the least to the largest; nil where fewer than two were measured, or one is not finite.
    public func spread(_ key: String) -> ClosedRange<Double>? {
      let all = all(key)
      guard all.count > 1, all.allSatisfy(\.isFinite), let least = all.min(), let most = all.max()
      else { return nil }
      return least...most
    }

    /// Whether a column's numbers are one for each seed.
    public func isMeasured(_ key: String) -> Bool { measured.contains(key) }
  }

  /// A picture with its name and what is to be seen on it.
  public struct Figure: Sendable {
    /// The name, for a file's.
    public let name: String
    /// The picture.
    package let picture: any Picture
    /// What is to be seen.
    public let caption: String
  }

  /// The experiment.
  public let experiment: Experiment
  /// How it was run.
  public let settings: ExperimentSettings
  /// The question in some sentences, with the equations.
  public let explanation: [String]
  /// The columns behind the rows' names.
  public let columns: [Column]
  /// The cases of which anything was measured.
  public internal(set) var rows: [Row]
  /// What was seen, computed from the numbers; where they do not show what the textbook says, this says so.
  public internal(set) var finding = ""
  /// The pictures, the most important first.
  public internal(set) var figures: [Figure] = []
  /// What the reader should know beside it.
  public internal(set) var notes: [String] = []
  /// What computed it, and for how long.
  public internal(set) var device = "", seconds = 0.0
  /// Why it ended.
  public internal(set) var end = End.complete

  init<B>(
    _ context: ExperimentContext<B>, explanation: [String], columns: [Column], rows: [Row] = []
  ) {
    experiment = context.experiment
    settings = context.settings
    self.explanation = explanation
    self.columns = columns
    self.rows = rows.filter { !$0.values.isEmpty }
  }

  /// A row's number as the table shows it: the mean, and behind it from the least to the largest.
  public func text(_ row: Row, _ column: Column) -> String {
    guard !row.all(column.key).isEmpty else { return "–" }
    let mean = column.format.text(row.mean(column.key))
    guard let spread = row.spread(column.key), row.isMeasured(column.key) else { return mean }
    let (least, most) = (
      column.format.text(spread.lowerBound), column.format.text(spread.upperBound)
    )
    return least == most ? mean : "\(mean) (\(least) to \(most))"
  }

  /// What the end of the experiment means for its numbers; nil where it is complete.
  public var endSentence: String? {
    let counts = rows.flatMap { row in
      columns.filter { row.isMeasured($0.key) }.map { row.all($0.key).count }
    }
    let least = counts.min() ?? 0
    let have =
      least < settings.seeds && !counts.isEmpty
      ? ", and some numbers are of \(least) of \(settings.seeds) seeds" : ""
    switch end {
    case .complete: return nil
    case .budget:
      return
        "The budget of \(settings.budgetSeconds.formatted()) s was used up before everything was "
        + "measured\(have); --budget gives it more."
    case .interrupted:
      return "The experiment was interrupted; the table has what was measured until then\(have)."
    }
  }
}

extension ExperimentResult.Column.Format {
  /// A number as a table shows it.
  func text(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    switch self {
    case .count: return Int(value.rounded()).grouped
    case .number:
      return value != 0 && value.magnitude < 0.001 ? String(format: "%.1e", value) : value.readable
    case .bytes:
      let (scaled, unit): (Double, String) =
        switch value {
        case 1_048_576...: (value / 1_048_576, "MiB")
        case 1024...: (value / 1024, "KiB")
        default: (value, "bytes")
        }
      return "\(scaled.readable) \(unit)"
    case .seconds:
      return value < 1e-3
        ? "\((value * 1e6).readable) µs"
        : value < 1 ? "\((value * 1e3).readable) ms" : "\(value.readable) s"
    case .percent: return "\((value * 100).readable) %"
    }
  }
}

extension Int {
  /// The number with a comma between its thousands: `101,120`.
  var grouped: String {
    let digits = String(magnitude)
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { result += "," }
      result.append(digit)
    }
    return (self < 0 ? "-" : "") + result
  }
}

extension [Double] {
  /// The arithmetic mean; NaN of nothing.
  var mean: Double { isEmpty ? .nan : reduce(0, +) / Double(count) }

  /// The mean of the logarithms, as a number again; NaN of nothing, 0 where one is 0.
  var geometricMean: Double { exp(map { log($0) }.mean) }
}

extension ExperimentResult: Encodable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ text: String) { stringValue = text }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  /// What was measured with several seeds.
  private struct Measured: Encodable {
    let mean: Double
    let least: Double?, largest: Double?
    let values: [Double]
  }

  /// Encodes the document of `experiment --json`, but for the files: rows as objects whose members are the
  /// columns' keys, a number each or `{"mean", "least", "largest", "values"}` where seeds differ.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(experiment.rawValue, forKey: Key("experiment"))
    try container.encode(experiment.question, forKey: Key("question"))
    try container.encode(finding, forKey: Key("finding"))
    try container.encode(end, forKey: Key("end"))
    try container.encode(device, forKey: Key("device"))
    try container.encode(seconds, forKey: Key("seconds"))
    try container.encode(settings.seed, forKey: Key("seed"))
    try container.encode(settings.seeds, forKey: Key("seeds"))
    var list = container.nestedUnkeyedContainer(forKey: Key("rows"))
    for row in rows {
      var object = list.nestedContainer(keyedBy: Key.self)
      try object.encode(row.name, forKey: Key("name"))
      try object.encode(row.command, forKey: Key("command"))
      if !row.note.isEmpty { try object.encode(row.note, forKey: Key("note")) }
      for column in columns {
        let values = row.all(column.key)
        guard let first = values.first else { continue }
        if row.isMeasured(column.key) {
          let spread = row.spread(column.key)
          try object.encode(
            Measured(
              mean: row.mean(column.key), least: spread?.lowerBound, largest: spread?.upperBound,
              values: values), forKey: Key(column.key))
        } else {
          try object.encode(first, forKey: Key(column.key))
        }
      }
    }
  }
}
