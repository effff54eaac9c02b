import COpenCL

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
