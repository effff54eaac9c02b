import COpenCL

/// An in-order queue of commands to a device.
///
/// A queue made with `profiling` gives an `Event` for every command; any other gives nil, and spends
/// nothing on events.
///
/// Not `Sendable`: the order of commands would be anybody's guess.
package final class Queue {
  /// The context in which its commands work.
  package let context: Context
  /// Whether commands give events with times.
  package let profiling: Bool
  /// The commands that were queued so far.
  package private(set) var commandCount = 0
  let handle: cl_command_queue
  private var activeWait: ActiveWait?
  /// What writes to buffers are read from that were not waited for, and how many bytes they are.
  var staged: (memory: [UnsafeMutableRawPointer], byteCount: Int) = ([], 0)
  /// The last command that was not waited for, where there is active waiting behind it.
  private var last: Event?

  /// Makes an in-order queue.
  package init(context: Context, profiling: Bool = false) throws(OpenCLError) {
    self.context = context
    self.profiling = profiling
    let properties = profiling ? cl_command_queue_properties(CL_QUEUE_PROFILING_ENABLE) : 0
    var code: cl_int = 0
    let queue = clCreateCommandQueue(context.handle, context.device.handle, properties, &code)
    handle = try made(queue, code, "making a queue on \(context.device.name)")
  }

  deinit {
    // A process that ends while the device computes may crash in the driver.
    activeWait?.end()
    // A device that cannot even be waited for keeps the memory.
    if succeeds(clFinish(handle), "waiting for a device") { releaseStaged() }
    succeeds(clReleaseCommandQueue(handle), "releasing a queue")
  }

  /// Waits until all its commands are done.
  package func finish() throws(OpenCLError) {
    guard let activeWait else {
      try check(clFinish(handle), "waiting for \(context.device.name)")
      releaseStaged()
      return
    }
    guard let event = last else { return }
    last = nil
    // Whether there is a waiting behind it or not, the command is what has to be done.
    try? activeWait.renew(on: handle)
    try event.wait()
    releaseStaged()
  }

  /// Whether the device has threads that `waitActively(with:)` can keep awake: those of PoCL, which
  /// sleep as soon as a command is done.
  package var canWaitActively: Bool {
    context.device.computeUnits > 1 && context.device.isPoCL
  }

  /// From now on leaves a thread of the device awake for some hundred microseconds after `finish` and
  /// `read`: what is queued by then begins some twenty microseconds earlier.
  ///
  /// The kernel is `wait_actively(volatile global const int *call, int seen, int polls)`.
  package func waitActively(with kernel: Kernel) throws(OpenCLError) {
    precondition(canWaitActively, "a queue of \(context.device.name) that cannot wait actively")
    try finish()
    activeWait = try ActiveWait(kernel: kernel, context: context)
  }

  /// Whether `waitActively(with:)` was called.
  package var waitsActively: Bool { activeWait != nil }

  /// Where the host may read and write a buffer itself, which counts as a command.
  ///
  /// Nil unless the device computes in that memory and all commands are done. It is a command less to wake
  /// threads for: a chunk of Silero VAD, which has two inputs, takes 144 µs and not 160 (two cores of a Zen 5).
  func directMemory(of buffer: Buffer) -> UnsafeMutableRawPointer? {
    guard activeWait != nil, last == nil, let memory = buffer.hostAddress else { return nil }
    commandCount += 1
    return memory
  }

  /// Takes note of a command whose event somebody else has.
  func noteCommand(_ event: Event) {
    commandCount += 1
    guard let activeWait else { return }
    activeWait.countCommand()
    last = event
  }

  /// Queues one command; gives its event where the queue profiles.
  @inline(__always)
  func enqueue(
    _ command: String, isBlocking: Bool = false,
    _ body: (UnsafeMutablePointer<cl_event?>?) -> cl_int
  ) throws(OpenCLError) -> Event? {
    commandCount += 1
    guard profiling || activeWait != nil else {
      try check(body(nil), "queueing \(command) on \(context.device.name)")
      return nil
    }
    if isBlocking { activeWait?.end() }
    var handle: cl_event?
    let code = body(&handle)
    let event = Event(
      handle: try made(handle, code, "queueing \(command) on \(context.device.name)"))
    if let activeWait {
      activeWait.countCommand()
      last = event
    }
    return profiling ? event : nil
  }
}

