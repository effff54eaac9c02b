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
