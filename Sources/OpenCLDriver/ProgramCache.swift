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

// The folder of the cache as a whole.
extension ProgramCache {
  static let fileExtension = "clbin"
  /// Of files that are being written, or that a process left behind which was killed.
  static let partialExtension = "part"

  /// Where PoCL keeps what it compiled, where that is in the cache; see `PoCL.choose`.
  static let poclName = "pocl"
  /// PoCL's programs stay as long as a process that runs may use them.
  static let poclSeconds = 86_400.0

  /// What a cache holds.
  package struct Contents: Equatable, Sendable {
    /// How many files there are.
    package let count: Int
    /// Their size together.
    package let bytes: Int
  }

  /// Why the folder is not used, though one was asked for; nil where it is, or will be made.
  package var problem: String? { folder.flatMap { PrivateFolder.problem($0.path) } }

  /// The folder, where it can be trusted; nil keeps nothing.
  package var usableFolder: URL? { problem == nil ? folder : nil }

  var isEnabled: Bool { usableFolder != nil }

  /// What is in the folder now.
  package var contents: Contents { Self.sum(files) }

  /// Removes every program, PoCL's too, and returns what they were; throws where one cannot be removed.
  package func clear() throws -> Contents {
    let files = files
    for file in files { try FileManager.default.removeItem(at: file.url) }
    return Self.sum(files)
  }

  /// Removes the programs that were not used for longest, until the others have at most `limitBytes`; of
  /// PoCL's those of the last day stay.
  func trim() {
    var excess = contents.bytes - limitBytes
    guard excess > 0 else { return }
    let files = files.filter { !$0.isPoCL || $0.used.timeIntervalSinceNow < -Self.poclSeconds }
    for file in files.sorted(by: { $0.used < $1.used }) where excess > 0 {
      try? FileManager.default.removeItem(at: file.url)
      excess -= file.bytes
    }
  }

  /// A file that was used is the last to go.
  func noteUse(of file: URL) { utimes(file.path, nil) }

  /// A program: a file, or a folder of PoCL's.
  private typealias File = (url: URL, bytes: Int, used: Date, isPoCL: Bool)

  private static func sum(_ files: [File]) -> Contents {
    Contents(count: files.count, bytes: files.reduce(0) { $0 + $1.bytes })
  }

  private var files: [File] {
    let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
    guard let folder = usableFolder else { return [] }
    return Self.files(in: folder, keys).compactMap { url in
      guard [Self.fileExtension, Self.partialExtension].contains(url.pathExtension),
        let values = try? url.resourceValues(forKeys: keys), let bytes = values.fileSize
      else { return nil }
      return (url, bytes, values.contentModificationDate ?? .distantPast, false)
    } + poclFiles(folder.appending(path: Self.poclName), keys)
  }

  /// PoCL's programs: the folders in the folders that the first letters of their hashes name.
  private func poclFiles(_ folder: URL, _ keys: Set<URLResourceKey>) -> [File] {
    Self.files(in: folder, keys).flatMap { Self.files(in: $0, keys) }.map { program in
      let inside = FileManager.default.enumerator(
        at: program, includingPropertiesForKeys: Array(keys))
      let values = (inside?.compactMap { $0 as? URL } ?? []).map {
        try? $0.resourceValues(forKeys: keys)
      }
      return (
        program, values.reduce(0) { $0 + ($1?.fileSize ?? 0) },
        values.compactMap { $0?.contentModificationDate }.max() ?? .distantPast, true
      )
    }
  }

  private static func files(in folder: URL, _ keys: Set<URLResourceKey>) -> [URL] {
    let all = try? FileManager.default.contentsOfDirectory(
      at: folder, includingPropertiesForKeys: Array(keys))
    return all ?? []
  }
}
