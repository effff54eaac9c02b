import CarouselModel

/// Bytes of a file, a pipe or a terminal, read in chunks as they are asked for; `-` is standard input.
///
/// Memory: one chunk, whatever the size of the file.
final class ByteStream {
  /// What sentences call the source.
  let name: String
  /// What is read; nil where all bytes are there.
  private let input: SequentialInput?
  private var chunk: [UInt8]
  private var position = 0, end = 0

  /// Opens `path`; throws `missingInput` where it is not there, cannot be read or is a directory.
  init(_ path: String, chunkSize: Int = 1 << 18) throws(CarouselError) {
    let input = try SequentialInput(path)
    (self.input, name) = (input, input.name)
    chunk = [UInt8](repeating: 0, count: max(chunkSize, 1))
  }

  /// Takes bytes from memory.
  init(_ bytes: [UInt8], name: String) {
    (input, self.name, chunk, end) = (nil, name, bytes, bytes.count)
  }

  /// The next byte without taking it; nil at the end.
  func peek() throws(CarouselError) -> UInt8? {
    if position == end { try fill() }
    return position == end ? nil : chunk[position]
  }

  /// The next byte; nil at the end.
  func next() throws(CarouselError) -> UInt8? {
    if position == end { try fill() }
    guard position < end else { return nil }
    position += 1
    return chunk[position - 1]
  }

  /// Takes the bytes before the next separator, line end or quote, as far as they are in the chunk, and appends
  /// them.
  func takePlain(
    into bytes: inout [UInt8], before separator: UInt8
  ) throws(CarouselError) {
    if position == end { try fill() }
    let (begin, end) = (position, end)
    let stop = chunk.withUnsafeBufferPointer { chunk in
      var place = begin
      while place < end {
        let byte = chunk[place]
        if byte == separator || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
          || byte == UInt8(ascii: "\"")
        {
          break
        }
        place += 1
      }
      return place
    }
    bytes += chunk[begin..<stop]
    position = stop
  }

  /// Skips the mark with which some programs begin UTF-8.
  func skipByteOrderMark() throws(CarouselError) {
    guard try peek() == 0xEF else { return }
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if end - position >= 3, Array(chunk[position..<position + 3]) == mark { position += 3 }
  }

  /// Has bytes that were taken come again.
  func putBack(_ bytes: [UInt8]) {
    chunk = bytes + chunk[position..<end]
    (position, end) = (0, chunk.count)
    if chunk.isEmpty { chunk = [0] }
  }

  private func fill() throws(CarouselError) {
    guard let input else { return }
    let count = try chunk.withUnsafeMutableBytes { buffer in
      Result { () throws(CarouselError) in try input.read(into: buffer) }
    }.get()
    (position, end) = (0, count)
  }
}

/// The lines of a file or of standard input, each as soon as it is there.
package final class LineReader {
  private let stream: ByteStream

  /// Opens a file; `-` is standard input.
  package init(_ path: String) throws(CarouselError) { stream = try ByteStream(path) }

  /// The next line without its end; nil at the end.
  package func next() throws(CarouselError) -> String? {
    guard try stream.peek() != nil else { return nil }
    var bytes: [UInt8] = []
    while let byte = try stream.next(), byte != UInt8(ascii: "\n") { bytes.append(byte) }
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }
}
