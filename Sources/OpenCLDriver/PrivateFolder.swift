import Foundation

/// Folders that hold code which this process will run: nobody else may write to them.
enum PrivateFolder {
  /// Why a folder that exists cannot be trusted or written; nil where all is well, or it does not exist.
  static func problem(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      return errno == ENOENT ? nil : "\(path): \(String(cString: strerror(errno)))"
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return "\(path) is not a folder" }
    // Another user's link could lead elsewhere at any time.
    var link = stat()
    guard status.st_uid == geteuid(), lstat(path, &link) == 0, link.st_uid == geteuid() else {
      return "\(path) belongs to another user"
    }
    guard status.st_mode & 0o022 == 0 else {
      let mode = String(status.st_mode & 0o777, radix: 8)
      return "others can write to \(path) (its mode is \(mode); chmod 700 mends that)"
    }
    return nil
  }

  /// Makes a folder and those above it, for this user alone; returns why it cannot be used, if so.
  static func make(_ path: String) -> String? {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      return "\(path) cannot be made"
    }
    return problem(path)
  }

  /// Whether files can be made in a folder that exists or could be made, on a disk with `roomBytes` left.
  static func canWrite(_ path: String, roomBytes: Int) -> Bool {
    var ancestor = path
    while access(ancestor, F_OK) != 0 {
      let parent = (ancestor as NSString).deletingLastPathComponent
      // A link into nothing is in the way of a folder.
      guard errno == ENOENT, parent != ancestor, !isLink(ancestor) else { return false }
      ancestor = parent.isEmpty ? "." : parent
    }
    var status = stat()
    guard stat(ancestor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return false }
    return access(ancestor, W_OK | X_OK) == 0 && freeBytes(ancestor) >= roomBytes
  }

  /// What is left on the disk of a folder.
  static func freeBytes(_ path: String) -> Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return .max }
    let (bytes, overflow) = Int(clamping: status.f_bavail)
      .multipliedReportingOverflow(by: Int(clamping: status.f_frsize))
    return overflow ? .max : bytes
  }

  private static func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }
}
