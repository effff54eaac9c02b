import CarouselFormats
import CarouselModel

/// The bytes that a model of text knows; a byte's token is its place among them.
public struct ByteVocabulary: Hashable, Sendable {
  /// The bytes in ascending order, each once.
  public let bytes: [UInt8]
  /// The token of each of the 256 bytes, −1 where the vocabulary lacks it.
  private let tokens: [Int32]

  /// Collects the bytes that occur in a text.
  public init(of text: some Sequence<UInt8>) {
    var occurs = [Bool](repeating: false, count: 256)
    occurs.withUnsafeMutableBufferPointer { occurs in
      for byte in text { occurs[Int(byte)] = true }
    }
    self.init(sorted: (0...255).filter { occurs[Int($0)] })
  }

  /// All 256 bytes, each its own token.
  public static let all = ByteVocabulary(sorted: Array(0...255))

  /// The bytes of this vocabulary and of another one.
  public func union(_ other: ByteVocabulary) -> ByteVocabulary {
    ByteVocabulary(of: bytes + other.bytes)
  }

  private init(sorted bytes: [UInt8]) {
    var tokens = [Int32](repeating: -1, count: 256)
    for (token, byte) in bytes.enumerated() { tokens[Int(byte)] = Int32(token) }
    self.bytes = bytes
    self.tokens = tokens
  }

  /// Whether the bytes can be those of a text in UTF-8.
  ///
  /// Such a text never has 0xC0, 0xC1 or 0xF5 to 0xFF, and bytes that go on with a character only where
  /// it has bytes that begin one.
  var canBeUTF8: Bool {
    let (begin, goOn) = (
      bytes.contains { 0xC2...0xF4 ~= $0 }, bytes.contains(where: UTF8Scanner.continuation.contains)
    )
    return begin == goOn && !bytes.contains { 0xC0...0xC1 ~= $0 || $0 >= 0xF5 }
  }

  /// V, the number of tokens.
  public var count: Int { bytes.count }

  /// The token of a byte; nil where the vocabulary lacks it.
  public func token(_ byte: UInt8) -> Int32? {
    let token = tokens[Int(byte)]
    return token < 0 ? nil : token
  }

  /// Where a text has its first unknown byte; nil where all are known.
  private func firstUnknown(in text: [UInt8]) -> Int? {
    tokens.withUnsafeBufferPointer { tokens in
      text.firstIndex { tokens[Int($0)] < 0 }
    }
  }

  /// Throws where a byte of a text is unknown; `source` names the text in the error.
  public func check(_ text: [UInt8], source: String) throws(CarouselError) {
    try check(TextContent(text[...]), source: source)
  }

  /// The same of a text that may be in files.
  func check(_ text: TextContent, source: String) throws(CarouselError) {
    guard count < 256 else { return }
    try text.forEachChunk { offset, bytes throws(CarouselError) in
      guard let unknown = bytes.firstIndex(where: { tokens[Int($0)] < 0 }) else { return true }
      throw CarouselError(
        .badData,
        "\(source): the model knows \(count) bytes, but the byte \(Self.name(of: bytes[unknown])) "
          + "at offset \(offset + unknown) is none of them")
    }
  }

  /// A text without what is unknown.
  public struct KnownText: Sendable {
    /// What is left.
    public let bytes: [UInt8]
    /// How many bytes were left out.
    public let leftOut: Int
    /// The first unknown byte for people to read, with its offset; nil where nothing is left out.
    public let firstUnknown: String?
  }

  /// Leaves out what the vocabulary lacks: of a text in UTF-8 whole characters, of another one bytes.
  public func known(in text: [UInt8]) -> KnownText {
    guard let first = firstUnknown(in: text) else {
      return KnownText(bytes: text, leftOut: 0, firstUnknown: nil)
    }
    let isUTF8 = UTF8Scanner.isUTF8(text)
    var bytes: [UInt8] = []
    var start = 0
    while start < text.count {
      var end = start + 1
      while isUTF8, end < text.count, UTF8Scanner.continuation.contains(text[end]) { end += 1 }
      if text[start..<end].allSatisfy({ tokens[Int($0)] >= 0 }) { bytes += text[start..<end] }
      start = end
    }
    return KnownText(
      bytes: bytes, leftOut: text.count - bytes.count,
      firstUnknown: "\(Self.name(of: text[first])) at offset \(first)")
  }

  /// The tokens of a text.
  ///
  /// Throws where a byte is unknown; `source` names the text in the error.
  public func encode(_ text: [UInt8], source: String) throws(CarouselError) -> [Int32] {
    try check(text, source: source)
    return text.map { tokens[Int($0)] }
  }

  /// The bytes of tokens, each at least 0 and below `count`.
  public func decode(_ tokens: some Sequence<Int32>) -> [UInt8] {
    tokens.map { bytes[Int($0)] }
  }

  /// A byte for people to read: `0x41 'A'`.
  static func name(of byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    let code = "0x" + String(repeating: "0", count: 2 - digits.count) + digits
    return (0x21...0x7E).contains(byte) ? "\(code) '\(Character(UnicodeScalar(byte)))'" : code
  }
}

extension ByteVocabulary: Codable {
  /// Reads the ascending list of bytes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let bytes = try container.decode([UInt8].self)
    guard !bytes.isEmpty, zip(bytes, bytes.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "a vocabulary's bytes must ascend, each once")
    }
    self.init(sorted: bytes)
  }

  /// Writes the ascending list of bytes.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(bytes)
  }
}
