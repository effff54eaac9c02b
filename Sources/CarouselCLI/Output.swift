import Carousel
import Foundation

/// Data to standard output, everything else to standard error.
enum Output {
  /// Writes a line of text, or several, and fails where they do not arrive.
  ///
  /// Control characters are written as escapes.
  static func write(_ text: String) throws {
    let lines = text.escapingSystemBytes.escapingControls(except: "\n")
    try write(Array((lines.hasSuffix("\n") ? lines : lines + "\n").utf8))
  }

  /// Writes one JSON document.
  static func write(json value: some Encodable) throws {
    let text = JSON.encode(value, pretty: true).escapingControls(except: "\n") {
      String(format: "\\u%04x", $0.value)
    }
    try write(Array((text + "\n").utf8))
  }

  /// Writes bytes as they are.
  static func write(_ bytes: [UInt8]) throws {
    guard let last = bytes.last else { return }
    let endsLine = isTerminal ? last == UInt8(ascii: "\n") : nil
    try Progress.interrupt(endsLine: endsLine) { try send(bytes) }
  }

  private static let isTerminal = isatty(STDOUT_FILENO) == 1

  private static func send(_ bytes: [UInt8]) throws {
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

  /// Writes a line of progress or a warning; a reader that went away is no failure.
  ///
  /// Control characters are written as escapes, and a line too long to read loses its middle. Returns
  /// whether it arrived.
  @discardableResult static func note(_ text: String) -> Bool {
    Ranks.isSilent
      || writeError(text.escapingSystemBytes.escapingControls().shortened(to: 800) + "\n")
  }

  /// Writes lines that a compiler said.
  static func note(log: String) {
    if Ranks.isSilent { return }
    _ = writeError(log.escapingControls(except: "\n\t").shortened(to: 20_000) + "\n")
  }

  /// Writes a line that has to be read: to standard error, where that fails to standard output, unless
  /// that has a document, and where that fails to the terminal.
  static func insist(_ text: String, outputIsDocument: Bool) {
    let line = text.escapingSystemBytes.escapingControls().shortened(to: 800) + "\n"
    if writeError(line) || !outputIsDocument && send(line, to: STDOUT_FILENO) { return }
    let terminal = open("/dev/tty", O_WRONLY | O_NOCTTY | O_CLOEXEC)
    guard terminal >= 0 else { return }
    _ = send(line, to: terminal)
    close(terminal)
  }

  private static func writeError(_ text: String) -> Bool {
    var arrived = false
    Progress.interrupt(endsLine: nil) { arrived = send(text, to: STDERR_FILENO) }
    return arrived
  }

  private static func send(_ text: String, to descriptor: Int32) -> Bool {
    var text = text
    return text.withUTF8 { Foundation.write(descriptor, $0.baseAddress, $0.count) == $0.count }
  }
}

/// Whoever read standard output has seen enough: no failure.
struct ClosedPipe: Error {}

extension String {
  /// The text with its control characters, and those that change the direction of writing, as escapes:
  /// names out of files may hold any.
  func escapingControls(
    except kept: String = "", as escape: (Unicode.Scalar) -> String = \.escape
  ) -> String {
    var result = ""
    for scalar in unicodeScalars {
      if " "..."~" ~= scalar {
        result.unicodeScalars.append(scalar)
        continue
      }
      let category = scalar.properties.generalCategory
      let isControl =
        [.control, .lineSeparator, .paragraphSeparator].contains(category)
        || scalar.properties.isBidiControl
      guard isControl, !kept.unicodeScalars.contains(scalar) else {
        result.unicodeScalars.append(scalar)
        continue
      }
      result += escape(scalar)
    }
    return result
  }

  /// The text without its middle where it has more than `limit` characters.
  func shortened(to limit: Int) -> String {
    guard count > limit else { return self }
    return prefix(limit * 2 / 3) + " … " + suffix(limit / 3 - 3)
  }
}

extension Unicode.Scalar {
  /// The scalar as Swift writes it in a literal.
  fileprivate var escape: String {
    switch self {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: "\\u{" + String(value, radix: 16) + "}"
    }
  }
}
