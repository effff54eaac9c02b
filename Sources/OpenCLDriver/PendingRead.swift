import COpenCL

/// A read that a device may not have done yet.
package final class PendingRead<Element: BitwiseCopyable> {
  private let values: UnsafeMutableBufferPointer<Element>
  /// The command; nil where nothing is to be read.
  private let event: Event?

  init(_ values: UnsafeMutableBufferPointer<Element>, _ event: Event?) {
    (self.values, self.event) = (values, event)
  }

  /// A device that cannot be waited for keeps the memory.
  deinit {
    do {
      try event?.wait()
      values.deallocate()
    } catch {}
  }

  /// The numbers, once the command is done.
  package func wait() throws(OpenCLError) -> [Element] {
    try event?.wait()
    return Array(values)
  }
}
