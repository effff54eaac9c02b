import CarouselModel
import Foundation

/// The calls of the operating system that take paths, whose bytes need not be UTF-8.
///
/// Each returns what the call of the same purpose returns, and leaves its `errno`.
package enum FileSystem {
  /// Opens a file; a descriptor, or −1.
  package static func open(_ path: String, _ flags: Int32, permissions: mode_t = 0o666) -> Int32 {
    path.withSystemPath { Foundation.open($0, flags, permissions) }
  }

  /// Makes a folder; 0, or −1.
  package static func makeFolder(_ path: String) -> Int32 {
    path.withSystemPath { mkdir($0, 0o777) }
  }

  /// Removes a file; 0, or −1.
  @discardableResult
  package static func remove(_ path: String) -> Int32 { path.withSystemPath { unlink($0) } }

  /// Removes a folder that is empty; 0, or −1.
  @discardableResult
  package static func removeFolder(_ path: String) -> Int32 { path.withSystemPath { rmdir($0) } }

  /// Gives a file another name; 0, or −1.
  static func rename(_ path: String, to other: String) -> Int32 {
    path.withSystemPath { path in other.withSystemPath { Foundation.rename(path, $0) } }
  }

  /// Whether the process may do what `mode` says; 0, or −1.
  static func access(_ path: String, _ mode: Int32) -> Int32 {
    path.withSystemPath { Foundation.access($0, mode) }
  }

  /// What is at a path, links followed; nil where nothing is.
  static func status(of path: String) -> stat? {
    var status = stat()
    return path.withSystemPath { stat($0, &status) } == 0 ? status : nil
  }

  /// The path without links; nil where nothing is there.
  static func realPath(_ path: String) -> String? {
    guard let real = path.withSystemPath({ realpath($0, nil) }) else { return nil }
    defer { free(real) }
    return String(systemBytes: [UInt8](UnsafeRawBufferPointer(start: real, count: strlen(real))))
  }
}

/// The memory that this process may fill.
package enum HostMemory {
  /// The bytes of the machine's memory, or of the control group that the process is in.
  package static let byteCount: Int = {
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
    let limits = groups.compactMap { path in
      (try? String(contentsOfFile: path, encoding: .utf8)).flatMap {
        Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
      }
    }
    return limits.reduce(Int(ProcessInfo.processInfo.physicalMemory), min)
  }()

  /// Throws `badData` where `subject` of the file `path` needs more bytes than there are.
  ///
  /// An array that is too large for the memory would end the process.
  static func require(
    _ count: Int, for subject: String, of path: String
  ) throws(CarouselError) {
    guard count > byteCount else { return }
    throw CarouselError(
      .badData,
      "\(path): \(subject) needs \(count) bytes of memory, expected at most \(byteCount), which is "
        + "all there is")
  }
}
