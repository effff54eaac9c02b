import COpenCL

/// A launch whose arguments are set for good: queueing it takes a fraction of the time of setting them.
///
/// It has a kernel object of its own, and keeps the buffers alive that it uses. Not `Sendable`, as kernels are not.
package final class PreparedLaunch {
  let kernel: Kernel
  /// The kernel's name.
  package var name: String { kernel.name }
  let global: [Int], local: [Int]?
  private let names: [StaticString]
  private let buffers: [Buffer]
  /// Those that the kernel may write to.
  let written: [Buffer]

  /// Makes a kernel object and sets its arguments.
  package init(
    _ kernel: Kernel, global: [Int], local: [Int]?, arguments: KernelArguments
  ) throws(OpenCLError) {
    self.kernel = try Kernel(copying: kernel)
    self.global = global
    self.local = local
    names = arguments.elements.map(\.0)
    var buffers: [Buffer] = []
    var written: [Buffer] = []
    for (position, (name, value)) in arguments.elements.enumerated() {
      try self.kernel.set(value, at: position, name)
      guard case .buffer(let buffer) = value else { continue }
      buffers.append(buffer)
      if !kernel.onlyReads(position) { written.append(buffer) }
    }
    self.buffers = buffers
    self.written = written
  }

  /// The place of an argument; nil where none has that name.
  package func position(of name: StaticString) -> Int? {
    names.firstIndex { $0.description == name.description }
  }

  /// Sets another value of the parameter at a position.
  package func set(
    _ value: KernelArgument, at position: Int, _ name: StaticString
  ) throws(OpenCLError) {
    if case .buffer = value { preconditionFailure("a buffer would have to be kept alive") }
    try kernel.set(value, at: position, name)
  }
}

extension Queue {
  /// Queues a prepared launch.
  @discardableResult
  package func launch(_ prepared: PreparedLaunch) throws(OpenCLError) -> Event? {
    for buffer in prepared.written { buffer.countWrite() }
    return try enqueue(prepared.kernel.name) {
      clEnqueueNDRangeKernel(
        handle, prepared.kernel.handle, cl_uint(prepared.global.count), nil, prepared.global,
        prepared.local, 0, nil, $0)
    }
  }
}
