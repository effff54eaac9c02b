import CarouselFormats
import CarouselModel
import Foundation

/// The text that a network is trained on, with what recognizes it when a run is resumed.
public struct TrainingText: Sendable {
  /// What a run remembers of its text.
  public struct Identity: Hashable, Sendable, Codable {
    /// The files whose contents make up the text, in order, `-` for what was no regular file; a text
    /// from memory has none.
    public var files: [String]
    /// The length of the text.
    public var byteCount: Int
    /// The FNV-1a hash of the text, 64 bits as hexadecimal digits; behind `blocks-` that of blocks of it.
    public var hash: String
    /// Whether the text is UTF-8; nil in files from before this was noted.
    public var isUTF8: Bool?
  }

  /// Whether a path names a regular file that a later process finds there too.
  private static func canBeReadAgain(_ path: String) -> Bool {
    FileKind(at: path) == .file && !["/dev/", "/proc/"].contains(where: path.hasPrefix)
  }

  /// Stands among files for what can be read but once.
  public static let pipe = "-"

  /// The bytes beyond which `train text` leaves a text in its files.
  public static let mostInMemory = 1 << 28

  /// The bytes, wherever they are.
  public let content: TextContent
  /// The bytes that occur in it; all 256 of one that stays in its files.
  public let vocabulary: ByteVocabulary
  /// What a run remembers of it.
  public let identity: Identity
  /// Whether the text is UTF-8.
  public var isUTF8: Bool { identity.isUTF8 == true }
  /// The text; empty where it stays in its files.
  public let bytes: [UInt8]

  /// The blocks that are looked at of a text that stays in its files.
  private static let blocks = (places: 256, size: 4096)

  /// Takes a text from memory.
  public init(_ text: some Sequence<UInt8>) {
    self.init(Array(text), files: [])
  }

  /// Reads a text from files or pipes, one behind the other; `-` is standard input.
  ///
  /// Where all are regular files with more than `mostInMemory` bytes together, the bytes stay there and are
  /// read as they are needed. The hash, whether the text is UTF-8, and the bytes of its characters are then
  /// those of 256 blocks spread over it, so that nothing takes longer for a larger text.
  ///
  /// Throws where a file is missing or unreadable, or where all of them are too short for one byte
  /// to be predicted from another.
  public init(files: [String], mostInMemory: Int = .max) throws(CarouselError) {
    let names = files.map {
      Self.canBeReadAgain($0) ? URL(fileURLWithPath: $0).standardizedFileURL.path : Self.pipe
    }
    if !names.contains(Self.pipe) {
      let content = try TextContent(files: files)
      if content.count > mostInMemory {
        try self.init(content, files: names)
        return
      }
    }
    var bytes: [UInt8] = []
    for file in files {
      let part = try [UInt8](contentsOfInput: file)
      if bytes.isEmpty { bytes = part } else { bytes += part }
    }
    guard bytes.count >= 2 else {
      throw CarouselError(
        .badData,
        "\(files.joined(separator: ", ")): expected a text of at least 2 bytes, "
          + "found \(bytes.isEmpty ? "an empty one" : "1 byte")")
    }
    self.init(bytes, files: names)
  }

  private init(_ bytes: [UInt8], files: [String]) {
    var hash = ByteHash()
    for byte in bytes { hash.add(byte) }
    self.bytes = bytes
    content = TextContent(bytes[...])
    vocabulary = ByteVocabulary(of: bytes)
    identity = Identity(
      files: files, byteCount: bytes.count, hash: hash.text,
      isUTF8: UTF8Scanner.isUTF8(bytes))
  }

  private init(_ content: TextContent, files: [String]) throws(CarouselError) {
    var hash = ByteHash()
    var isUTF8 = true
    try content.forEachBlock(places: Self.blocks.places, size: Self.blocks.size) { block in
      for byte in block { hash.add(byte) }
      isUTF8 = isUTF8 && UTF8Scanner.isPartOfUTF8(block)
    }
    bytes = []
    self.content = content
    vocabulary = .all
    identity = Identity(
      files: files, byteCount: content.count, hash: "blocks-" + hash.text, isUTF8: isUTF8)
  }

  /// The bytes that occur in the text, wherever it is; takes a walk through one that stays in its files.
  public func occurringBytes() throws(CarouselError) -> ByteVocabulary {
    guard !content.isInMemory else { return vocabulary }
    var found = [Bool](repeating: false, count: 256)
    try content.forEachChunk { _, bytes in
      for byte in bytes { found[Int(byte)] = true }
      return true
    }
    return ByteVocabulary(of: (0...255).filter { found[Int($0)] })
  }

  /// The bytes of a character, on average over a part of the text; nil where the text is not UTF-8.
  ///
  /// A character that a part begins within does not count as one of the part's. Of a text that stays in its
  /// files blocks of the part are looked at; nil where these cannot be read.
  public func bytesPerCharacter(in part: Range<Int>) -> Double? {
    guard isUTF8 else { return nil }
    var (bytes, characters) = (0, 0)
    func count(_ block: UnsafeBufferPointer<UInt8>) {
      bytes += block.count
      characters += block.count { !UTF8Scanner.continuation.contains($0) }
    }
    let part = content.part(part)
    if content.isInMemory {
      try? part.withBytes(0..<part.count, count)
    } else {
      try? part.forEachBlock(places: Self.blocks.places, size: Self.blocks.size, count)
    }
    return characters == 0 ? nil : Double(bytes) / Double(characters)
  }

  /// The text's name in an error.
  var name: String { identity.files.isEmpty ? "the text" : identity.files.joined(separator: ", ") }

  /// The bytes that are a share of all.
  func count(share: Double) -> Int { Int((Double(content.count) * share).rounded()) }
}

/// The hash FNV-1a of bytes, 64 bits.
private struct ByteHash {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }

  /// The hash as hexadecimal digits.
  var text: String { String(state, radix: 16) }
}
