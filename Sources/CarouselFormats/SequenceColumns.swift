import CarouselModel

/// Which columns of a table hold what.
public struct SequenceColumns: Hashable, Sendable, Codable {
  /// The class of a sequence.
  public var label: String?
  /// What tells sequences apart, where each row is a step.
  public var id: String?
  /// What the steps of a sequence are ordered by; nil keeps the order of the file.
  public var time: String?
  /// Whether the first row names the columns.
  public var hasHeader = true

  /// Names columns.
  public init(label: String? = nil, id: String? = nil, time: String? = nil, hasHeader: Bool = true)
  {
    (self.label, self.id, self.time, self.hasHeader) = (label, id, time, hasHeader)
  }
}

extension SequenceSet {
  /// Reads a CSV file: with `columns.id` a row is a step and all other columns are its channels, else a row
  /// is a sequence of one channel and all other columns are its steps.
  ///
  /// `channels` are those that a model knows, found by name in whatever order; nil takes all columns.
  /// Without `requiresLabel` the column of the classes may be absent. Throws with file, line and column
  /// where a cell is none, a row has too many or too few, two steps have the same time, or a sequence has
  /// two classes.
  public init(
    table path: String, columns: SequenceColumns, channels known: [String]? = nil,
    requiresLabel: Bool = true, missing: MissingValues = .error
  ) throws(CarouselError) {
    try self.init(
      TableReader(path, hasHeader: columns.hasHeader), columns, channels: known,
      requiresLabel: requiresLabel, missing: missing)
  }

  /// Reads the rows of a table that are still to come.
  init(
    _ table: TableReader, _ columns: SequenceColumns, channels known: [String]?,
    requiresLabel: Bool,
    missing: MissingValues
  ) throws(CarouselError) {
    var label: Int?
    if let name = columns.label, requiresLabel || table.columns.contains(name) {
      label = try table.index(of: name, option: "--label")
    }
    if let id = columns.id {
      try self.init(
        steps: table, label: label, id: table.index(of: id, option: "--id"), time: columns.time,
        channels: known, missing)
    } else {
      try self.init(rows: table, label: label, steps: known, missing)
    }
    guard count > 0 else {
      throw CarouselError(
        .badData, "\(table.name): expected rows behind the header, found none")
    }
  }

  /// A row is a sequence.
  private init(
    rows table: TableReader, label: Int?, steps: [String]?, _ missing: MissingValues
  ) throws(CarouselError) {
    self.init(source: table.name, channels: ["value"])
    let indices = try table.channels(steps, besides: [label])
    while try table.next() {
      for index in indices { values.append(try table.value(index, missing)) }
      if let label { labels.append(table.text(label)) }
      lines.append(table.line)
      endSequence(missing: missing)
    }
  }

  /// A row is a step.
  private init(
    steps table: TableReader, label: Int?, id: Int, time timeName: String?, channels: [String]?,
    _ missing: MissingValues
  ) throws(CarouselError) {
    var time: Int?
    if let timeName { time = try table.index(of: timeName, option: "--time") }
    let indices = try table.channels(channels, besides: [label, id, time])
    self.init(source: table.name, channels: indices.map { table.columns[$0] })
    var groups: [String: Int] = [:]
    var rows: [[TimedRow]] = []
    var read: [Float] = []
    while try table.next() {
      let key = table.text(id)
      let name = label.map(table.text)
      if groups[key] == nil {
        groups[key] = rows.count
        rows.append([])
        ids.append(key)
        lines.append(table.line)
        if let name { labels.append(name) }
      }
      let group = groups[key] ?? 0
      if let name, let label, labels[group] != name {
        throw CarouselError(
          .badData,
          "\(table.place(label)): expected the class '\(labels[group])' of the id '\(key)' as on line "
            + "\(lines[group]), found '\(name)'")
      }
      rows[group].append(
        TimedRow(
          row: read.count / max(indices.count, 1), line: table.line, time: try table.time(time))
      )
      for index in indices { read.append(try table.value(index, missing)) }
    }
    values.reserveCapacity(read.count)
    for steps in rows {
      for step in try TimedRow.ordered(steps, of: table, column: time) {
        values += read[step.row * indices.count..<(step.row + 1) * indices.count]
      }
      endSequence(missing: missing)
    }
  }
}

/// A row of a table on its way into a sequence.
struct TimedRow {
  /// Where its numbers are, and the line that it came from.
  let row: Int, line: Int
  /// Its time, in any unit.
  let time: Double?

  /// Rows by time; throws where two have the same.
  static func ordered(
    _ rows: [TimedRow], of table: TableReader, column: Int?
  ) throws(CarouselError) -> [TimedRow] {
    guard let column else { return rows }
    let sorted = rows.sorted { ($0.time ?? 0, $0.line) < ($1.time ?? 0, $1.line) }
    for (a, b) in zip(sorted, sorted.dropFirst()) where a.time == b.time {
      throw CarouselError(
        .badData,
        "\(table.name): line \(b.line), column '\(table.columns[column])': expected a time of its own for "
          + "each step, found that of line \(a.line) again")
    }
    return sorted
  }
}

extension TableReader {
  /// The columns that hold numbers: all but those `besides`, or those of these names.
  func channels(
    _ names: [String]?, besides others: [Int?]
  ) throws(CarouselError) -> [Int] {
    if let names {
      var indices: [Int] = []
      for name in names { indices.append(try index(of: name, option: "the model")) }
      return indices
    }
    let indices = columns.indices.filter { !others.contains($0) }
    guard !indices.isEmpty else {
      throw CarouselError(
        .badData,
        "\(name): expected a column of numbers besides \(columns.joined(separator: ", ")), found none"
      )
    }
    return indices
  }

  /// The number in a cell, or the mark of a missing one.
  package func value(_ index: Int, _ missing: MissingValues) throws(CarouselError) -> Float {
    try MissingValues.value(number(index), missing) { (place(index), text(index)) }
  }

  /// The time in a cell; nil where there is no such column.
  func time(_ index: Int?) throws(CarouselError) -> Double? {
    guard let index else { return nil }
    if case .number(let number) = number(index) { return number }
    guard let time = TimeText.seconds(text(index)) else {
      throw CarouselError(
        .badData,
        "\(place(index)): expected a number or a time such as 2024-05-31 or 2024-05-31T12:30:00, found "
          + "'\(text(index).prefix(40))'")
    }
    return time
  }
}
