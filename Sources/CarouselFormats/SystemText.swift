/// Texts of the operating system, such as arguments and paths, whose bytes need not be UTF-8.
///
/// A byte that is no part of a character in UTF-8 becomes the code point U+10FF00 plus the byte, of a
/// plane for private use, and becomes that byte again. PEP 383 does so with lone surrogates, which a
/// Swift string cannot hold. The bytes of those code points themselves are taken one by one, so that every
/// text comes back as it was.
extension String {
  private static let bytes: ClosedRange<UInt32> = 0x10FF80...0x10FFFF
  private static let base: UInt32 = 0x10FF00

  /// Takes the bytes of an argument or a path.
  public init(systemBytes bytes: [UInt8]) {
    self = ""
    var start = 0
    while start < bytes.count {
      let character = Self.character(at: start, of: bytes)
      if let character, !Self.bytes.contains(character.value) {
        unicodeScalars.append(character)
        start += character.utf8.count
      } else {
        Unicode.Scalar(Self.base + UInt32(bytes[start])).map { unicodeScalars.append($0) }
        start += 1
      }
    }
  }

  /// The character that begins at a byte; nil where none does.
  private static func character(at start: Int, of bytes: [UInt8]) -> Unicode.Scalar? {
    var scanner = UTF8Scanner()
    for end in start..<bytes.count {
      guard scanner.accept(bytes[end]) else { return nil }
      if scanner.missing == 0 {
        return String(decoding: bytes[start...end], as: UTF8.self).unicodeScalars.first
      }
    }
    return nil
  }

  /// The bytes that the operating system has for the text.
  public var systemBytes: [UInt8] {
    guard unicodeScalars.contains(where: { Self.bytes.contains($0.value) }) else {
      return Array(utf8)
    }
    return unicodeScalars.flatMap { scalar in
      Self.bytes.contains(scalar.value)
        ? [UInt8(scalar.value - Self.base)] : Array(String(scalar).utf8)
    }
  }

  /// Calls `body` with the bytes, ended by a zero, as C functions take a path.
  public func withSystemPath<Result>(
    _ body: (UnsafePointer<CChar>) throws -> Result
  ) rethrows -> Result {
    try (systemBytes + [0]).withUnsafeBufferPointer { bytes in
      try bytes.withMemoryRebound(to: CChar.self) { characters in
        guard let base = characters.baseAddress else { preconditionFailure("no bytes") }
        return try body(base)
      }
    }
  }

  /// The text for people: a byte that is no UTF-8 as `\\xE9`.
  public var escapingSystemBytes: String {
    var result = ""
    for scalar in unicodeScalars {
      if Self.bytes.contains(scalar.value) {
        result += "\\x" + String(scalar.value - Self.base, radix: 16, uppercase: true)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
