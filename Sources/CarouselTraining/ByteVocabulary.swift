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

  private init(sorted bytes: [UInt8]) {
    var tokens = [Int32](repeating: -1, count: 256)
    for (token, byte) in bytes.enumerated() { tokens[Int(byte)] = Int32(token) }
    self.bytes = bytes
    self.tokens = tokens
  }

  /// V, the number of tokens.
  public var count: Int { bytes.count }

  /// The token of a byte; nil where the vocabulary lacks it.
  public func token(_ byte: UInt8) -> Int32? {
    let token = tokens[Int(byte)]
    return token < 0 ? nil : token
  }

  /// Throws where a byte of a text is unknown; `source` names the text in the error.
  public func check(_ text: [UInt8], source: String) throws(CarouselError) {
    let unknown = tokens.withUnsafeBufferPointer { tokens in
      text.firstIndex { tokens[Int($0)] < 0 }
    }
    guard let unknown else { return }
    throw CarouselError(
      .badData,
      "\(source): the model knows \(count) bytes, but the byte \(Self.name(of: text[unknown])) "
        + "at offset \(unknown) is none of them")
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
  private static func name(of byte: UInt8) -> String {
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
