import Foundation

/// Reads JSON from its bytes, from the front to the end, without keeping what is not asked for.
///
/// Whoever calls it knows which kind of value comes next: a kind that is not there is nil, and what is
/// no JSON at all is `Malformed`.
struct JSONScanner {
  /// The bytes are not the JSON that was begun.
  struct Malformed: Error {}

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Whether nothing but white space is left.
  mutating func isAtEnd() -> Bool { next() == nil }

  /// The next byte that is not white space; nil at the end.
  private mutating func next() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"):
        position += 1
      case let byte: return byte
      }
    }
    return nil
  }

  /// Takes the next byte that is not white space where it is `byte`.
  private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  /// The members of an object, one after the other: `body` gets each name and takes its value.
  ///
  /// Returns false where the next value is not an object. Throws what `body` throws.
  mutating func object(_ body: (inout JSONScanner, String) throws -> Void) throws -> Bool {
    guard take("{") else { return false }
    if take("}") { return true }
    repeat {
      guard let name = try string(), take(":") else { throw Malformed() }
      try body(&self, name)
    } while take(",")
    guard take("}") else { throw Malformed() }
    return true
  }

  /// The next value where it is a text; nil where it is something else.
  mutating func string() throws(Malformed) -> String? {
    guard take("\"") else { return nil }
    let begin = position
    var isEscaped = false
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      guard bytes[position] >= 0x20 else { throw Malformed() }
      if bytes[position] == UInt8(ascii: "\\") {
        isEscaped = true
        position += 1
      }
      position += 1
    }
    guard position < bytes.count else { throw Malformed() }
    position += 1
    let text =
      isEscaped
      ? try? JSONDecoder().decode(String.self, from: Data(bytes[(begin - 1)..<position]))
      : String(validating: bytes[begin..<(position - 1)], as: UTF8.self)
    guard let text else { throw Malformed() }
    return text
  }

  /// The next value where it is a list of whole numbers from 0 on; nil where it is something else.
  mutating func wholeNumbers() -> [Int]? {
    guard take("[") else { return nil }
    if take("]") { return [] }
    var numbers: [Int] = []
    repeat {
      guard let number = wholeNumber() else { return nil }
      numbers.append(number)
    } while take(",")
    return take("]") ? numbers : nil
  }

  private mutating func wholeNumber() -> Int? {
    guard next() != nil else { return nil }
    let begin = position
    while position < bytes.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[position] {
      position += 1
    }
    let digits = bytes[begin..<position]
    // JSON has no zeros in front.
    guard digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
    return digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self))
  }
}
