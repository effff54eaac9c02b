import CarouselModel
import Foundation

/// Bytes of a file, a pipe or a terminal, read in chunks as they are asked for; `-` is standard input.
///
/// Memory: one chunk, whatever the size of the file.
final class ByteStream {
  /// What sentences call the source.
  let name: String
  private let descriptor: Int32
  private var chunk: [UInt8]
  private var position = 0, end = 0

  /// Opens `path`; throws `missingInput` where it is not there, cannot be read or is a folder.
  init(_ path: String, chunkSize: Int = 1 << 18) throws(CarouselError) {
    let isStandard = path == "-"
    let name = isStandard ? "standard input" : path
    let descriptor =
      isStandard ? dup(STDIN_FILENO) : FileSystem.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CarouselError(
        .missingInput, "\(name): expected a readable file, found: \(systemErrorText())")
    }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      close(descriptor)
      throw CarouselError(.missingInput, "\(name): expected a file, found a directory")
    }
    self.name = name
    self.descriptor = descriptor
    chunk = [UInt8](repeating: 0, count: max(chunkSize, 1))
  }

  deinit { close(descriptor) }

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
    while true {
      let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        (position, end) = (0, count)
        return
      }
      guard errno == EINTR else {
        throw CarouselError(
          .missingInput, "\(name): expected a readable file, found: \(systemErrorText())")
      }
    }
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
