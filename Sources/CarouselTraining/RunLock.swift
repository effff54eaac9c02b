import CarouselFormats
import CarouselModel
import Foundation

/// The right to write into a run's folder, which one run at a time has.
///
/// It is a lock on the file `.lock` of the folder. The operating system releases it when the process ends,
/// however it ends.
final class RunLock: Sendable {
  private let folder: String
  private let isNew: Bool
  private let descriptor: Int32
  private var file: String { folder + "/.lock" }

  /// Locks a folder that is there; one that `isNew` is removed with the lock where it is still empty.
  ///
  /// Throws a usage error where another run has the lock, and `writeFailed` where the file cannot be made.
  init(folder: String, isNew: Bool) throws(CarouselError) {
    self.folder = folder
    self.isNew = isNew
    descriptor = try Self.lock(folder + "/.lock", of: folder)
    let owner = "\(getpid())\n"
    // The number is there for the sentence that another run prints; without it that is shorter.
    if ftruncate(descriptor, 0) == 0 { _ = write(descriptor, owner, owner.utf8.count) }
  }

  deinit {
    release()
    close(descriptor)
  }

  /// Removes the file, and a new folder in which nothing else is; the lock goes with the process.
  func release() {
    var status = stat()
    // Removed before, it may be another run's by now.
    guard fstat(descriptor, &status) == 0, status.st_nlink > 0 else { return }
    FileSystem.remove(file)
    if isNew { FileSystem.removeFolder(folder) }
  }

  private static func lock(_ file: String, of folder: String) throws(CarouselError) -> Int32 {
    while true {
      let descriptor = FileSystem.open(file, O_RDWR | O_CREAT | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw CarouselError(
          .writeFailed, "\(file): the file cannot be made: \(String(cString: strerror(errno)))")
      }
      if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
        let code = errno
        // Without locks on this file system there is nothing to wait for.
        if code != EWOULDBLOCK { return descriptor }
        defer { close(descriptor) }
        throw refusal(folder, owner: descriptor)
      }
      var status = stat()
      // A run that ends removes the file; a lock on what was removed is none.
      if fstat(descriptor, &status) == 0, status.st_nlink > 0 { return descriptor }
      close(descriptor)
    }
  }

  private static func refusal(_ folder: String, owner descriptor: Int32) -> CarouselError {
    var digits = [UInt8](repeating: 0, count: 16)
    let count = read(descriptor, &digits, digits.count)
    let process = Int(
      String(decoding: digits.prefix(max(count, 0)).prefix { $0 != 10 }, as: UTF8.self))
    return CarouselError(
      .usage,
      "\(folder): expected a folder in which no run is under way, found the run of "
        + (process.map { "process \($0)" } ?? "another process")
        + "; end it or wait until it has ended")
  }
}
