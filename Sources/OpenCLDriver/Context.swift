import COpenCL

/// One device's memory and programs.
///
/// It keeps account of the bytes of its buffers, because a driver may grant more than the device
/// has and fail only when the memory is used.
///
/// Not `Sendable`: the account and the program cache belong to one thread at a time.
package final class Context {
  /// The device.
  package let device: Device
  /// The most bytes that its buffers may have together.
  package let memoryBytes: Int
  /// The bytes of all its buffers that live, those that wait in a pool included.
  package private(set) var liveBytes = 0

  let handle: cl_context
  private let cache: ProgramCache
  private var programs: [ProgramKey: Program] = [:]

  /// Makes a context of one device.
  ///
  /// - Parameters:
  ///   - device: the device.
  ///   - cache: where built programs are kept between runs.
  ///   - memoryBytes: the most bytes that its buffers may have together, the device's memory unless
  ///     told.
  /// - Throws: where the driver refuses.
  package init(
    device: Device, cache: ProgramCache = .standard, memoryBytes: Int? = nil
  ) throws(OpenCLError) {
    self.device = device
    self.memoryBytes = memoryBytes ?? device.globalMemoryBytes
    self.cache = cache
    let properties: [cl_context_properties] = [
      cl_context_properties(CL_CONTEXT_PLATFORM),
      cl_context_properties(bitPattern: device.platformHandle), 0,
    ]
    var code: cl_int = 0
    var deviceHandle: cl_device_id? = device.handle
    let context = clCreateContext(properties, 1, &deviceHandle, nil, nil, &code)
    handle = try made(context, code, "making a context on \(device.name)")
  }

  deinit {
    succeeds(clReleaseContext(handle), "releasing a context")
  }

  /// A built program, from this context, from the disk cache, or compiled now and kept there.
  ///
  /// - Parameters:
  ///   - name: how messages call it; no part of its identity.
  ///   - source: the whole OpenCL C text; what it includes from elsewhere is not watched.
  ///   - options: of the compiler; `-cl-kernel-arg-info` is always added.
  /// - Returns: the same object as long as device, source and options are the same.
  /// - Throws: an error with the build log where the source does not compile.
  package func program(
    name: String, source: String, options: [String] = []
  ) throws(OpenCLError) -> Program {
    let key = ProgramKey(device: device, source: source, options: options)
    if let program = programs[key] { return program }
    let program = try Program(context: self, name: name, key: key, cache: cache)
    programs[key] = program
    return program
  }

  /// Whether its buffers lie in memory of `HostMemory`, which PoCL computes in.
  var sharesHostMemory: Bool { device.type == .cpu && device.isPoCL }

  /// Allocates device memory and enters it into the account.
  func allocate(_ byteCount: Int) throws(OpenCLError) -> cl_mem {
    precondition(byteCount > 0, "a buffer of \(byteCount) bytes")
    guard byteCount <= device.maxAllocationBytes else {
      throw noRoom(
        "the device \(device.name) allows \(device.maxAllocationBytes) bytes in one buffer, "
          + "\(byteCount) are wanted")
    }
    guard byteCount <= memoryBytes - liveBytes else {
      throw noRoom(
        "the device \(device.name) has \(memoryBytes) bytes of memory, of which "
          + "\(liveBytes) are in use, \(byteCount) more are wanted")
    }
    // PoCL takes its own memory when a buffer is first used, and ends the process where there is none.
    if sharesHostMemory || device.type == .cpu && byteCount >= HostMemory.hugePageBytes {
      guard let address = HostMemory.allocate(byteCount) else {
        throw noRoom(
          "this process gets no \(byteCount) bytes of memory for a buffer, with "
            + "\(liveBytes) in use on \(device.name)")
      }
      if let memory = HostMemory.makeBuffer(handle, byteCount, at: address) {
        liveBytes += byteCount
        return memory
      }
    }
    var code: cl_int = 0
    let memory = clCreateBuffer(handle, cl_mem_flags(CL_MEM_READ_WRITE), byteCount, nil, &code)
    if code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES
      || code == CL_OUT_OF_HOST_MEMORY
    {
      throw noRoom(
        "the device \(device.name) has no room for \(byteCount) bytes more, \(liveBytes) of its "
          + "\(memoryBytes) bytes of memory are in use", code)
    }
    let result = try made(memory, code, "allocating \(byteCount) bytes on \(device.name)")
    liveBytes += byteCount
    return result
  }

  /// Releases what `allocate` gave; OpenCL waits for the commands that still use it.
  func release(_ memory: cl_mem, _ byteCount: Int) {
    succeeds(clReleaseMemObject(memory), "releasing a buffer")
    liveBytes -= byteCount
  }

  private func noRoom(
    _ text: String, _ code: Int32 = CL_MEM_OBJECT_ALLOCATION_FAILURE
  ) -> OpenCLError {
    OpenCLError(.memory, code: code, doing: "allocating memory", explanation: text)
  }
}
