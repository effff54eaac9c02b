import CZlib
import CarouselModel

/// DEFLATE (RFC 1951), unpacked by zlib.
enum Inflate {
  /// What stands around the packed bytes.
  enum Container: Int32 {
    /// Nothing, as in zip files, which hold sizes and checksums elsewhere.
    case raw = -15
    /// gzip's header and trailer (RFC 1952), whose checksum and size zlib compares.
    case gzip = 31
  }

  /// The bytes that `input` unpacks to.
  ///
  /// - Parameters:
  ///   - input: the packed bytes; what follows the end of the stream is not looked at.
  ///   - container: what stands around them.
  ///   - count: how many bytes there are when unpacked. No more than these are allocated, whatever the
  ///     stream holds.
  ///   - source: the file and the entry, for messages.
  /// - Returns: `count` bytes.
  /// - Throws: where the stream is damaged, or unpacks to more or fewer bytes.
  static func unpacked(
    _ input: [UInt8], _ container: Container, count: Int, source: String
  ) throws(CarouselError) -> [UInt8] {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(&stream, container.rawValue, ZLIB_VERSION, size) == Z_OK else {
      throw CarouselError(.badData, "\(source): zlib has no memory to unpack it")
    }
    defer { inflateEnd(&stream) }
    var status = Z_OK
    var read = 0
    // A byte more than there may be shows a stream that holds more.
    let output = [UInt8](unsafeUninitializedCapacity: count + 1) { memory, written in
      input.withUnsafeBufferPointer { packed in
        while status == Z_OK {
          // zlib counts in 32 bits.
          let (rest, room) = (min(packed.count - read, 1 << 30), min(count + 1 - written, 1 << 30))
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
    guard output.count <= count else {
      throw CarouselError(
        .badData, "\(source): expected \(count) bytes when unpacked, found more")
    }
    guard status == Z_STREAM_END, output.count == count else {
      throw CarouselError(
        .badData,
        "\(source): expected \(count) packed bytes, found "
          + (status == Z_DATA_ERROR ? "damaged ones" : "the end after \(output.count)"))
    }
    return output
  }
}

/// Files packed by gzip, RFC 1952.
enum Gzip {
  /// Whether bytes begin as a packed file does.
  static func isPacked(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B, 8]) }

  /// Unpacks a file of one member.
  ///
  /// Throws where it is damaged: where its checksum or its size is another, too.
  static func unpacked(_ bytes: [UInt8], source: String) throws(CarouselError) -> [UInt8] {
    // The last four bytes are the size; DEFLATE packs at most 1032 bytes into one.
    let size = bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    guard bytes.count >= 18, size / 1032 <= bytes.count else {
      throw CarouselError(
        .badData, "\(source): expected a file packed by gzip, found a damaged one")
    }
    return try Inflate.unpacked(bytes, .gzip, count: size, source: source)
  }
}
