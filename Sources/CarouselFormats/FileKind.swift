import Foundation

/// What there is at a path, links followed.
package enum FileKind: Sendable {
  /// A regular file.
  case file
  /// A folder.
  case folder
  /// A pipe, a terminal or another device.
  case other

  /// Asks the operating system; nil where there is nothing, or nothing that may be seen.
  package init?(at path: String) {
    guard let status = FileSystem.status(of: path) else { return nil }
    self =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      default: .other
      }
  }
}
