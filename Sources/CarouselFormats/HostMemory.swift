import CarouselModel
import Foundation

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
