import Foundation

/// Built programs on disk, one file each; a file that is not what it should be counts as absent.
///
/// A file holds a mark, the lengths of key and binary, a checksum of the binary, the whole key and
/// the binary. Its name is a hash of the key, but only an equal key makes a hit.
public struct ProgramCache: Sendable {
  /// The folder of the files; nil keeps nothing.
  public let folder: URL?

  /// Keeps programs in a folder, which is made when needed, or nowhere.
  public init(folder: URL?) {
    self.folder = folder
  }

  /// The user's cache: `$CAROUSEL_CACHE` (`off` for none), else `$XDG_CACHE_HOME/carousel`, else
  /// `~/.cache/carousel`.
  public static var standard: ProgramCache {
    ProgramCache(environment: ProcessInfo.processInfo.environment)
  }

  init(environment: [String: String]) {
    func path(_ variable: String) -> URL? {
      environment[variable].flatMap { $0.isEmpty ? nil : URL(filePath: $0) }
    }
    if environment["CAROUSEL_CACHE"] == "off" {
      folder = nil
    } else {
      folder =
        path("CAROUSEL_CACHE") ?? path("XDG_CACHE_HOME")?.appending(path: "carousel")
        ?? path("HOME")?.appending(path: ".cache/carousel")
    }
  }

  var isEnabled: Bool { folder != nil }

  /// The file for a key, where there is a folder.
  func file(for key: [UInt8]) -> URL? {
    let bases: [UInt64] = [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142]
    let name = bases.map { basis in
      let digits = String(ProgramCache.hash(key[...], basis: basis), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return folder?.appending(path: name.joined() + ".clbin")
  }

  /// The binary for a key; nil where there is none that can be trusted.
  func load(key: [UInt8]) -> [UInt8]? {
    guard let file = file(for: key), let data = try? Data(contentsOf: file) else { return nil }
    let bytes = [UInt8](data)
    let start = ProgramCache.headerSize + key.count
    guard bytes.count > start else { return nil }
    let binary = bytes[start...]
    let expected = ProgramCache.header(key: key, binary: binary) + key
    return bytes[..<start].elementsEqual(expected) ? Array(binary) : nil
  }

  /// Keeps a binary under its key; a failure is no one's concern, the program is there already.
  func store(_ binary: [UInt8], key: [UInt8]) {
    guard let folder, let file = file(for: key) else { return }
    try? FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let header = ProgramCache.header(key: key, binary: binary[...])
    // Written under another name, then renamed, so that nobody reads half a file.
    try? Data(header + key + binary).write(to: file, options: .atomic)
  }

  private static let mark = Array("CRSLPRG1".utf8)
  private static let headerSize = 32

  private static func header(key: [UInt8], binary: ArraySlice<UInt8>) -> [UInt8] {
    let numbers = [
      UInt64(key.count), UInt64(binary.count), hash(binary, basis: 0xcbf2_9ce4_8422_2325),
    ]
    return mark + numbers.flatMap { number in withUnsafeBytes(of: number.littleEndian, Array.init) }
  }

  /// FNV-1a of 64 bits, begun at `basis`.
  private static func hash(_ bytes: ArraySlice<UInt8>, basis: UInt64) -> UInt64 {
    bytes.withUnsafeBufferPointer { bytes in
      var hash = basis
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      return hash
    }
  }
}
