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
