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

extension TensorSource {
  /// The bytes that are read at once.
  private var chunkByteCount: Int { 1 << 20 }

  /// `count` elements from byte `offset` on: Float32 where that holds their type, else Float64.
  ///
  /// Memory beyond the result: one chunk. Throws where the source ends before them, and where `tensor`,
  /// whose elements they are, holds a whole number that no Double is.
  func elements(
    _ type: ElementType, at offset: Int, count: Int, isBigEndian: Bool = false, of tensor: String
  ) throws(CarouselError) -> Tensor.Elements {
    func read<Value>(
      _ convert: (UnsafeRawBufferPointer, UnsafeMutableBufferPointer<Value>) -> Void
    ) throws(CarouselError) -> [Value] {
      var failure: CarouselError?
      let values = [Value](unsafeUninitializedCapacity: count) { values, initializedCount in
        do throws(CarouselError) {
          try self.read(
            type, at: offset, isBigEndian: isBigEndian, into: values.extracting(..<count),
            of: tensor, convert)
          initializedCount = count
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      return values
    }
    return switch type.hostType {
    case .float32: .float32(try read { type.convert($0, into: $1) })
    default: .float64(try read { type.convert($0, into: $1) })
    }
  }

  private func read<Value>(
    _ type: ElementType, at offset: Int, isBigEndian: Bool,
    into values: UnsafeMutableBufferPointer<Value>, of tensor: String,
    _ convert: (UnsafeRawBufferPointer, UnsafeMutableBufferPointer<Value>) -> Void
  ) throws(CarouselError) {
    let width = type.byteCount
    let chunk = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(chunkByteCount, values.count * width), alignment: 8)
    defer { chunk.deallocate() }
    var done = 0
    while done < values.count {
      let count = min(values.count - done, chunk.count / width)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: chunk[..<(count * width)])
      try read(into: bytes, at: offset + done * width)
      if isBigEndian { bytes.reverseEach(width) }
      let part = values.extracting(done..<(done + count))
      convert(UnsafeRawBufferPointer(bytes), part)
      if type == .int64 || type == .uint64 {
        try checkWholeNumbers(
          UnsafeRawBufferPointer(bytes), isSigned: type == .int64, of: tensor)
      }
      done += count
    }
  }

  private func checkWholeNumbers(
    _ bytes: UnsafeRawBufferPointer, isSigned: Bool, of tensor: String
  ) throws(CarouselError) {
    for offset in stride(from: 0, to: bytes.count, by: 8) {
      let bits = UInt64(
        littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      let signed = Int64(bitPattern: bits)
      guard (isSigned ? signed.magnitude : bits) <= 1 << 53 else {
        throw CarouselError(
          .badData,
          "\(path): the tensor '\(tensor)' holds the whole number "
            + (isSigned ? "\(signed)" : "\(bits)") + ", expected none beyond 2^53")
      }
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Reverses the bytes of each element of `width` bytes.
  func reverseEach(_ width: Int) {
    guard width > 1 else { return }
    for start in Swift.stride(from: 0, to: count, by: width) {
      self[start..<(start + width)].reverse()
    }
  }
}

extension ElementType {
  /// Converts the types whose `hostType` is Float32.
  fileprivate func convert(
    _ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>
  ) {
    switch self {
    case .float32: bytes.convert(into: values) { Float(bitPattern: $0) }
    case .float16: bytes.convert(into: values) { Float(Float16(bitPattern: $0)) }
    case .bfloat16:
      bytes.convert(into: values) { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16) }
    case .int16: bytes.convert(into: values) { Float(Int16(bitPattern: $0)) }
    case .int8: bytes.convert(into: values) { Float(Int8(bitPattern: $0)) }
    case .uint16: bytes.convert(into: values) { (bits: UInt16) in Float(bits) }
    case .uint8: bytes.convert(into: values) { (byte: UInt8) in Float(byte) }
    case .bool: bytes.convert(into: values) { (byte: UInt8) in byte == 0 ? 0 : 1 }
    case .float64, .int64, .int32, .uint64, .uint32:
      preconditionFailure("\(self) is more than Float32 holds")
    }
  }

  /// Converts the others.
  fileprivate func convert(
    _ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Double>
  ) {
    switch self {
    case .float64: bytes.convert(into: values) { Double(bitPattern: $0) }
    case .int64: bytes.convert(into: values) { Double(Int64(bitPattern: $0)) }
    case .int32: bytes.convert(into: values) { Double(Int32(bitPattern: $0)) }
    case .uint64: bytes.convert(into: values) { (bits: UInt64) in Double(bits) }
    case .uint32: bytes.convert(into: values) { (bits: UInt32) in Double(bits) }
    case .float32, .float16, .bfloat16, .int16, .int8, .uint16, .uint8, .bool:
      preconditionFailure("\(self) is read as Float32")
    }
  }
}

extension UnsafeRawBufferPointer {
  @inline(__always) fileprivate func convert<Bits: FixedWidthInteger & BitwiseCopyable, Value>(
    into values: UnsafeMutableBufferPointer<Value>, _ convert: (Bits) -> Value
  ) {
    for index in values.indices {
      let bits = loadUnaligned(fromByteOffset: index * MemoryLayout<Bits>.size, as: Bits.self)
      values.initializeElement(at: index, to: convert(Bits(littleEndian: bits)))
    }
  }
}

/// A tensor as files store it: its bytes, row-major and little-endian, and what they mean.
///
/// Formats are converted by such tensors, so that every bit of a number stays, those of a NaN too.
public struct StoredTensor: Sendable {
  /// The tensor's name.
  public var name: String
  /// What the elements are.
  public var type: ElementType
  /// The extents, outermost first.
  public var shape: Shape
  /// The elements' bytes.
  public var bytes: [UInt8]
}

extension TensorFile {
  /// Reads a tensor's bytes.
  ///
  /// Throws `badData` where the type of its elements is not known, where there is no memory for them, or
  /// where the file has become shorter.
  public func stored(_ entry: Entry) throws(CarouselError) -> StoredTensor {
    guard let type = entry.elementType else {
      throw CarouselError(
        .badData,
        "\(path): the tensor '\(entry.name)' has the dtype '\(entry.type)', which cannot be converted"
      )
    }
    return StoredTensor(
      name: entry.name, type: type, shape: entry.shape,
      bytes: try bytes(entry, width: type.byteCount))
  }
}

extension StoredTensor {
  /// The same numbers in the nearest type that NumPy has: BFloat16 becomes Float32.
  var inNumPyType: StoredTensor {
    guard type == .bfloat16 else { return self }
    var wide: [UInt8] = []
    wide.reserveCapacity(2 * bytes.count)
    for index in stride(from: 0, to: bytes.count, by: 2) {
      wide += [0, 0, bytes[index], bytes[index + 1]]
    }
    return StoredTensor(name: name, type: .float32, shape: shape, bytes: wide)
  }
}
