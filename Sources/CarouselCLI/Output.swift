import Carousel
import Foundation

/// Data to standard output, everything else to standard error.
enum Output {
  /// Writes a line of data, or several, and fails where they do not arrive.
  static func write(_ text: String) throws {
    try write(Array((text.hasSuffix("\n") ? text : text + "\n").utf8))
  }

  /// Writes one JSON document.
  static func write(json value: some Encodable) throws {
    try write(JSON.encode(value, pretty: true))
  }

  /// Writes bytes as they are.
  static func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes {
        Foundation.write(STDOUT_FILENO, $0.baseAddress, $0.count)
      }
      if written >= 0 {
        rest = rest.dropFirst(written)
      } else if errno == EPIPE {
        throw ClosedPipe()
      } else if errno != EINTR {
        throw CarouselError(
          .writeFailed, "standard output cannot be written: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Writes a line of progress, a log or a warning; a reader that went away is no failure.
  static func note(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = bytes.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// Whoever read standard output has seen enough: no failure.
struct ClosedPipe: Error {}
