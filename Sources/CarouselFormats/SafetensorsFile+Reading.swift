import CarouselModel
import Foundation

extension SafetensorsFile {
  /// The longest header that the format allows, in bytes.
  static let headerLimit = 100_000_000

  /// Reads a file: every element becomes the Double of the same value, NaN and infinities included.
  ///
  /// Throws `missingInput` where the file is not there or not readable, and `badData` where anything
  /// in it is not as the format wants it; nothing is allocated for data that the file does not have.
  public init(contentsOf path: String) throws(CarouselError) {
    try self.init(contentsOf: path, headerLimit: Self.headerLimit)
  }

  init(contentsOf path: String, headerLimit: Int) throws(CarouselError) {
    let file = try InputFile(path)
    do {
      self = try Self.read(file, headerLimit: headerLimit)
    } catch let damage as SafetensorsDamage {
      throw CarouselError(.badData, "\(path): \(damage.sentence)")
    } catch let error as CarouselError {
      throw error
    } catch {
      preconditionFailure("an error of no known type: \(error)")
    }
  }

  private static func read(
    _ file: borrowing InputFile, headerLimit: Int
  ) throws -> SafetensorsFile {
    guard file.byteCount >= 8 else {
      throw SafetensorsDamage(
        file.byteCount == 0
          ? "expected a safetensors file, found an empty file"
          : "expected a safetensors file, which begins with 8 bytes for the length of its header, "
            + "found \(file.byteCount == 1 ? "1 byte" : "\(file.byteCount) bytes") in all")
    }
    let length = try file.read(8).withUnsafeBytes { $0.loadLittleEndian(UInt64.self, at: 0) }
    guard length <= UInt64(file.byteCount - 8) else {
      throw SafetensorsDamage(
        "expected a safetensors file, found a header length of \(length) bytes in a file of "
          + "\(file.byteCount)")
    }
    guard length <= headerLimit else {
      throw SafetensorsDamage(
        "expected a header of at most \(headerLimit) bytes, found one of \(length)")
    }
    let dataCount = file.byteCount - 8 - Int(length)
    let header = try SafetensorsHeader(try file.read(Int(length)), dataByteCount: dataCount)
    let data = try file.read(dataCount)
    let tensors = try data.withUnsafeBytes { data in
      try header.entries.map { entry in
        (
          entry.name,
          Tensor(entry.shape, try entry.values(UnsafeRawBufferPointer(rebasing: data[entry.bytes])))
        )
      }
    }
    return SafetensorsFile(
      tensors,
      elementTypes: Dictionary(
        uniqueKeysWithValues: header.entries.map { ($0.name, $0.elementType) }),
      metadata: header.metadata)
  }
}

extension SafetensorsHeader.Entry {
  /// The elements in `bytes`, as Float64.
  fileprivate func values(_ bytes: UnsafeRawBufferPointer) throws(SafetensorsDamage) -> [Double] {
    switch elementType {
    case .float64: bytes.elements { Double(bitPattern: $0) }
    case .float32: bytes.elements { Double(Float(bitPattern: $0)) }
    case .float16: bytes.elements { Double(Float16(bitPattern: $0)) }
    case .bfloat16:
      bytes.elements { (bits: UInt16) in Double(Float(bitPattern: UInt32(bits) << 16)) }
    case .int64: try wholeNumbers(bytes)
    case .int32: bytes.elements { Double(Int32(bitPattern: $0)) }
    case .uint8: bytes.elements { (byte: UInt8) in Double(byte) }
    }
  }

  private func wholeNumbers(
    _ bytes: UnsafeRawBufferPointer
  ) throws(SafetensorsDamage) -> [Double] {
    for offset in stride(from: 0, to: bytes.count, by: 8) {
      let value = Int64(bitPattern: bytes.loadLittleEndian(at: offset))
      guard value.magnitude <= 1 << 53 else {
        throw SafetensorsDamage(
          "the tensor '\(name)' holds the whole number \(value), expected none beyond 2^53")
      }
    }
    return bytes.elements { Double(Int64(bitPattern: $0)) }
  }
}

extension UnsafeRawBufferPointer {
  /// The integer that begins at byte `offset`, which need not be aligned.
  @inline(__always) fileprivate func loadLittleEndian<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ type: Bits.Type = Bits.self, at offset: Int
  ) -> Bits {
    Bits(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }

  /// Every element, converted.
  @inline(__always) fileprivate func elements<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ convert: (Bits) -> Double
  ) -> [Double] {
    let width = MemoryLayout<Bits>.size
    let elementCount = count / width
    return [Double](unsafeUninitializedCapacity: elementCount) { buffer, initializedCount in
      for index in 0..<elementCount {
        buffer.initializeElement(at: index, to: convert(loadLittleEndian(at: index * width)))
      }
      initializedCount = elementCount
    }
  }
}
