import CarouselModel
import Foundation

/// A regular file that is open for reading, closed with its last owner.
///
/// Bytes are read where they are asked for, each call by itself, so that a file that shrinks
/// meanwhile is an error and not a signal.
final class InputFile: Sendable {
  /// The path as it was given; begins every sentence about the file.
  let path: String
  /// The size of the file when it was opened.
  let byteCount: Int
  private let descriptor: Int32

  /// Opens `path`.
  ///
  /// Throws `missingInput` where it is not there, not readable or not a regular file.
  init(_ path: String) throws(CarouselError) {
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    let descriptor = FileSystem.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CarouselError(
        .missingInput, "\(path): expected a readable file, found: \(systemErrorText())")
    }
    var status = stat()
    let isKnown = fstat(descriptor, &status) == 0
    guard isKnown, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let found =
        isKnown && status.st_mode & S_IFMT == S_IFDIR
        ? "a directory" : "something that is not a regular file"
      throw CarouselError(.missingInput, "\(path): expected a file, found \(found)")
    }
    self.path = path
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// The `count` bytes from byte `offset` on; `subject` names them where they are too many.
  ///
  /// Throws where they are more than the machine's memory, where the file ends before them, and where
  /// it cannot be read.
  func bytes(
    at offset: Int, count: Int, subject: String = "the file"
  ) throws(CarouselError) -> [UInt8] {
    try HostMemory.require(count, for: subject, of: path)
    var failure: CarouselError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      do throws(CarouselError) {
        try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        initializedCount = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Fills `buffer` with the bytes from byte `offset` on; throws as `bytes` does.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(CarouselError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let result = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if result > 0 {
        done += result
      } else if result == 0 {
        throw CarouselError(
          .badData,
          "\(path): expected \(buffer.count - done) more bytes at byte \(offset + done), found the "
            + "end of the file")
      } else if errno != EINTR {
        throw CarouselError(
          .missingInput, "\(path): expected a readable file, found: \(systemErrorText())")
      }
    }
  }
}

extension [UInt8] {
  /// Reads a whole regular file.
  ///
  /// Throws `missingInput` where it is not there, not readable or not a regular file, and `badData`
  /// where it is larger than the machine's memory.
  public init(contentsOfFile path: String) throws(CarouselError) {
    let file = try InputFile(path)
    self = try file.bytes(at: 0, count: file.byteCount)
  }
}

/// What the operating system says about `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
