import CarouselModel
import Foundation

/// Stretches of a series in a CSV file that is too large to be read: each is found by its place in the file and
/// read when it is asked for.
///
/// A row is a step, and rows are in the order of time. Lines end with LF or CRLF, and no cell holds a line break.
/// Memory and the time to open do not grow with the file.
package struct SeriesStream: Sendable {
  /// The names of what is predicted, and of what is read beside it.
  package let targets: [String], covariates: [String]
  /// The number of stretches, spread evenly from the first row to the last.
  package let count: Int
  /// The rows of a stretch.
  package let rows: Int
  /// The file.
  package var source: String { file.path }

  let file: InputFile
  /// Where the rows of the part, and those of the file, begin and end.
  let range: Range<Int>
  private let all: Range<Int>
  /// The bytes of a row, on average over some places of the file.
  let rowBytes: Double
  let table: Layout
  private let missing: MissingValues

  /// Which cells of a row hold what.
  struct Layout {
    let names: [String]
    let columns: [Int]
    let time: Int?, id: Int?
    let separator: UInt8
    var decimalComma: Bool { separator != UInt8(ascii: ",") }
  }

  /// Opens a table; the arguments are those of a `SeriesSet`.
  ///
  /// Throws where the header lacks a column, or the file has no row.
  package init(
    table path: String, targets: [String], covariates: [String], id idName: String? = nil,
    time timeName: String?, hasHeader: Bool, missing: MissingValues, rows: Int
  ) throws(CarouselError) {
    let header = try TableReader(path, hasHeader: hasHeader)
    let time = try timeName.map { name throws(CarouselError) in
      try header.index(of: name, option: "--time")
    }
    let id = try idName.map { name throws(CarouselError) in
      try header.index(of: name, option: "--id")
    }
    let columns = try header.columns(
      targets: targets, covariates: covariates, besides: [id, time])
    table = Layout(
      names: header.columns, columns: columns, time: time, id: id, separator: header.separator)
    self.targets = columns.dropLast(covariates.count).map { header.columns[$0] }
    (self.covariates, self.missing, self.rows) = (covariates, missing, rows)
    file = try InputFile(path)
    range = try header.rows(of: file)
    all = range
    var (bytes, lines) = (0, 0)
    try TextContent(files: [path]).part(range).forEachBlock(places: 64, size: 1 << 14) { block in
      bytes += block.count
      lines += block.count { $0 == UInt8(ascii: "\n") }
    }
    rowBytes = Double(bytes) / Double(max(lines, 1))
    count = 1
    guard lines > 0 else {
      throw CarouselError(
        .badData, "\(path): expected rows that end with a line break, found none")
    }
  }

  private init(_ stream: SeriesStream, _ range: Range<Int>, count: Int) {
    (targets, covariates, rows, file) = (
      stream.targets, stream.covariates, stream.rows, stream.file
    )
    (rowBytes, table, missing) = (stream.rowBytes, stream.table, stream.missing)
    (self.range, self.count, all) = (range, count, stream.all)
  }

  /// The bytes of a regular file; 0 of standard input and of what is no regular file.
  package static func byteCount(of path: String) throws(CarouselError) -> Int {
    path == "-" || FileKind(at: path) != .file ? 0 : try InputFile(path).byteCount
  }

  /// The part between two shares of the file, of which at most `count` stretches are read.
  ///
  /// Rows that are cut in two are in neither part.
  package func part(_ shares: Range<Double>, count most: Int) -> SeriesStream {
    func place(_ share: Double) -> Int {
      range.lowerBound + Int((Double(range.count) * share).rounded())
    }
    let part = place(shares.lowerBound)..<place(shares.upperBound)
    let stretches = Double(part.count) / rowBytes - Double(rows) + 1
    return SeriesStream(self, part, count: max(0, min(most, Int(max(stretches, 0)))))
  }

  /// The numbers of a stretch, `[rows, targets + covariates]`.
  ///
  /// Throws with line and column where a cell is none, a row has another number of cells, or time does not rise.
  package func stretch(_ index: Int) throws(CarouselError) -> [Double] {
    try stretch(index, of: count, in: range)
  }

  /// The same of `count` stretches that are spread over a range of the file.
  func stretch(
    _ index: Int, of count: Int, in range: Range<Int>
  ) throws(CarouselError) -> [Double] {
    let room = Int((Double(rows) * rowBytes * 1.25).rounded()) + 256
    let least = Int((Double(rows) * rowBytes).rounded())
    let last = max(range.upperBound - least, range.lowerBound)
    var begin =
      range.lowerBound
      + Int((Double(last - range.lowerBound) * Double(index) / Double(max(count - 1, 1))).rounded())
    var size = room
    var isLast = false
    while true {
      // One byte before, which says whether a row begins here.
      let from = max(begin - 1, all.lowerBound)
      let bytes = try file.bytes(at: from, count: min(size, range.upperBound - from))
      let lines = self.lines(bytes, from: from)
      if lines.count >= rows {
        return try numbers(
          isLast ? lines.suffix(rows) : lines.prefix(rows), bytes, from: from)
      }
      if from + bytes.count < range.upperBound {
        size *= 2
      } else if begin > range.lowerBound {
        // The last rows of the part.
        isLast = true
        begin = max(range.lowerBound, begin - room)
        size += room
      } else {
        throw CarouselError(
          .badData,
          "\(place(range.lowerBound)): expected at least \(rows) rows, found \(lines.count)")
      }
    }
  }

  /// The rows that are whole, without their ends; empty ones say nothing.
  private func lines(_ bytes: [UInt8], from: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var begin = from == all.lowerBound ? 0 : nil as Int?
    for (place, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
      if let begin { result.append(begin..<place) }
      begin = place + 1
    }
    if let begin, from + bytes.count == file.byteCount { result.append(begin..<bytes.count) }
    return result.compactMap { line in
      let isReturn = !line.isEmpty && bytes[line.upperBound - 1] == UInt8(ascii: "\r")
      let text = line.lowerBound..<line.upperBound - (isReturn ? 1 : 0)
      return text.isEmpty ? nil : text
    }
  }

  func numbers(
    _ lines: ArraySlice<Range<Int>>, _ bytes: [UInt8], from: Int
  ) throws(CarouselError) -> [Double] {
    var result: [Double] = []
    var earlier: Double?
    for line in lines {
      let cells = bytes[line].cells(table.separator)
      guard cells.count == table.names.count else {
        throw CarouselError(
          .badData,
          "\(place(from + line.lowerBound)): expected \(counted(table.names.count, "cell")) as in the first line, "
            + "found \(cells.count)")
      }
      if let column = table.time {
        let time = try time(cells[column], column, from + line.lowerBound)
        if let earlier, time <= earlier {
          throw CarouselError(
            .badData,
            "\(place(from + line.lowerBound)), column '\(table.names[column])': expected times that rise from "
              + "row to row, since so large a file is not sorted, found "
              + "'\(String(decoding: cells[column], as: UTF8.self))' behind a later or the same one"
          )
        }
        earlier = time
      }
      for column in table.columns {
        let cell = NumberCell(cells[column], decimalComma: table.decimalComma)
        if case .number(let number) = cell {
          result.append(number)
        } else {
          result.append(
            Double(
              try MissingValues.value(cell, missing) {
                (
                  "\(place(from + line.lowerBound)), column '\(table.names[column])'",
                  String(decoding: cells[column], as: UTF8.self)
                )
              }))
        }
      }
    }
    missing.fill(&result, width: table.columns.count)
    return result
  }

  private func time(
    _ cell: ArraySlice<UInt8>, _ column: Int, _ offset: Int
  ) throws(CarouselError) -> Double {
    if case .number(let number) = NumberCell(cell, decimalComma: table.decimalComma) {
      return number
    }
    let text = String(decoding: cell, as: UTF8.self)
    if let time = TimeText.seconds(text) { return time }
    throw CarouselError(
      .badData,
      "\(place(offset)), column '\(table.names[column])': expected a number or a time, found "
        + "'\(text.prefix(40))'")
  }

  /// The line of a byte, for the beginning of a sentence: the file is read up to there, once, for an error.
  func place(_ offset: Int) -> String {
    (try? file.line(of: offset)).map { "\(source): line \($0)" } ?? source
  }
}

