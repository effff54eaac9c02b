import COpenCL

/// Lends buffers and keeps their memory when they go, so that a loop allocates only once.
///
/// Memory is handed on while commands that use it may still be queued. That is safe as long as all
/// its buffers are used on one in-order queue, or queues are finished in between.
///
/// Not `Sendable`, like its context.
package final class BufferPool {
  /// The context in whose memory the buffers lie.
  package let context: Context
  /// The bytes that wait to be lent again.
  package private(set) var idleBytes = 0
  /// The most bytes that are kept waiting; what comes back beyond it is released.
  package let idleLimitBytes: Int

  private var idle: [Int: [cl_mem]] = [:]

  /// Makes an empty pool; `idleLimitBytes` is half of the context's memory unless told.
  package init(context: Context, idleLimitBytes: Int? = nil) {
    self.context = context
    self.idleLimitBytes = idleLimitBytes ?? context.memoryBytes / 2
  }

  deinit {
    purge()
  }

  /// Lends a buffer with undefined contents, whose memory comes back when the buffer goes.
  ///
  /// Where the device has no room, the waiting memory is released and the allocation tried again.
  package func take(_ byteCount: Int) throws(OpenCLError) -> Buffer {
    let capacity = BufferPool.sizeClass(byteCount)
    if let handle = idle[capacity]?.popLast() {
      idleBytes -= capacity
      return Buffer(pool: self, handle: handle, byteCount: byteCount, capacity: capacity)
    }
    if let handle = try? context.allocate(capacity) {
      return Buffer(pool: self, handle: handle, byteCount: byteCount, capacity: capacity)
    }
    purge()
    let handle = try context.allocate(byteCount)
    return Buffer(pool: self, handle: handle, byteCount: byteCount, capacity: byteCount)
  }

  /// Releases all memory that waits.
  package func purge() {
    for (capacity, handles) in idle {
      for handle in handles { context.release(handle, capacity) }
    }
    idle.removeAll()
    idleBytes = 0
  }

  func giveBack(_ handle: cl_mem, capacity: Int) {
    if capacity > idleLimitBytes - idleBytes {
      context.release(handle, capacity)
    } else {
      idle[capacity, default: []].append(handle)
      idleBytes += capacity
    }
  }

  /// The bytes that are allocated for a request: eight classes to each power of two, so that at
  /// most an eighth is wasted; 256 at least.
  static func sizeClass(_ byteCount: Int) -> Int {
    guard byteCount > 256 else { return 256 }
    let step = 1 << (Int.bitWidth - 4 - (byteCount - 1).leadingZeroBitCount)
    return (byteCount + step - 1) / step * step
  }
}
