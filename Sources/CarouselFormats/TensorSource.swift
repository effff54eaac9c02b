import CarouselModel

/// Where the bytes of tensors come from: a file, or bytes that were unpacked out of one.
protocol TensorSource: Sendable {
  /// Begins every sentence about the bytes.
  var path: String { get }
  /// How many bytes there are.
  var byteCount: Int { get }
  /// Fills `buffer` with the bytes from byte `offset` on; throws where they end before.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(CarouselError)
}

extension InputFile: TensorSource {}

/// Bytes in memory, read like those of a file.
struct MemorySource: TensorSource {
  let path: String
  let bytes: [UInt8]

  var byteCount: Int { bytes.count }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(CarouselError) {
    guard offset >= 0, buffer.count <= bytes.count - offset else {
      throw CarouselError(
        .badData,
        "\(path): expected \(buffer.count) bytes at byte \(offset), found the end of \(bytes.count)"
      )
    }
    bytes.withUnsafeBytes {
      buffer.copyMemory(from: .init(rebasing: $0[offset...].prefix(buffer.count)))
    }
  }
}
