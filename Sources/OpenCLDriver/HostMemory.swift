import COpenCL
import Foundation

/// Memory of this process as the memory of a buffer.
enum HostMemory {
  /// Pages of 2 MiB, where the system gives them to whoever asks: the first use of a buffer takes a
  /// five-hundredth of the page faults, and products that walk far through memory find their pages
  /// sooner.
  static let hugePageBytes = 2 << 20

  /// Makes a buffer in memory that is aligned to a power of two.
  ///
  /// The driver frees the memory with the buffer, once no command uses it any more. Nil where the system or the driver refuses.
  static func makeBuffer(
    _ context: cl_context, _ byteCount: Int, alignment: Int
  ) -> (memory: cl_mem, address: UnsafeMutableRawPointer)? {
    var address: UnsafeMutableRawPointer?
    guard posix_memalign(&address, alignment, byteCount) == 0, let address else { return nil }
    #if os(Linux)
    // Whole pages alone: the rest of the last one would be memory that nobody uses.
    let wholePages = byteCount / hugePageBytes * hugePageBytes
    if alignment == hugePageBytes { madvise(address, wholePages, MADV_HUGEPAGE) }
    #endif
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
    return (memory, address)
  }
}
