import COpenCL

/// Keeps one of a CPU device's threads awake, for some hundred microseconds after the host has waited.
///
/// A thread that sleeps needs some twenty microseconds to begin with the next command, as long as small
/// networks compute: LSTM inference T5 N32 C20 H128 takes 0.20 ms without and 0.16 with it, training the same
/// (two cores of a Zen 4). So a kernel is queued behind what the host waits for: it watches a number that
/// every later command changes. Libraries with threads of their own do the same between their calls.
final class ActiveWait {
  private let kernel: Kernel
  /// The number, in memory of the host that is the device's too, and goes with the buffer.
  private let call: UnsafeMutablePointer<Int32>
  private let memory: cl_mem
  private var isWaiting = false
  /// The commands that were queued behind the waiting.
  private var commands = 0

  /// The looks at the number before the thread goes to sleep all the same: about 100 µs.
  private static let polls: Int32 = 3000
  /// A line of the caches that nothing else changes.
  private static let byteCount = HostMemory.alignment

  /// Waits with `wait_actively(volatile global const int *call, int seen, int polls)`.
  init(kernel: Kernel, context: Context) throws(OpenCLError) {
    guard let address = HostMemory.allocate(Self.byteCount),
      let memory = HostMemory.makeBuffer(context.handle, Self.byteCount, at: address)
    else {
      throw OpenCLError(
        code: CL_MEM_OBJECT_ALLOCATION_FAILURE,
        doing: "sharing memory with \(context.device.name)")
    }
    self.kernel = kernel
    self.memory = memory
    call = address.bindMemory(to: Int32.self, capacity: 1)
    call.pointee = 0
  }

  deinit {
    end()
    succeeds(clReleaseMemObject(memory), "releasing a buffer")
  }

  /// Queues another waiting, and ends the one before only then: what was queued in between begins when
  /// the host has nothing left to do, for which it would need a core.
  func renew(on queue: cl_command_queue) throws(OpenCLError) {
    let next = isWaiting ? call.pointee &+ 1 : call.pointee
    defer { carousel_store(call, next) }
    var (memory, seen, polls): (cl_mem?, Int32, Int32) = (memory, next, Self.polls)
    var one = 1
    let arguments = [
      clSetKernelArg(kernel.handle, 0, MemoryLayout<cl_mem?>.size, &memory),
      clSetKernelArg(kernel.handle, 1, 4, &seen), clSetKernelArg(kernel.handle, 2, 4, &polls),
    ]
    for code in arguments { try check(code, "setting the arguments of kernel \(kernel.name)") }
    try check(
      clEnqueueNDRangeKernel(queue, kernel.handle, 1, nil, &one, &one, 0, nil, nil),
      "queueing \(kernel.name)")
    isWaiting = true
    commands = 0
  }

  /// Ends the waiting once some commands are there: where cores are few, threads that begin with the
  /// first one are in the way of the host that queues the others.
  @inline(__always)
  func countCommand() {
    commands += 1
    if commands == 4 { end() }
  }

  /// Ends the waiting.
  @inline(__always)
  func end() {
    guard isWaiting else { return }
    carousel_store(call, call.pointee &+ 1)
    isWaiting = false
  }
}
