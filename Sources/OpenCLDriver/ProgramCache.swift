import Foundation

/// Built programs on disk, one file each; a file that is not what it should be counts as absent.
///
/// A file holds a mark, the lengths of key and binary, a checksum of the binary, the whole key and
/// the binary. Its name is a hash of the key, but only an equal key makes a hit. The folder is used only
/// where it belongs to this user and nobody else can write to it: what it holds is run.
public struct ProgramCache: Sendable {
  /// The folder of the files; nil keeps nothing.
  public let folder: URL?
  /// The most bytes that the files may have; beyond it those that were not used for longest go.
  public let limitBytes: Int

  /// Keeps programs in a folder, which is made when needed, or nowhere; 512 MiB of them unless told.
  public init(folder: URL?, limitBytes: Int = 512 << 20) {
    self.folder = folder
    self.limitBytes = limitBytes
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
    let standard =
      path("CAROUSEL_CACHE") ?? path("XDG_CACHE_HOME")?.appending(path: "carousel")
      ?? path("HOME")?.appending(path: ".cache/carousel")
    self.init(folder: environment["CAROUSEL_CACHE"] == "off" ? nil : standard)
  }

  /// The file for a key, where there is a folder.
  func file(for key: [UInt8]) -> URL? {
    let bases: [UInt64] = [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142]
    let name = bases.map { basis in
      let digits = String(ProgramCache.hash(key[...], basis: basis), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return folder?.appending(path: "\(name.joined()).\(Self.fileExtension)")
  }

  /// The binary for a key; nil where there is none that can be trusted.
  func load(key: [UInt8]) -> [UInt8]? {
    guard usableFolder != nil, let file = file(for: key),
      let data = try? Data(contentsOf: file)
    else { return nil }
    let bytes = [UInt8](data)
    let start = ProgramCache.headerSize + key.count
    guard bytes.count > start else { return nil }
    let binary = bytes[start...]
    let expected = ProgramCache.header(key: key, binary: binary) + key
    guard bytes[..<start].elementsEqual(expected) else { return nil }
    noteUse(of: file)
    return Array(binary)
  }

  /// Keeps a binary under its key; a failure is no one's concern, the program is there already.
  func store(_ binary: [UInt8], key: [UInt8]) {
    guard let folder, let file = file(for: key), PrivateFolder.make(folder.path) == nil
    else { return }
    let header = ProgramCache.header(key: key, binary: binary[...])
    // Written under another name, then renamed, so that nobody reads half a file.
    let partial = folder.appending(path: "\(UUID().uuidString).\(Self.partialExtension)")
    guard (try? Data(header + key + binary).write(to: partial)) != nil,
      rename(partial.path, file.path) == 0
    else {
      unlink(partial.path)
      return
    }
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
