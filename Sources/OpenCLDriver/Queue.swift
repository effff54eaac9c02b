import COpenCL

/// An in-order queue of commands to a device.
///
/// A queue made with `profiling` gives an `Event` for every command; any other gives nil, and spends
/// nothing on events.
///
/// Not `Sendable`: the order of commands would be anybody's guess.
public final class Queue {
  /// The context in which its commands work.
  public let context: Context
  /// Whether commands give events with times.
  public let profiling: Bool
  /// Is told of every command on a queue made with `profiling`: the kernel's name, or "write",
  /// "read", "copy" or "fill", and the command's event.
  public var recorder: ((_ command: String, _ event: Event) -> Void)?

  let handle: cl_command_queue

  /// Makes an in-order queue.
  public init(context: Context, profiling: Bool = false) throws(OpenCLError) {
    self.context = context
    self.profiling = profiling
    let properties = profiling ? cl_command_queue_properties(CL_QUEUE_PROFILING_ENABLE) : 0
    var code: cl_int = 0
    let queue = clCreateCommandQueue(context.handle, context.device.handle, properties, &code)
    handle = try made(queue, code, "making a queue on \(context.device.name)")
  }

  deinit {
    clReleaseCommandQueue(handle)
  }

  /// Waits until all its commands are done.
  public func finish() throws(OpenCLError) {
    try check(clFinish(handle), "waiting for \(context.device.name)")
  }

  /// Sends its commands to the device without waiting for them.
  public func flush() throws(OpenCLError) {
    try check(clFlush(handle), "sending commands to \(context.device.name)")
  }

  /// Queues one command; makes and records its event where the queue profiles.
  @inline(__always)
  func enqueue(
    _ command: String, _ body: (UnsafeMutablePointer<cl_event?>?) -> cl_int
  ) throws(OpenCLError) -> Event? {
    guard profiling else {
      try check(body(nil), "queueing \(command) on \(context.device.name)")
      return nil
    }
    var handle: cl_event?
    let code = body(&handle)
    let event = Event(
      handle: try made(handle, code, "queueing \(command) on \(context.device.name)"))
    recorder?(command, event)
    return event
  }
}
