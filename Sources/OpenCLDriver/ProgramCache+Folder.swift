import Foundation

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
