import CarouselModel
import Foundation

/// A file, a pipe or a terminal that is read from its beginning to its end; `-` is standard input.
///
/// Closed with its last owner.
final class SequentialInput {
  /// What sentences call it.
  let name: String
  /// The size of a regular file when it was opened; nil for anything else.
  let byteCount: Int?
  private let descriptor: Int32

  /// Opens `path`; throws `missingInput` where it is not there, cannot be read or is a directory.
  init(_ path: String) throws(CarouselError) {
    let isStandard = path == "-"
    name = isStandard ? "standard input" : path
    descriptor = isStandard ? dup(STDIN_FILENO) : FileSystem.open(path, O_RDONLY | O_CLOEXEC)
    var status = stat()
    guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
      throw CarouselError(
        .missingInput, "\(name): expected a readable file, found: \(systemErrorText())")
    }
    let kind = status.st_mode & S_IFMT
    byteCount = kind == S_IFREG ? Int(status.st_size) : nil
    guard kind != S_IFDIR else {
      throw CarouselError(.missingInput, "\(name): expected a file, found a directory")
    }
  }

  deinit { close(descriptor) }

  /// Writes the next bytes into `buffer`, as many as there are by now, and returns their number.
  ///
  /// It is 0 at the end. Waits while a pipe or a terminal has none.
  /// Throws `missingInput` where it cannot be read.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(CarouselError) -> Int {
    while true {
      let count = Foundation.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      guard errno == EINTR else {
        throw CarouselError(
          .missingInput, "\(name): expected a readable file, found: \(systemErrorText())")
      }
    }
  }
}

extension [UInt8] {
  /// Reads a file, a pipe or a terminal to its end; `-` is standard input.
  ///
  /// Throws `missingInput` where it is not there or cannot be read, and `badData` where it is larger than
  /// the machine's memory.
  public init(contentsOfInput path: String) throws(CarouselError) {
    let input = try SequentialInput(path)
    self = []
    if let byteCount = input.byteCount {
      try HostMemory.require(byteCount, for: "the file", of: input.name)
      reserveCapacity(byteCount)
    }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)
    defer { chunk.deallocate() }
    while case let count = try input.read(into: chunk), count > 0 {
      try HostMemory.require(self.count + count, for: "the text", of: input.name)
      append(contentsOf: chunk[..<count])
    }
  }
}
