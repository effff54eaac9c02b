import CarouselModel
import Foundation

/// A table in a text file, row by row: CSV as RFC 4180 and spreadsheets have it.
///
/// Cells may stand in quotes (a doubled quote is one) and hold line breaks there; lines end with LF,
/// CRLF or CR; a byte order mark is skipped and empty lines are. The separator is the one of comma,
/// semicolon and tab that the header holds most often; where it is no comma, numbers may have decimal
/// commas. Rows are read as they are asked for, so that memory does not grow with the file.
package final class TableReader {
  /// What sentences call the file.
  package let name: String
  /// The names of the columns; `1`, `2`, … without a header.
  package private(set) var columns: [String] = []
  /// What stands between two cells.
  package private(set) var separator = UInt8(ascii: ",")
  /// The line on which the row that was read last begins, counted from 1.
  package private(set) var line = 0

  private let reader: ByteStream
  private var nextLine = 1
  /// The cells of the row that was read last, one behind the other, and where each ends.
  private var bytes: [UInt8] = []
  private var ends: [Int] = []
  /// The first row of a file without a header, which is still to come.
  private var isFirstPending = false

  /// The cells of a row.
  package var cellCount: Int { ends.count }

  /// Opens a table and reads its header.
  ///
  /// Throws where the file cannot be read, is empty, begins with a row of numbers where a header is
  /// expected, or names two columns alike.
  package init(_ path: String, hasHeader: Bool = true) throws(CarouselError) {
    reader = try ByteStream(path)
    name = reader.name
    try reader.skipByteOrderMark()
    try findSeparator()
    guard !ends.isEmpty else {
      throw CarouselError(.badData, "\(name): expected a table, found an empty file")
    }
    if hasHeader {
      columns = ends.indices.map { text($0).trimmingCharacters(in: .whitespaces) }
      try checkHeader()
    } else {
      columns = ends.indices.map { "\($0 + 1)" }
      isFirstPending = true
    }
  }

  /// Reads rows of a table from memory, whose header was read before; the first of them is on `line`.
  package init(_ rows: [UInt8], of table: Header, line: Int) {
    reader = ByteStream(rows, name: table.name)
    (name, columns, separator, nextLine) = (table.name, table.columns, table.separator, line)
  }

  /// What the first row says of all others.
  package struct Header: Sendable {
    package let name: String
    package let columns: [String]
    package let separator: UInt8
  }

  /// What the first row says.
  package var header: Header { Header(name: name, columns: columns, separator: separator) }

  /// The lines up to the first row behind the header, or of a table without one before the first row.
  package var headerLines: Int { isFirstPending ? 0 : nextLine - 1 }

  private func checkHeader() throws(CarouselError) {
    let isNumbers = ends.indices.allSatisfy { index in
      if case .number = number(index) { return true }
      return false
    }
    guard !isNumbers else {
      throw CarouselError(
        .badData,
        "\(name): line \(line): expected a header with the names of the columns, found the numbers "
          + "'\(columns.prefix(3).joined(separator: ", "))'; --no-header reads a table without one")
    }
    for (index, column) in columns.enumerated() where columns[..<index].contains(column) {
      throw CarouselError(
        .badData,
        "\(name): line \(line): expected a name of its own for each column, found '\(column)' twice"
      )
    }
  }

  /// Reads the next row into `text` and `number`; false at the end.
  ///
  /// Throws where it has another number of cells than there are columns, or a quote does not end.
  package func next() throws(CarouselError) -> Bool {
    if isFirstPending {
      isFirstPending = false
      return true
    }
    guard try readRow() else { return false }
    guard ends.count == columns.count else {
      throw CarouselError(
        .badData,
        "\(name): line \(line): expected \(counted(columns.count, "cell")) as in the first line, found "
          + "\(ends.count)")
    }
    return true
  }

  /// The text of a cell.
  package func text(_ index: Int) -> String { String(decoding: cell(index), as: UTF8.self) }

  /// The number in a cell.
  package func number(_ index: Int) -> NumberCell {
    NumberCell(cell(index), decimalComma: separator != UInt8(ascii: ","))
  }

  private func cell(_ index: Int) -> ArraySlice<UInt8> {
    bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
  }

  /// The index of a column; throws where there is none of this name, with the nearest.
  package func index(of column: String, option: String) throws(CarouselError) -> Int {
    if let index = columns.firstIndex(of: column) { return index }
    let hint = suggestion(for: column, among: columns)
    throw CarouselError(
      .badData,
      "\(name): expected a column '\(column)' for \(option), found "
        + (hint.isEmpty
          ? "only \(columns.prefix(8).joined(separator: ", "))\(columns.count > 8 ? ", …" : "")"
          : "none of that name" + hint))
  }

  /// Where a cell stands, for the beginning of a sentence.
  package func place(_ index: Int) -> String { "\(name): line \(line), column '\(columns[index])'" }

  // MARK: Reading

  /// Finds what separates the cells of the first row, and reads it.
  private func findSeparator() throws(CarouselError) {
    var row: [UInt8] = []
    var counts: [UInt8: Int] = [:]
    var isQuoted = false
    while let byte = try reader.next() {
      row.append(byte)
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      guard !isQuoted else { continue }
      counts[byte, default: 0] += 1
      // An empty line says nothing.
      if Self.isLineEnd(byte), row.contains(where: { !Self.isLineEnd($0) }) { break }
    }
    let others = [UInt8(ascii: ";"), UInt8(ascii: "\t")]
    for other in others where counts[other] ?? 0 > counts[separator] ?? 0 { separator = other }
    reader.putBack(row)
    _ = try readRow()
  }

  private static func isLineEnd(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
  }

  /// Reads a row that is not empty; false at the end.
  private func readRow() throws(CarouselError) -> Bool {
    repeat {
      bytes.removeAll(keepingCapacity: true)
      ends.removeAll(keepingCapacity: true)
      line = nextLine
      guard try reader.peek() != nil else { return false }
      try readCells()
    } while ends.count == 1 && bytes.isEmpty
    return true
  }

  private func readCells() throws(CarouselError) {
    let quote = UInt8(ascii: "\"")
    var isQuoted = false
    while true {
      if !isQuoted { try reader.takePlain(into: &bytes, before: separator) }
      guard let byte = try reader.next() else { break }
      if isQuoted {
        if byte == UInt8(ascii: "\n") { nextLine += 1 }
        if byte == quote {
          guard try reader.peek() == quote else {
            isQuoted = false
            continue
          }
          _ = try reader.next()
        }
        bytes.append(byte)
      } else if byte == separator {
        ends.append(bytes.count)
      } else if Self.isLineEnd(byte) {
        if byte == UInt8(ascii: "\r"), try reader.peek() == UInt8(ascii: "\n") {
          _ = try reader.next()
        }
        nextLine += 1
        ends.append(bytes.count)
        return
      } else if byte == quote, bytes.count == ends.last ?? 0 {
        isQuoted = true
      } else {
        bytes.append(byte)
      }
    }
    guard !isQuoted else {
      throw CarouselError(
        .badData, "\(name): line \(line): expected a closing quote, found the end of the file")
    }
    ends.append(bytes.count)
  }
}
