import CZlib
import CarouselModel

/// DEFLATE (RFC 1951), unpacked by zlib.
enum Inflate {
  /// The bytes that `input` unpacks to, a whole stream without a header.
  ///
  /// - Parameters:
  ///   - input: the packed bytes; what follows the end of the stream is not looked at.
  ///   - count: how many bytes there are when unpacked. No more than these are allocated, whatever the
  ///     stream holds.
  ///   - source: the file and the entry, for messages.
  /// - Throws: where the stream is damaged, or unpacks to more or fewer bytes.
  static func unpacked(
    _ input: [UInt8], count: Int, source: String
  ) throws(CarouselError) -> [UInt8] {
    var stream = z_stream()
    // Negative: no header and no checksum around the stream, as in zip files.
    guard
      inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw CarouselError(.badData, "zlib has no memory to unpack \(source)") }
    defer { inflateEnd(&stream) }
    var status = Z_OK
    var read = 0
    let output = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { memory, written in
      input.withUnsafeBufferPointer { packed in
        // zlib counts in 32 bits.
        while status == Z_OK {
          let (rest, room) = (min(packed.count - read, 1 << 30), min(count - written, 1 << 30))
          stream.next_in = UnsafeMutablePointer(mutating: packed.baseAddress.map { $0 + read })
          stream.avail_in = UInt32(rest)
          stream.next_out = memory.baseAddress.map { $0 + written }
          stream.avail_out = UInt32(room)
          status = inflate(&stream, Z_NO_FLUSH)
          read += rest - Int(stream.avail_in)
          written += room - Int(stream.avail_out)
        }
      }
    }
    guard status == Z_STREAM_END, output.count == count else {
      throw CarouselError(
        .badData,
        "\(source): expected \(count) bytes when unpacked, "
          + (status == Z_STREAM_END
            ? "found \(output.count)"
            : status == Z_BUF_ERROR ? "found more, or an end before them" : "found damaged bytes"))
    }
    return output
  }
}
