import COpenCL

/// Memory on a device, or a slice of it.
///
/// Its contents are undefined until they are written. A queued command keeps the memory alive that
/// it uses, so a buffer may go as soon as its last command is queued.
///
/// Not `Sendable`, like its context.
public final class Buffer {
  /// The context in whose memory it lies.
  package let context: Context
  /// Its size in bytes, at least 1.
  package let byteCount: Int

  let handle: cl_mem
  private let origin: Origin
  /// The queued commands that may have written to its memory; counted in the root.
  private var writes = 0
  private var derivatives: [AnyHashable: (version: Int, buffer: Buffer)] = [:]
  private var counts: [AnyHashable: (version: Int, values: [Int])] = [:]

  /// The buffer that it is a slice of, or itself; transfers go there, beginning at `rootOffset`.
  var root: Buffer {
    if case .slice(let root, _) = origin { return root }
    return self
  }

  /// Where in its root it begins, in bytes.
  var rootOffset: Int {
    if case .slice(_, let byteOffset) = origin { return byteOffset }
    return 0
  }

  /// Where it lies in memory of this process; nil where the device computes elsewhere.
  private(set) lazy var hostAddress: UnsafeMutableRawPointer? = {
    guard context.sharesHostMemory else { return nil }
    // Nil of a buffer that was allocated after all.
    let address = try? Query.value(nil as UnsafeMutableRawPointer?, "looking for a buffer") {
      clGetMemObjectInfo(root.handle, cl_mem_info(CL_MEM_HOST_PTR), $0, $1, $2)
    }
    return address.flatMap { $0 }.map { $0 + rootOffset }
  }()

  /// Counts the queued commands that may have changed its contents, those of a slice beside it too.
  package var version: Int { root.writes }

  /// Is called for every queued command that may write to it.
  func countWrite() { root.writes += 1 }

  /// What `make` computes from its contents, computed again only after they may have changed.
  ///
  /// `make` is given the memory of the time before, to use it again; the result lives as long as this
  /// buffer.
  package func derived(
    _ key: AnyHashable, make: (_ stale: Buffer?) throws -> Buffer
  ) rethrows -> Buffer {
    let known = derivatives[key]
    if let known, known.version == version { return known.buffer }
    let buffer = try make(known?.buffer)
    derivatives[key] = (version, buffer)
    return buffer
  }

  /// What `count` finds in its contents, found again only after they may have changed.
  package func counted(_ key: AnyHashable, count: () throws -> [Int]) rethrows -> [Int] {
    if let known = counts[key], known.version == version { return known.values }
    let values = try count()
    counts[key] = (version, values)
    return values
  }

  private enum Origin {
    case allocation
    case pool(BufferPool, capacity: Int)
    case slice(root: Buffer, byteOffset: Int)
  }

  /// Allocates memory; throws where the device has no room for it.
  package init(context: Context, byteCount: Int) throws(OpenCLError) {
    self.context = context
    self.byteCount = byteCount
    handle = try context.allocate(byteCount)
    origin = .allocation
  }

  /// Takes over memory that goes back to its pool with this buffer.
  init(pool: BufferPool, handle: cl_mem, byteCount: Int, capacity: Int) {
    context = pool.context
    self.byteCount = byteCount
    self.handle = handle
    origin = .pool(pool, capacity: capacity)
  }

  private init(root: Buffer, byteOffset: Int, byteCount: Int) throws(OpenCLError) {
    var region = cl_buffer_region(origin: byteOffset, size: byteCount)
    var code: cl_int = 0
    let memory = clCreateSubBuffer(
      root.handle, 0, cl_buffer_create_type(CL_BUFFER_CREATE_TYPE_REGION), &region, &code)
    handle = try made(memory, code, "slicing a buffer of \(root.byteCount) bytes")
    context = root.context
    self.byteCount = byteCount
    origin = .slice(root: root, byteOffset: byteOffset)
  }

  deinit {
    switch origin {
    case .allocation: context.release(handle, byteCount)
    case .pool(let pool, let capacity): pool.giveBack(handle, capacity: capacity)
    case .slice: succeeds(clReleaseMemObject(handle), "releasing a slice")
    }
  }

  /// A view of `byteCount` bytes from `byteOffset` on, which keeps this memory alive.
  ///
  /// `byteOffset` must be a multiple of the device's `baseAddressAlignmentBytes`.
  package func slice(byteOffset: Int, byteCount: Int) throws(OpenCLError) -> Buffer {
    precondition(
      byteOffset >= 0 && byteCount > 0 && byteOffset <= self.byteCount - byteCount,
      "a slice of \(byteCount) bytes at \(byteOffset) of a buffer of \(self.byteCount) bytes")
    precondition(
      byteOffset % context.device.baseAddressAlignmentBytes == 0,
      "a slice at byte \(byteOffset), which the device's alignment of "
        + "\(context.device.baseAddressAlignmentBytes) bytes does not allow")
    // OpenCL knows no slices of slices.
    return try Buffer(root: root, byteOffset: rootOffset + byteOffset, byteCount: byteCount)
  }
}
