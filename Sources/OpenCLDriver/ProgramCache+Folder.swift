import Foundation

// The folder of the cache as a whole.
extension ProgramCache {
  static let fileExtension = "clbin"
  /// Of files that are being written, or that a process left behind which was killed.
  static let partialExtension = "part"

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

  /// Removes every program and returns what they were; throws where a file cannot be removed.
  package func clear() throws -> Contents {
    let files = files
    for file in files { try FileManager.default.removeItem(at: file.url) }
    return Self.sum(files)
  }

  /// Removes the programs that were not used for longest, until the others have at most `limitBytes`.
  func trim() {
    var excess = contents.bytes - limitBytes
    guard excess > 0 else { return }
    for file in files.sorted(by: { $0.used < $1.used }) where excess > 0 {
      unlink(file.url.path)
      excess -= file.bytes
    }
  }

  /// A file that was used is the last to go.
  func noteUse(of file: URL) { utimes(file.path, nil) }

  private typealias File = (url: URL, bytes: Int, used: Date)

  private static func sum(_ files: [File]) -> Contents {
    Contents(count: files.count, bytes: files.reduce(0) { $0 + $1.bytes })
  }

  private var files: [File] {
    let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
    guard let folder = usableFolder else { return [] }
    let all = try? FileManager.default.contentsOfDirectory(
      at: folder, includingPropertiesForKeys: Array(keys))
    return (all ?? []).compactMap { url in
      guard [Self.fileExtension, Self.partialExtension].contains(url.pathExtension),
        let values = try? url.resourceValues(forKeys: keys), let bytes = values.fileSize
      else { return nil }
      return (url, bytes, values.contentModificationDate ?? .distantPast)
    }
  }
}