extension SeriesStream {
  /// The rows of the file, about so many.
  package var rowCount: Double { Double(range.count) / rowBytes }

  /// The numbers of a stretch of the series that a place is in, `[rows, targets + covariates]`; places go from 0 at
  /// the first row of the file to 1 behind the last one.
  ///
  /// `part` gives the part of a series of so many steps, or bytes, that the numbers behind the first `window` rows
  /// are from. A series that has none there is left aside for the next one. The rows of a series stand one behind
  /// the other: where it begins and ends is found by halving.
  ///
  /// Throws as `stretch` does, and where a series has fewer than `rows` rows.
  package func stretch(
    at place: Double, window: Int, mostCounted: Int = 1 << 18, part: (Int) -> Range<Int>
  ) throws(CarouselError) -> [Double] {
    var place = range.lowerBound + Int(place * Double(range.count))
    for _ in 0..<Self.mostTries {
      guard let series = try series(at: place) else {
        place = range.lowerBound
        continue
      }
      let share = Double(max(place - series.lowerBound, 0)) / Double(series.count)
      // Of a long series the rows are not counted.
      let counts = series.count <= max(mostCounted, Int(64 * Double(rows) * rowBytes))
      let found =
        counts
        ? try stretchByRows(series, at: share, window: window, part: part)
        : try stretchByBytes(series, at: share, part: part)
      if let found {
        return found
      }
      place = series.upperBound
    }
    throw CarouselError(
      .badData,
      "\(source): expected series with at least \(rows - window) steps in each part, found none among "
        + "\(Self.mostTries)")
  }

