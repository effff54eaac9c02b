import CarouselModel
import Foundation

/// A regular file that is open for reading, closed when the value goes.
struct InputFile: ~Copyable {
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
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
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

  /// The next `count` bytes.
  ///
  /// Throws where the file ends before them or cannot be read.
  func read(_ count: Int) throws(CarouselError) -> [UInt8] {
    var failure: CarouselError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      while initializedCount < count, failure == nil {
        let rest = UnsafeMutableRawBufferPointer(buffer.extracting(initializedCount...))
        let result = Foundation.read(descriptor, rest.baseAddress, rest.count)
        if result > 0 {
          initializedCount += result
        } else if result == 0 {
          failure = CarouselError(
            .badData,
            "\(path): expected \(count - initializedCount) more bytes, found the end of the file")
        } else if errno != EINTR {
          failure = CarouselError(
            .missingInput, "\(path): expected a readable file, found: \(systemErrorText())")
        }
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

extension [UInt8] {
  /// Reads a whole regular file.
  ///
  /// Throws `missingInput` where it is not there, not readable or not a regular file.
  public init(contentsOfFile path: String) throws(CarouselError) {
    let file = try InputFile(path)
    self = try file.read(file.byteCount)
  }
}

/// What the operating system says about `errno`.
func systemErrorText(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
