import CarouselModel
import Foundation

/// A file of JSON objects, one a line, to which lines are appended: `metrics.jsonl`.
///
/// A line counts once its newline is there. What a crash left behind the last newline is never
/// read, and is cut off before the next line is appended.
package final class JSONLines {
  /// The path of the file.
  package let path: String
  private let descriptor: Int32

  /// Opens a file to append to, and creates it where there is none.
  package init(appendingTo path: String) throws(CarouselError) {
    descriptor = FileSystem.open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC)
    self.path = path
    guard descriptor >= 0 else { throw failure(errno) }
    let size = lseek(descriptor, 0, SEEK_END)
    if size > 0 {
      let whole = Self.wholeLines(try [UInt8](contentsOfFile: path)).endIndex
      guard ftruncate(descriptor, off_t(whole)) == 0 else { throw failure(errno) }
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Appends one value as one line, and hands it to the operating system before it returns.
  ///
  /// Throws `writeFailed` where that fails; no part of the line is then left in the file.
  package func append(_ value: some Encodable) throws(CarouselError) {
    let size = lseek(descriptor, 0, SEEK_END)
    let line = Array((JSON.encode(value) + "\n").utf8)
    if let code = line.withUnsafeBytes({ writeAll($0, to: descriptor) }) {
      if size >= 0 { ftruncate(descriptor, size) }
      throw failure(code)
    }
  }

  /// Waits until every line is on the disk.
  package func synchronize() throws(CarouselError) {
    // What is no file, such as a pipe, has nothing to wait for.
    if fsync(descriptor) != 0, errno != EINVAL { throw failure(errno) }
  }

  /// Reads every whole line.
  ///
  /// Throws where the file is missing, or a line is not what is expected, with its number.
  package static func read<Line: Decodable>(
    _ type: Line.Type, from path: String
  ) throws(CarouselError) -> [Line] {
    var lines: [Line] = []
    var damaged: Int?
    forEachLine(of: wholeLines(try [UInt8](contentsOfFile: path)), as: type) { number, _, line in
      if let line { lines.append(line) } else { damaged = number }
      return damaged == nil
    }
    if let damaged {
      throw CarouselError(
        .badData, "\(path): line \(damaged) is not a JSON object of the form expected here")
    }
    return lines
  }

  /// Cuts the file before the first line that `isKept` refuses, and damaged lines before that out of it.
  ///
  /// So a resumed run drops the metrics after the step from which it goes on, and is not held up by what a
  /// disk or a hand has spoilt. The lines that stay keep their bytes. A file that is not there stays so.
  /// Returns the numbers of the damaged lines, counted from 1: those that are not what is expected, and a
  /// last one without its newline. Throws where the file cannot be read or written; it is then as it was.
  package static func cut<Line: Decodable>(
    _ path: String, keeping type: Line.Type, while isKept: (Line) -> Bool
  ) throws(CarouselError) -> [Int] {
    guard FileKind(at: path) != nil else { return [] }
    let bytes = try [UInt8](contentsOfFile: path)
    let lines = wholeLines(bytes)
    var kept: [UInt8] = []
    var damaged: [Int] = []
    var isWhole = true
    forEachLine(of: lines, as: type) { number, range, line in
      if let line {
        isWhole = isKept(line)
        if isWhole { kept += bytes[range] }
      } else {
        damaged.append(number)
      }
      return isWhole
    }
    if isWhole, lines.count < bytes.count {
      damaged.append(lines.count { $0 == UInt8(ascii: "\n") } + 1)
    }
    if kept.count < bytes.count { try AtomicFile.write(kept, to: path) }
    return damaged
  }

  private static func wholeLines(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)]
  }

  /// Calls `body` with the number of each line, where it stands, newline included, and its value, nil where
  /// it is not what is expected; until `body` is false.
  private static func forEachLine<Line: Decodable>(
    of bytes: ArraySlice<UInt8>, as type: Line.Type,
    while body: (_ number: Int, _ range: Range<Int>, _ line: Line?) -> Bool
  ) {
    let decoder = JSONDecoder()
    var start = bytes.startIndex
    var number = 1
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let line = try? decoder.decode(type, from: Data(bytes[start..<end]))
      guard body(number, start..<end + 1, line) else { return }
      start = end + 1
      number += 1
    }
  }

  private func failure(_ code: Int32) -> CarouselError {
    CarouselError(.writeFailed, "\(path): the file cannot be written: \(systemErrorText(code))")
  }
}
