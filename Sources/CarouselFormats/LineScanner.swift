import CarouselModel
import Foundation

/// The lines of a file from some byte on, read in pieces as they are asked for.
///
/// Places are those of bytes in the file. Lines end with LF or CRLF. Memory: what was read since `keep`.
struct LineScanner {
  private let file: InputFile
  private let end: Int
  private let step: Int
  /// The bytes that are in memory, and where the first of them is.
  private var bytes: [UInt8] = []
  private var base: Int
  /// Where the next line begins.
  private(set) var position: Int
  /// The bytes from here on stay in memory; nil keeps those of the next line alone.
  var keep: Int?

  /// The most bytes of a sequence, and of a line.
  static let mostBytes = 1 << 26

  /// Begins with the first line that begins at `place` or after it; lines begin at `first`.
  ///
  /// `step` bytes are read at once, more where a line is longer. No line is found where none begins before `limit`.
  init(
    _ file: InputFile, from place: Int, lines first: Int, before limit: Int = .max, end: Int,
    step: Int
  ) throws(CarouselError) {
    (self.file, self.end, self.step) = (file, end, step)
    // One byte before, which says whether a line begins at the place.
    base = max(place - 1, first)
    position = base
    while place > first, position < end {
      if let found = lineEnd(from: position) {
        position = found + 1
        break
      }
      position = base + bytes.count
      if position < min(limit, end) {
        try fill()
      } else {
        (bytes, base, position) = ([], end, end)
      }
    }
  }

  /// The next line without its end; nil behind the last one.
  mutating func next() throws(CarouselError) -> Range<Int>? {
    var searched = position
    while true {
      if let place = lineEnd(from: searched) {
        let line = trimmed(position..<place)
        position = place + 1
        return line
      }
      searched = base + bytes.count
      guard searched < end else {
        guard position < end else { return nil }
        let line = trimmed(position..<end)
        position = end
        return line
      }
      try fill()
    }
  }

  /// The bytes of a range that is in memory.
  subscript(_ range: Range<Int>) -> ArraySlice<UInt8> {
    bytes[range.lowerBound - base..<range.upperBound - base]
  }

  private func lineEnd(from place: Int) -> Int? {
    let first = place - base
    guard first < bytes.count else { return nil }
    return bytes.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress,
        let found = memchr(start + first, Int32(UInt8(ascii: "\n")), buffer.count - first)
      else { return nil }
      return base + (UnsafeRawPointer(found) - start)
    }
  }

  private func trimmed(_ line: Range<Int>) -> Range<Int> {
    guard !line.isEmpty, bytes[line.upperBound - 1 - base] == UInt8(ascii: "\r") else {
      return line
    }
    return line.lowerBound..<line.upperBound - 1
  }

  private mutating func fill() throws(CarouselError) {
    let kept = min(keep ?? position, position)
    bytes.removeFirst(kept - base)
    base = kept
    guard bytes.count <= Self.mostBytes else {
      // The line alone, or the lines that are kept.
      let line = base + bytes.count - position > Self.mostBytes / 2 ? position : base
      throw CarouselError(
        .badData,
        "\(file.path): line \(try file.line(of: line)): expected a sequence of at most "
          + "\(Self.mostBytes >> 20) MiB, since so large a file is read sequence by sequence, found more"
      )
    }
    let next = base + bytes.count
    let room = Self.mostBytes + 1 - bytes.count
    bytes += try file.bytes(at: next, count: min(max(step, bytes.count), room, end - next))
  }
}

extension InputFile {
  /// The line of a byte, counted from 1: the file is read up to there, for an error.
  func line(of offset: Int) throws(CarouselError) -> Int {
    var (lines, place) = (1, 0)
    while place < offset {
      let chunk = try bytes(at: place, count: min(1 << 20, offset - place))
      lines += chunk.count { $0 == UInt8(ascii: "\n") }
      place += chunk.count
    }
    return lines
  }
}
