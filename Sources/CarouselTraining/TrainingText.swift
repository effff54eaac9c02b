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
    /// The FNV-1a hash of the text, 64 bits as hexadecimal digits.
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

  /// The text.
  public let bytes: [UInt8]
  /// The bytes that occur in it.
  public let vocabulary: ByteVocabulary
  /// What a run remembers of it.
  public let identity: Identity
  /// Whether the text is UTF-8.
  public var isUTF8: Bool { identity.isUTF8 == true }

  /// Takes a text from memory.
  public init(_ text: some Sequence<UInt8>) {
    self.init(Array(text), files: [])
  }

  /// Reads a text from files or pipes, one behind the other; `-` is standard input.
  ///
  /// Throws where a file is missing or unreadable, or where all of them are too short for one byte
  /// to be predicted from another.
  public init(files: [String]) throws(CarouselError) {
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
    self.init(
      bytes,
      files: files.map {
        Self.canBeReadAgain($0) ? URL(fileURLWithPath: $0).standardizedFileURL.path : Self.pipe
      })
  }

  private init(_ bytes: [UInt8], files: [String]) {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    self.bytes = bytes
    vocabulary = ByteVocabulary(of: bytes)
    identity = Identity(
      files: files, byteCount: bytes.count, hash: String(hash, radix: 16),
      isUTF8: UTF8Scanner.isUTF8(bytes))
  }

  /// The bytes of a character, on average over a part of the text; nil where the text is not UTF-8.
  ///
  /// A character that a part begins within does not count as one of the part's.
  public func bytesPerCharacter(in part: Range<Int>) -> Double? {
    guard isUTF8 else { return nil }
    let characters = bytes[part].count { !UTF8Scanner.continuation.contains($0) }
    return characters == 0 ? nil : Double(part.count) / Double(characters)
  }

  /// The text's name in an error.
  var name: String { identity.files.isEmpty ? "the text" : identity.files.joined(separator: ", ") }

  /// The bytes at the end that are held out, where `share` of all are.
  func heldOutCount(share: Double) -> Int { Int((Double(bytes.count) * share).rounded()) }
}
