import CarouselModel
import Foundation

/// A file of JSON objects, one a line, to which lines are appended: `metrics.jsonl`.
///
/// A line counts once its newline is there. What a crash left behind the last newline is never
/// read, and is cut off before the next line is appended.
public final class JSONLines {
  /// The path of the file.
  public let path: String
  private let descriptor: Int32

  /// Opens a file to append to, and creates it where there is none.
  public init(appendingTo path: String) throws(CarouselError) {
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
  public func append(_ value: some Encodable) throws(CarouselError) {
    let size = lseek(descriptor, 0, SEEK_END)
    let line = Array((JSON.encode(value) + "\n").utf8)
    if let code = line.withUnsafeBytes({ writeAll($0, to: descriptor) }) {
      if size >= 0 { ftruncate(descriptor, size) }
      throw failure(code)
    }
  }

  /// Reads every whole line.
  ///
  /// Throws where the file is missing, or a line is not what is expected, with its number.
  public static func read<Line: Decodable>(
    _ type: Line.Type, from path: String
  ) throws(CarouselError) -> [Line] {
    var lines: [Line] = []
    try forEachLine(of: wholeLines(try [UInt8](contentsOfFile: path)), path: path) {
      lines.append($0)
      return true
    }
    return lines
  }

  /// Cuts the file before the first line that `isKept` refuses.
  ///
  /// So a resumed run drops the metrics after the step from which it goes on. The lines that stay
  /// keep their bytes. A file that is not there stays so. Throws where it cannot be read or written, or where a line
  /// before the cut is not what is expected; the file is then as it was.
  public static func truncate<Line: Decodable>(
    _ path: String, keeping type: Line.Type, while isKept: (Line) -> Bool
  ) throws(CarouselError) {
    guard FileKind(at: path) != nil else { return }
    let bytes = try [UInt8](contentsOfFile: path)
    let end = try forEachLine(of: wholeLines(bytes), path: path, while: isKept)
    if end < bytes.count { try AtomicFile.write(bytes[..<end], to: path) }
  }

  private static func wholeLines(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)]
  }

  /// Returns where the first line begins for which `body` was false, or the end.
  @discardableResult private static func forEachLine<Line: Decodable>(
    of bytes: ArraySlice<UInt8>, path: String, while body: (Line) -> Bool
  ) throws(CarouselError) -> Int {
    let decoder = JSONDecoder()
    var start = bytes.startIndex
    var number = 1
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let line: Line
      do {
        line = try decoder.decode(Line.self, from: Data(bytes[start..<end]))
      } catch {
        throw CarouselError(
          .badData, "\(path): line \(number) is not a JSON object of the form expected here")
      }
      guard body(line) else { return start }
      start = end + 1
      number += 1
    }
    return start
  }

  private func failure(_ code: Int32) -> CarouselError {
    CarouselError(.writeFailed, "\(path): the file cannot be written: \(systemErrorText(code))")
  }
}