extension Queue {
  /// Writes host memory to `buffer` from `byteOffset` on; the memory may go then.
  ///
  /// Waits for the device only where there is much to write; gives no event where no command is queued.
  @discardableResult
  package func write(
    _ bytes: UnsafeRawBufferPointer, to buffer: Buffer, byteOffset: Int = 0
  ) throws(OpenCLError) -> Event? {
    checkRange(buffer, byteOffset, bytes.count)
    guard let address = bytes.baseAddress, bytes.count > 0 else { return nil }
    buffer.countWrite()
    if writesWholeBuffers {
      return try writeWhole("write", bytes, to: buffer, byteOffset: byteOffset)
    }
    if let memory = directMemory(of: buffer) {
      (memory + byteOffset).copyMemory(from: address, byteCount: bytes.count)
      return nil
    }
    let offset = buffer.rootOffset + byteOffset
    if Self.isPattern(bytes.count), offset.isMultiple(of: bytes.count) {
      return try enqueue("write") {
        clEnqueueFillBuffer(
          handle, buffer.root.handle, address, bytes.count, offset, bytes.count, 0, nil, $0)
      }
    }
    if bytes.count <= Self.mostStaged - staged.byteCount {
      let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
      copy.copyMemory(from: address, byteCount: bytes.count)
      staged.memory.append(copy)
      staged.byteCount += bytes.count
      return try enqueue("write") {
        clEnqueueWriteBuffer(
          handle, buffer.root.handle, cl_bool(CL_FALSE), offset, bytes.count, copy, 0, nil, $0)
      }
    }
    let event = try enqueue("write", isBlocking: true) {
      clEnqueueWriteBuffer(
        handle, buffer.root.handle, cl_bool(CL_TRUE), offset, bytes.count, address, 0, nil, $0)
    }
    // Commands are done in order: those before are too.
    releaseStaged()
    return event
  }

  /// The bytes that wait in copies of their own to be written, at most: to copy more takes longer than to wait.
  private static let mostStaged = 64 << 10

  /// Frees the copies that were written.
  func releaseStaged() {
    for memory in staged.memory { memory.deallocate() }
    staged = ([], 0)
  }

  /// Whether as many bytes are a pattern of clEnqueueFillBuffer, which takes a copy: a power of 2 up to 128.
  private static func isPattern(_ byteCount: Int) -> Bool {
    byteCount <= 128 && byteCount.nonzeroBitCount == 1
  }

  /// Writes an array to `buffer` from `byteOffset` on.
  @discardableResult
  package func write<Element: BitwiseCopyable>(
    _ values: [Element], to buffer: Buffer, byteOffset: Int = 0
  ) throws(OpenCLError) -> Event? {
    let result = values.withUnsafeBytes { bytes in
      Result { () throws(OpenCLError) in
        try write(bytes, to: buffer, byteOffset: byteOffset)
      }
    }
    return try result.get()
  }

  /// Reads `count` numbers of `buffer` from `byteOffset` on, after all commands queued so far, and waits.
  package func read<Element: BitwiseCopyable>(
    _ buffer: Buffer, byteOffset: Int = 0, as type: Element.Type, count: Int
  ) throws(OpenCLError) -> [Element] {
    let byteCount = count * MemoryLayout<Element>.stride
    checkRange(buffer, byteOffset, byteCount)
    guard byteCount > 0 else { return [] }
    if waitsActively, buffer.hostAddress != nil { try finish() }
    if let memory = directMemory(of: buffer) {
      return Array(unsafeUninitializedCapacity: count) { values, initialized in
        let bytes = UnsafeRawBufferPointer(start: memory + byteOffset, count: byteCount)
        UnsafeMutableRawBufferPointer(values).copyMemory(from: bytes)
        initialized = count
      }
    }
    // Not the memory of an array, which would go with an error while the device still writes to it.
    let values = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
    let isBlocking = !waitsActively
    do throws(OpenCLError) {
      _ = try enqueue("read") {
        clEnqueueReadBuffer(
          handle, buffer.root.handle, cl_bool(isBlocking ? CL_TRUE : CL_FALSE),
          buffer.rootOffset + byteOffset, byteCount, values.baseAddress, 0, nil, $0)
      }
      if !isBlocking { try finish() }
    } catch {
      // A device that cannot even be waited for keeps the memory.
      if clFinish(handle) == CL_SUCCESS { values.deallocate() }
      throw error
    }
    defer { values.deallocate() }
    return Array(values)
  }

  /// Queues a read of the first bytes of `buffer`, which fill `bytes`, and returns at once.
  ///
  /// `memory` is what the bytes belong to: it is held until the read is done.
  package func readLater(
    _ buffer: Buffer, into bytes: UnsafeMutableRawBufferPointer, of memory: AnyObject
  ) throws(OpenCLError) -> PendingRead {
    checkRange(buffer, 0, bytes.count)
    guard bytes.count > 0 else { return PendingRead(into: memory, nil) }
    var event: cl_event?
    do throws(OpenCLError) {
      let code = clEnqueueReadBuffer(
        handle, buffer.root.handle, cl_bool(CL_FALSE), buffer.rootOffset, bytes.count,
        bytes.baseAddress, 0, nil, &event)
      let command = Event(
        handle: try made(event, code, "queueing a read on \(context.device.name)"))
      noteCommand(command)
      try check(clFlush(handle), "starting a read on \(context.device.name)")
      return PendingRead(into: memory, command)
    } catch {
      if event != nil, clFinish(handle) != CL_SUCCESS { _ = Unmanaged.passRetained(memory) }
      throw error
    }
  }

