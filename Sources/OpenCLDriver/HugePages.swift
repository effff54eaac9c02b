import COpenCL

#if canImport(Glibc)
import Glibc

/// Memory of this process for the buffers of CPU devices, in pages of 2 MiB where the system gives them
/// to whoever asks: the first use of a buffer takes a five-hundredth of the page faults, and products
/// that walk far through memory find their pages sooner.
enum HugePages {
  private static let pageBytes = 2 << 20

  /// Makes a buffer in such memory, which goes with it; nil where it is small or the system or the driver
  /// refuses, and the driver's own memory is as good.
  static func makeBuffer(_ context: cl_context, _ byteCount: Int) -> cl_mem? {
    var address: UnsafeMutableRawPointer?
    guard byteCount >= pageBytes, posix_memalign(&address, pageBytes, byteCount) == 0, let address
    else { return nil }
    // Whole pages alone: the rest of the last one would be memory that nobody uses.
    madvise(address, byteCount / pageBytes * pageBytes, MADV_HUGEPAGE)
    let flags = cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR)
    guard let memory = clCreateBuffer(context, flags, byteCount, address, nil) else {
      free(address)
      return nil
    }
    let code = clSetMemObjectDestructorCallback(memory, { _, address in free(address) }, address)
    precondition(code == CL_SUCCESS, "a buffer's destructor callback: \(code)")
    return memory
  }
}
#else
enum HugePages {
  static func makeBuffer(_ context: cl_context, _ byteCount: Int) -> cl_mem? { nil }
}
#endif
