/// Follows UTF-8 byte by byte (The Unicode Standard, table 3-7).
package struct UTF8Scanner: Sendable {
  /// How many bytes the character that was begun still needs.
  package private(set) var missing = 0
  /// What the next of them may be.
  private var allowed = Self.continuation

  /// The bytes that go on with a character.
  package static let continuation: ClosedRange<UInt8> = 0x80...0xBF

  /// Stands where a character begins.
  package init() {}

  /// Takes the next byte; false where it cannot stand there, and nothing changes then.
  @discardableResult
  package mutating func accept(_ byte: UInt8) -> Bool {
    guard missing == 0 else {
      guard allowed.contains(byte) else { return false }
      missing -= 1
      allowed = Self.continuation
      return true
    }
    switch byte {
    case 0x00...0x7F: return true
    case 0xC2...0xDF: missing = 1
    case 0xE0...0xEF: missing = 2
    case 0xF0...0xF4: missing = 3
    default: return false
    }
    switch byte {
    case 0xE0: allowed = 0xA0...0xBF
    case 0xED: allowed = 0x80...0x9F
    case 0xF0: allowed = 0x90...0xBF
    case 0xF4: allowed = 0x80...0x8F
    default: break
    }
    return true
  }

  /// Whether the byte can stand next, and its character can be complete within `count` bytes.
  package func canTake(_ byte: UInt8, within count: Int) -> Bool {
    var next = self
    return next.accept(byte) && next.missing < count
  }

  /// Whether bytes can be a part of a text in UTF-8, which may begin and end within a character.
  package static func isPartOfUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var scanner = UTF8Scanner()
    let begin = bytes.prefix(3).prefix { continuation.contains($0) }.count
    return bytes.dropFirst(begin).allSatisfy { scanner.accept($0) }
  }

  /// Whether bytes are whole characters of UTF-8.
  package static func isUTF8(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBufferPointer { bytes in
      var scanner = UTF8Scanner()
      return bytes.allSatisfy { scanner.accept($0) } && scanner.missing == 0
    }
  }
}