  /// Copies `byteCount` bytes between byte offsets; the two regions must not overlap.
  @discardableResult
  package func copy(
    _ source: Buffer, byteOffset sourceOffset: Int = 0, to destination: Buffer,
    destinationOffset: Int = 0, byteCount: Int
  ) throws(OpenCLError) -> Event? {
    checkRange(source, sourceOffset, byteCount)
    checkRange(destination, destinationOffset, byteCount)
    guard byteCount > 0 else { return nil }
    destination.countWrite()
    if writesWholeBuffers {
      return try copyWhole(source, sourceOffset, to: destination, destinationOffset, byteCount)
    }
    return try enqueue("copy") {
      clEnqueueCopyBuffer(
        handle, source.root.handle, destination.root.handle, source.rootOffset + sourceOffset,
        destination.rootOffset + destinationOffset, byteCount, 0, nil, $0)
    }
  }

  /// Sets floats to `value`: all of `buffer`, or `byteCount` bytes from `byteOffset` on.
  @discardableResult
  package func fill(
    _ buffer: Buffer, with value: Float, byteOffset: Int = 0, byteCount: Int? = nil
  ) throws(OpenCLError) -> Event? {
    try fill(buffer, pattern: value.bitPattern, byteOffset, byteCount)
  }

  /// Sets integers to `value`: all of `buffer`, or `byteCount` bytes from `byteOffset` on.
  @discardableResult
  package func fill(
    _ buffer: Buffer, with value: Int32, byteOffset: Int = 0, byteCount: Int? = nil
  ) throws(OpenCLError) -> Event? {
    try fill(buffer, pattern: UInt32(bitPattern: value), byteOffset, byteCount)
  }

  private func fill(
    _ buffer: Buffer, pattern: UInt32, _ byteOffset: Int, _ byteCount: Int?
  ) throws(OpenCLError) -> Event? {
    let byteCount = byteCount ?? buffer.byteCount - byteOffset
    checkRange(buffer, byteOffset, byteCount)
    guard byteCount > 0 else { return nil }
    precondition(byteCount % 4 == 0, "a fill of \(byteCount) bytes with 4-byte numbers")
    buffer.countWrite()
    if writesWholeBuffers {
      let numbers = [UInt32](repeating: pattern, count: byteCount / 4)
      return try writeWhole("fill", numbers, to: buffer, byteOffset: byteOffset)
    }
    var pattern = pattern
    return try enqueue("fill") {
      clEnqueueFillBuffer(
        handle, buffer.root.handle, &pattern, 4, buffer.rootOffset + byteOffset, byteCount, 0, nil,
        $0)
    }
  }

  private func checkRange(_ buffer: Buffer, _ byteOffset: Int, _ byteCount: Int) {
    precondition(
      byteOffset >= 0 && byteCount >= 0 && byteOffset <= buffer.byteCount - byteCount,
      "\(byteCount) bytes at \(byteOffset) of a buffer of \(buffer.byteCount) bytes")
  }
}

// Oclgrind 21.10 with `--uninitialized` takes every write and copy from the host for one of the
// whole buffer: it then remembers no more than those bytes, reports the rest as uninitialized and
// writes beyond its own memory. Fills it does not see at all. So there the whole buffer is read,
// changed and written, which is slow and right.
extension Queue {
  /// Whether host writes have to be of whole buffers.
  var writesWholeBuffers: Bool { context.device.platformName == "Oclgrind" }

  /// Writes bytes to a part of `buffer` by writing all of the memory that it is a slice of.
  func writeWhole(
    _ command: String, _ bytes: UnsafeRawBufferPointer, to buffer: Buffer, byteOffset: Int
  ) throws(OpenCLError) -> Event? {
    let root = buffer.root
    var whole = [UInt8](repeating: 0, count: root.byteCount)
    try check(
      clEnqueueReadBuffer(
        handle, root.handle, cl_bool(CL_TRUE), 0, root.byteCount, &whole, 0, nil, nil),
      "reading a buffer of \(root.byteCount) bytes")
    let begin = buffer.rootOffset + byteOffset
    whole.replaceSubrange(begin..<begin + bytes.count, with: bytes)
    return try enqueue(command) {
      clEnqueueWriteBuffer(
        handle, root.handle, cl_bool(CL_TRUE), 0, root.byteCount, whole, 0, nil, $0)
    }
  }

  /// Copies bytes of `source` to a part of `destination` as `writeWhole` writes them.
  func copyWhole(
    _ source: Buffer, _ sourceOffset: Int, to destination: Buffer, _ destinationOffset: Int,
    _ byteCount: Int
  ) throws(OpenCLError) -> Event? {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try check(
      clEnqueueReadBuffer(
        handle, source.root.handle, cl_bool(CL_TRUE), source.rootOffset + sourceOffset, byteCount,
        &bytes, 0, nil, nil),
      "reading \(byteCount) bytes")
    return try writeWhole("copy", bytes, to: destination, byteOffset: destinationOffset)
  }

  /// Writes an array as `writeWhole` writes bytes.
  func writeWhole<Element: BitwiseCopyable>(
    _ command: String, _ values: [Element], to buffer: Buffer, byteOffset: Int
  ) throws(OpenCLError) -> Event? {
    let result = values.withUnsafeBytes { bytes in
      Result { () throws(OpenCLError) in
        try writeWhole(command, bytes, to: buffer, byteOffset: byteOffset)
      }
    }
    return try result.get()
  }
}

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
