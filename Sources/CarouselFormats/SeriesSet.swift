import CarouselModel

/// Series of numbers over time, each with the same channels: what is to be predicted first, then what is
/// only read.
public struct SeriesSet: Sendable {
  /// The names of what is predicted, and of what is read beside it.
  public var targets: [String], covariates: [String]
  /// The numbers of each series, `[T, targets + covariates]`.
  public var values: [[Double]] = []
  /// The id of each series; one empty id where the file has none.
  public var ids: [String] = []
  /// The file.
  public var source: String

  /// The channels of a step.
  public var width: Int { targets.count + covariates.count }

  /// T of a series.
  public func length(_ index: Int) -> Int { values[index].count / max(width, 1) }

  /// Takes one series from memory, `[T, targets + covariates]`.
  public init(targets: [String], covariates: [String] = [], values: [Double]) {
    (self.targets, self.covariates) = (targets, covariates)
    (self.values, ids, source) = ([values], [""], "the series")
  }

  /// A set without series, whose numbers stay in the file `source`.
  package init(empty source: String, targets: [String], covariates: [String]) {
    (self.targets, self.covariates, self.source) = (targets, covariates, source)
  }

  /// Adds a series, `[T, targets + covariates]`.
  package mutating func append(_ series: [Double], id: String = "") {
    values.append(series)
    ids.append(id)
  }

  /// Reads a CSV file in which each row is a step.
  ///
  /// Without `targets` the one column that is neither id nor time is taken. Throws as a `SequenceSet` does.
  public init(
    table path: String, targets: [String], covariates: [String] = [], id idName: String? = nil,
    time timeName: String? = nil, hasHeader: Bool = true, missing: MissingValues = .error
  ) throws(CarouselError) {
    let table = try TableReader(path, hasHeader: hasHeader)
    var (id, time): (Int?, Int?)
    if let idName { id = try table.index(of: idName, option: "--id") }
    if let timeName { time = try table.index(of: timeName, option: "--time") }
    let indices = try table.columns(
      targets: targets, covariates: covariates, besides: [id, time])
    self.targets = indices.dropLast(covariates.count).map { table.columns[$0] }
    self.covariates = covariates
    source = table.name
    try read(table, indices, id: id, time: time, missing)
  }

  private mutating func read(
    _ table: TableReader, _ indices: [Int], id: Int?, time: Int?, _ missing: MissingValues
  ) throws(CarouselError) {
    var groups: [String: Int] = [:]
    var rows: [[TimedRow]] = []
    var read: [Double] = []
    while try table.next() {
      let key = id.map(table.text) ?? ""
      if groups[key] == nil {
        groups[key] = rows.count
        rows.append([])
        ids.append(key)
      }
      rows[groups[key] ?? 0].append(
        TimedRow(row: read.count / indices.count, line: table.line, time: try table.time(time)))
      for index in indices {
        if case .number(let number) = table.number(index) {
          read.append(number)
        } else {
          read.append(Double(try table.value(index, missing)))
        }
      }
    }
    guard !rows.isEmpty else {
      throw CarouselError(.badData, "\(table.name): expected rows behind the header, found none")
    }
    for steps in rows {
      var series: [Double] = []
      for step in try TimedRow.ordered(steps, of: table, column: time) {
        series += read[step.row * indices.count..<(step.row + 1) * indices.count]
      }
      missing.fill(&series, width: indices.count)
      values.append(series)
    }
  }
}

extension TableReader {
  /// The columns of targets and then of covariates; without targets the one that is none of `others` is it.
  func columns(
    targets: [String], covariates: [String], besides others: [Int?]
  ) throws(CarouselError) -> [Int] {
    var indices: [Int] = []
    for name in targets { indices.append(try index(of: name, option: "--target")) }
    if targets.isEmpty {
      indices = try channels(nil, besides: others)
      guard indices.count == 1 else {
        throw CarouselError(
          .usage,
          "\(name): expected --target with the column to predict, one of "
            + indices.prefix(8).map { columns[$0] }.joined(separator: ", "))
      }
    }
    for name in covariates { indices.append(try index(of: name, option: "--covariates")) }
    for (position, index) in indices.enumerated() where indices[..<position].contains(index) {
      throw CarouselError(
        .usage,
        "the column '\(columns[index])' is given twice among --target and --covariates")
    }
    return indices
  }
}

extension MissingValues {
  /// Replaces what is not a number in rows of `width`, one channel after the other.
  func fill(_ series: inout [Double], width: Int) {
    guard self != .error else { return }
    let rows = 0..<series.count / width
    for channel in 0..<width {
      let first = rows.first { !series[$0 * width + channel].isNaN }
      var last = first.map { series[$0 * width + channel] } ?? 0
      for row in rows {
        let index = row * width + channel
        if series[index].isNaN {
          series[index] = self == .forward ? last : 0
        } else {
          last = series[index]
        }
      }
    }
  }
}
