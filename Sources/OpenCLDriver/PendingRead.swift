import COpenCL

/// A read that a device may not have done yet, and what it fills.
package final class PendingRead {
  private let memory: AnyObject
  /// The command; nil where nothing is to be read.
  private let event: Event?

  init(into memory: AnyObject, _ event: Event?) { (self.memory, self.event) = (memory, event) }

  /// A device that cannot be waited for keeps the memory.
  deinit {
    do { try event?.wait() } catch { _ = Unmanaged.passRetained(memory) }
  }

  /// Returns once the command is done.
  package func wait() throws(OpenCLError) { try event?.wait() }
}