  private static var mostTries: Int { 1000 }

  /// A stretch of a part by bytes; it is there as a whole.
  private func stretchByBytes(
    _ series: Range<Int>, at share: Double, part: (Int) -> Range<Int>
  ) throws(CarouselError) -> [Double]? {
    let bytes = part(series.count)
    guard !bytes.isEmpty else { return nil }
    let first = series.lowerBound + bytes.lowerBound
    return try stretch(Int(share * 0x1p30), of: 1 << 30, in: first..<first + bytes.count)
  }

  /// A stretch of a part by rows, as of a series in memory: what its window reads may be before the part.
  private func stretchByRows(
    _ series: Range<Int>, at share: Double, window: Int, part: (Int) -> Range<Int>
  ) throws(CarouselError) -> [Double]? {
    var lines = try LineScanner(
      file, from: series.lowerBound, lines: range.lowerBound, end: series.upperBound,
      step: series.count)
    lines.keep = series.lowerBound
    var places: [Range<Int>] = []
    while let line = try lines.next() {
      if !line.isEmpty { places.append(line) }
    }
    guard places.count >= rows else {
      let id = places.first.map { self.id(lines[$0]) } ?? []
      throw CarouselError(
        .badData,
        "\(place(series.lowerBound)): expected at least \(rows) steps of the id "
          + "'\(String(decoding: id, as: UTF8.self))', found \(places.count); the steps of a series stand one "
          + "behind the other in so large a file")
    }
    let steps = part(places.count)
    let first = max(steps.lowerBound, window)
    let count = steps.upperBound - (rows - window) - first + 1
    guard count > 0 else { return nil }
    let chosen = first + min(Int(share * Double(count)), count - 1) - window
    let begin = series.lowerBound
    return try numbers(
      places[chosen..<chosen + rows].map { $0.lowerBound - begin..<$0.upperBound - begin }[...],
      Array(lines[series]), from: begin)
  }

  private func id(_ line: ArraySlice<UInt8>) -> [UInt8] {
    table.id.map { Array(line.cell($0, table.separator)) } ?? []
  }

  /// The first row that begins at a place or behind it; nil behind the last one.
  private func row(at place: Int) throws(CarouselError) -> (place: Int, id: [UInt8])? {
    var lines = try LineScanner(
      file, from: place, lines: range.lowerBound, end: range.upperBound,
      step: Int(2.5 * rowBytes) + 128)
    while let line = try lines.next() {
      if !line.isEmpty { return (line.lowerBound, id(lines[line])) }
    }
    return nil
  }

  /// Where the rows begin and end of the series with the first row behind a place.
  private func series(at place: Int) throws(CarouselError) -> Range<Int>? {
    guard let row = try row(at: place) else { return nil }
    // Away from the row in steps that double, then by halving.
    var (begin, step) = (row.place, 1 << 12)
    while begin > range.lowerBound {
      let before = max(range.lowerBound, row.place - step)
      guard try self.row(at: before)?.id == row.id else {
        begin = try firstRow(in: before..<begin) { $0 == row.id }
        break
      }
      (begin, step) = (before, 2 * step)
    }
    var end = row.place
    step = 1 << 12
    while end < range.upperBound {
      let behind = min(range.upperBound, row.place + step)
      guard behind < range.upperBound, try self.row(at: behind)?.id == row.id else {
        end = try firstRow(in: end..<behind) { $0 != row.id }
        break
      }
      (end, step) = (behind, 2 * step)
    }
    return begin..<end
  }

  /// The first row in a range whose id is one that is wanted, as it is of all rows behind it; the end of the range
  /// where there is none.
  private func firstRow(
    in range: Range<Int>, where isWanted: ([UInt8]) -> Bool
  ) throws(CarouselError) -> Int {
    var range = range
    while range.count > max(256, Int(8 * rowBytes)) {
      let middle = range.lowerBound + range.count / 2
      if let row = try row(at: middle), !isWanted(row.id) {
        range = middle..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    var lines = try LineScanner(
      file, from: range.lowerBound, lines: self.range.lowerBound, end: self.range.upperBound,
      step: range.count + Int(2.5 * rowBytes) + 128)
    while let line = try lines.next() {
      if !line.isEmpty, isWanted(id(lines[line])) { return line.lowerBound }
    }
    return self.range.upperBound
  }
}
