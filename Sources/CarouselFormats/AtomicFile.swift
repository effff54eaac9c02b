import CarouselModel
import Foundation

/// Writes whole files so that nothing half-written is ever seen under the final name.
public enum AtomicFile {
  /// Replaces or creates `path`: writes a temporary file beside it, flushes that to the disk and
  /// renames it.
  ///
  /// On any failure the temporary file is removed, the old file is as it was, and the error is a
  /// `writeFailed`. A link is followed. What is neither a file nor a directory (a terminal, a pipe,
  /// `/dev/stdout`) is written to directly.
  public static func write(
    _ bytes: some ContiguousBytes, to path: String
  ) throws(CarouselError) {
    try write(to: path) { writer in bytes.withUnsafeBytes { writer.append($0) } }
  }

  /// Replaces or creates `path` with a text in UTF-8; as for bytes.
  public static func write(_ text: String, to path: String) throws(CarouselError) {
    try write(Array(text.utf8), to: path)
  }

  /// Throws `writeFailed` where `path` cannot be written as things are, before work is begun for it.
  public static func requireWritable(_ path: String) throws(CarouselError) {
    switch FileKind(at: path) {
    case .folder: throw failure(path, EISDIR)
    case .other: return
    case .file, nil: break
    }
    let folder = resolved(path).deletingLastPathComponent()
    guard FileSystem.access(folder.isEmpty ? "." : folder, W_OK | X_OK) == 0 else {
      throw failure(path, errno)
    }
  }

  /// What the names of temporary files begin and end with.
  private static let prefix = ".carousel-", suffix = ".tmp"

  /// Removes the temporary files in `folder` whose writers were killed; those of living ones stay.
  public static func removeUnfinished(in folder: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasPrefix(prefix) && name.hasSuffix(suffix) {
      let file = "\(folder)/\(name)"
      let descriptor = FileSystem.open(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      // A lock goes with its process.
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { FileSystem.remove(file) }
      close(descriptor)
    }
  }

  /// Takes the bytes of a file piece by piece; after a failure what comes is ignored.
  struct Writer {
    fileprivate let descriptor: Int32
    /// The number of the first error.
    fileprivate var code: Int32?

    /// Writes bytes behind those before.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
      if code == nil { code = writeAll(bytes, to: descriptor) }
    }
  }

  /// Replaces or creates `path` with the bytes that `body` appends; as for bytes at once.
  static func write(
    to path: String, _ body: (inout Writer) -> Void
  ) throws(CarouselError) {
    if let kind = FileKind(at: path), kind != .file {
      try writeDirectly(to: path, body)
      return
    }
    let target = resolved(path)
    let folder = target.deletingLastPathComponent()
    let name = prefix + "\(getpid())-\(UInt64.random(in: 0...UInt64.max))" + suffix
    let temporary = folder + name
    let descriptor = FileSystem.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path, errno) }
    // For `removeUnfinished`, as long as this process lives.
    flock(descriptor, LOCK_EX | LOCK_NB)
    if let code = writeAndClose(descriptor, permissions: permissions(of: target), body)
      ?? (FileSystem.rename(temporary, to: target) == 0 ? nil : errno)
    {
      FileSystem.remove(temporary)
      throw failure(path, code)
    }
    try synchronize(folder: folder, of: path)
  }

  private static func writeDirectly(
    to path: String, _ body: (inout Writer) -> Void
  ) throws(CarouselError) {
    let descriptor = FileSystem.open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path, errno) }
    var writer = Writer(descriptor: descriptor)
    body(&writer)
    close(descriptor)
    if let code = writer.code { throw failure(path, code) }
  }

  /// Makes the rename last over a power cut.
  ///
  /// The new file is complete by then, whatever happens.
  private static func synchronize(folder: String, of path: String) throws(CarouselError) {
    let descriptor = FileSystem.open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
    // A folder may be writable but not readable; then there is nothing to hold on to.
    guard descriptor >= 0 else { return }
    // Some file systems cannot flush a folder and say EINVAL.
    let code = fsync(descriptor) == 0 || errno == EINVAL ? nil : errno
    close(descriptor)
    if let code { throw failure(path, code) }
  }

  /// Returns the error's number; nil is success.
  private static func writeAndClose(
    _ descriptor: Int32, permissions: mode_t?, _ body: (inout Writer) -> Void
  ) -> Int32? {
    if let permissions { fchmod(descriptor, permissions) }
    var writer = Writer(descriptor: descriptor)
    body(&writer)
    let code = writer.code ?? (fsync(descriptor) == 0 ? nil : errno)
    let closed = close(descriptor) == 0 ? nil : errno
    return code ?? closed
  }

  private static func permissions(of target: String) -> mode_t? {
    FileSystem.status(of: target).map { $0.st_mode & 0o7777 }
  }

  /// The file behind a link, so that the link stays a link.
  private static func resolved(_ path: String) -> String {
    FileSystem.realPath(path) ?? path
  }

  private static func failure(_ path: String, _ code: Int32) -> CarouselError {
    CarouselError(.writeFailed, "\(path): the file cannot be written: \(systemErrorText(code))")
  }
}

/// Writes all bytes, however many calls that takes.
///
/// Returns the error's number; nil is success.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
  var rest = bytes[...]
  while !rest.isEmpty {
    let buffer = UnsafeRawBufferPointer(rebasing: rest)
    let count = Foundation.write(descriptor, buffer.baseAddress, buffer.count)
    if count >= 0 {
      rest = rest.dropFirst(count)
    } else if errno != EINTR {
      return errno
    }
  }
  return nil
}

extension String {
  /// The part up to the last slash, that included; empty where there is none.
  fileprivate func deletingLastPathComponent() -> String {
    guard let slash = lastIndex(of: "/") else { return "" }
    return String(self[...slash])
  }
}
