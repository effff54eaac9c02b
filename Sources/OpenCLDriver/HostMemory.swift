import COpenCL
import Foundation

/// Memory of this process as the memory of a buffer.
enum HostMemory {
  /// Pages of 2 MiB, where the system gives them to whoever asks: the first use of a buffer takes a
  /// five-hundredth of the page faults, and products that walk far through memory find their pages
  /// sooner.
  static let hugePageBytes = 2 << 20

  /// The alignment of what is smaller, that of OpenCL's longest vector.
  static let alignment = 128

  /// Takes memory from the system; nil where it has none.
  static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    var address: UnsafeMutableRawPointer?
    let isHuge = byteCount >= hugePageBytes
    guard posix_memalign(&address, isHuge ? hugePageBytes : alignment, byteCount) == 0 else {
      return nil
    }
    #if os(Linux)
    // Whole pages alone: the rest of the last one would be memory that nobody uses.
    if isHuge { madvise(address, byteCount / hugePageBytes * hugePageBytes, MADV_HUGEPAGE) }
    #endif
    return address
  }

  /// Makes a buffer in memory of `allocate`, which the driver frees with the buffer, once no command uses it.
  ///
  /// Frees it and returns nil where the driver refuses.
  static func makeBuffer(
    _ context: cl_context, _ byteCount: Int, at address: UnsafeMutableRawPointer
  ) -> cl_mem? {
    let flags = cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR)
    guard let memory = clCreateBuffer(context, flags, byteCount, address, nil) else {
      free(address)
      return nil
    }
    guard
      clSetMemObjectDestructorCallback(memory, { _, address in free(address) }, address)
        == CL_SUCCESS
    else {
      // No command knows the buffer yet.
      if succeeds(clReleaseMemObject(memory), "releasing a buffer") { free(address) }
      return nil
    }
    return memory
  }
}
