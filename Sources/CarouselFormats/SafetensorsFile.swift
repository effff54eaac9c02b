import CarouselModel
import Foundation

/// Named tensors and a few words about them, as a safetensors file holds them.
///
/// The file: 8 bytes, the length of the header as a little-endian integer; the header, a JSON object
/// with `dtype`, `shape` and `data_offsets` for each tensor and texts under `__metadata__`; the
/// elements, row-major and little-endian, without a gap.
public struct SafetensorsFile: Sendable {
  /// The tensors in the order of their data; no two share a name.
  public var tensors: [(name: String, tensor: Tensor)]
  /// How the file stores a tensor's elements, by the tensor's name.
  ///
  /// `write` keeps the types of whole numbers; it chooses the type of all other tensors.
  public var elementTypes: [String: ElementType]
  /// What the file says about itself.
  public var metadata: [String: String]

  /// Gathers tensors for a file.
  public init(
    _ tensors: [(name: String, tensor: Tensor)], elementTypes: [String: ElementType] = [:],
    metadata: [String: String] = [:]
  ) {
    self.tensors = tensors
    self.elementTypes = elementTypes
    self.metadata = metadata
  }

  /// The first tensor of this name; nil where there is none.
  public subscript(name: String) -> Tensor? { tensors.first { $0.name == name }?.tensor }

  /// The tensors by their names.
  public var tensorsByName: [String: Tensor] {
    Dictionary(tensors.map { ($0.name, $0.tensor) }) { first, _ in first }
  }
}

extension SafetensorsFile {
  /// Reads every tensor of a file, as `TensorFile` reads one when it is asked for.
  ///
  /// Throws as that does, and `badData` where a tensor's elements are of a type that is not read.
  public init(contentsOf path: String) throws(CarouselError) {
    let file = try TensorFile(path)
    var tensors: [(name: String, tensor: Tensor)] = []
    for entry in file.entries { tensors.append((entry.name, try file.tensor(entry))) }
    self.init(
      tensors,
      elementTypes: Dictionary(
        uniqueKeysWithValues: file.entries.compactMap { entry in
          entry.elementType.map { (entry.name, $0) }
        }),
      metadata: file.metadata)
  }
}

extension TensorFile.Contents {
  /// The tensors of a safetensors file.
  static func safetensors(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    guard file.byteCount >= 8 else {
      throw FileDamage(
        file.byteCount == 0
          ? "expected a safetensors file, found an empty file"
          : "expected a safetensors file, which begins with 8 bytes for the length of its header, "
            + "found \(file.byteCount == 1 ? "1 byte" : "\(file.byteCount) bytes") in all")
    }
    let length = try file.bytes(at: 0, count: 8).withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))
    }
    guard length <= UInt64(file.byteCount - 8) else {
      throw FileDamage(
        "expected a safetensors file, found a header length of \(length) bytes in a file of "
          + "\(file.byteCount)")
    }
    guard length <= limits.byteCount else {
      throw FileDamage(
        "expected a header of at most \(limits.byteCount) bytes, found one of \(length)")
    }
    let begin = 8 + Int(length)
    let header = try SafetensorsHeader(
      file.bytes(at: 8, count: Int(length)), dataByteCount: file.byteCount - begin,
      limits: limits)
    return TensorFile.Contents(
      format: .safetensors,
      entries: header.entries.map {
        TensorFile.Entry(
          name: $0.name, type: $0.type, elementType: ElementType(rawValue: $0.type),
          shape: $0.shape, offset: begin + $0.bytes.lowerBound, strides: $0.shape.contiguousStrides)
      }, metadata: header.metadata)
  }
}

extension SafetensorsFile {
  /// Writes the tensors in their order; nothing half-written is left under the name.
  ///
  /// Float tensors are stored as `elementType`, which is `.float32` (rounded to the nearest) or
  /// `.float64`. Tensors that `elementTypes` names with a type of whole numbers keep it, and must
  /// hold nothing else; an I64 tensor nothing beyond 2^53. Throws `writeFailed`, and a usage error where
  /// the tensors are not such.
  public func write(
    to path: String, elementType: ElementType = .float32
  ) throws(CarouselError) {
    let types = try types(floats: elementType, path: path)
    let header = Self.header(
      zip(tensors, types).map { ($0.name, $1, $0.tensor.shape) }, metadata: metadata)
    try AtomicFile.write(to: path) { writer in
      writer.append(header: header)
      for ((_, tensor), type) in zip(tensors, types) { writer.append(tensor.elements, as: type) }
    }
  }

  /// Writes the tensors in the format that the path's ending says: `.npz`, `.npy` for a single tensor, else
  /// safetensors; floats as Float32.
  ///
  /// Throws as `write(to:elementType:)` does.
  public func write(inFormatOf path: String) throws(CarouselError) {
    let format = TensorFile.Format(endingOf: path) ?? .safetensors
    guard format != .safetensors else { return try write(to: path) }
    let types = try types(floats: .float32, path: path)
    let stored = zip(tensors, types).map { entry, type in
      var bytes: [UInt8] = []
      bytes.append(entry.tensor.values, as: type)
      return StoredTensor(name: entry.name, type: type, shape: entry.tensor.shape, bytes: bytes)
    }
    try format.write(stored, to: path)
  }

  /// What each tensor is stored as; throws where one cannot be.
  private func types(
    floats: ElementType, path: String
  ) throws(CarouselError) -> [ElementType] {
    let types = tensors.map { storedType(of: $0.name, floats: floats) }
    do {
      try validate(types, floats: floats)
    } catch {
      throw CarouselError(.usage, "\(path): \(error.sentence)")
    }
    return types
  }

  private func validate(
    _ types: [ElementType], floats: ElementType
  ) throws(FileDamage) {
    guard floats == .float32 || floats == .float64 else {
      throw FileDamage("numbers are written as F32 or F64, but \(floats.rawValue) was asked for")
    }
    var names: Set<String> = ["__metadata__"]
    for ((name, tensor), type) in zip(tensors, types) {
      guard names.insert(name).inserted else {
        throw FileDamage("the name '\(name)' is taken and cannot be that of another tensor")
      }
      guard let range = type.wholeNumbers else { continue }
      let wrong = tensor.values.first { !(range.contains($0) && $0 == $0.rounded()) }
      if let wrong {
        throw FileDamage(
          "the tensor '\(name)' of type \(type.rawValue) cannot hold the value \(wrong)")
      }
    }
  }

  private func storedType(of name: String, floats: ElementType) -> ElementType {
    guard let type = elementTypes[name] else { return floats }
    return switch type {
    case .int64, .int32, .int16, .int8, .uint64, .uint32, .uint16, .uint8, .bool: type
    case .float64, .float32, .float16, .bfloat16: floats
    }
  }

  /// Writes tensors with their own types and bits, in their order; nothing half-written is left under
  /// the name.
  ///
  /// Throws `writeFailed`, and a usage error where two tensors share a name.
  public static func write(
    _ tensors: [StoredTensor], metadata: [String: String] = [:], to path: String
  ) throws(CarouselError) {
    var names: Set<String> = ["__metadata__"]
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw CarouselError(
        .usage, "\(path): the name '\(tensor.name)' is taken and cannot be that of another tensor")
    }
    let header = header(tensors.map { ($0.name, $0.type, $0.shape) }, metadata: metadata)
    try AtomicFile.write(to: path) { writer in
      writer.append(header: header)
      for tensor in tensors { tensor.bytes.withUnsafeBytes { writer.append($0) } }
    }
  }

  /// The JSON text, `__metadata__` first, filled up with spaces so that the data begins at a
  /// multiple of 8 bytes.
  private static func header(
    _ tensors: [(name: String, type: ElementType, shape: Shape)], metadata: [String: String]
  ) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty { members.append("\"__metadata__\":" + JSON.encode(metadata)) }
    var offset = 0
    for (name, type, shape) in tensors {
      let end = offset + shape.count * type.byteCount
      let entry = Entry(dtype: type.rawValue, shape: shape.dimensions, offsets: [offset, end])
      members.append("\(JSON.encode(name)):\(JSON.encode(entry))")
      offset = end
    }
    var text = Array("{\(members.joined(separator: ","))}".utf8)
    text += [UInt8](repeating: UInt8(ascii: " "), count: -text.count & 7)
    return text
  }

  private struct Entry: Encodable {
    var dtype: String
    var shape: [Int]
    var offsets: [Int]

    enum CodingKeys: String, CodingKey {
      case dtype
      case shape
      case offsets = "data_offsets"
    }
  }
}

extension AtomicFile.Writer {
  /// The elements that are converted at once.
  private static var chunkCount: Int { 1 << 17 }

  /// Appends the header behind its length.
  fileprivate mutating func append(header: [UInt8]) {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt64(header.count))
    (bytes + header).withUnsafeBytes { append($0) }
  }

  /// Appends each element as a number of the type, in the byte order of the format.
  fileprivate mutating func append(_ elements: Tensor.Elements, as type: ElementType) {
    for begin in stride(from: 0, to: elements.count, by: Self.chunkCount) {
      let range = begin..<min(begin + Self.chunkCount, elements.count)
      var bytes: [UInt8] = []
      switch elements {
      case .float32(let floats) where type == .float32:
        bytes.append(floats[range].map { $0.bitPattern.littleEndian })
      case .float32(let floats): bytes.append(floats[range].map(Double.init), as: type)
      case .float64(let doubles): bytes.append(Array(doubles[range]), as: type)
      }
      bytes.withUnsafeBytes { append($0) }
    }
  }
}

extension [UInt8] {
  /// Appends each value in the byte order of the format.
  fileprivate mutating func append(_ values: [some FixedWidthInteger & BitwiseCopyable]) {
    values.withUnsafeBytes { append(contentsOf: $0) }
  }

  mutating func append(littleEndian value: some FixedWidthInteger & BitwiseCopyable) {
    append([value.littleEndian])
  }

  /// Appends the values in a type that can hold them.
  mutating func append(_ values: [Double], as type: ElementType) {
    switch type {
    case .float64: append(values.map { $0.bitPattern.littleEndian })
    case .float32: append(values.map { Float($0).bitPattern.littleEndian })
    case .float16: append(values.map { Float16($0).bitPattern.littleEndian })
    case .int64: append(values.map { Int64($0).littleEndian })
    case .int32: append(values.map { Int32($0).littleEndian })
    case .int16: append(values.map { Int16($0).littleEndian })
    case .int8: append(values.map { Int8($0) })
    case .uint64: append(values.map { UInt64($0).littleEndian })
    case .uint32: append(values.map { UInt32($0).littleEndian })
    case .uint16: append(values.map { UInt16($0).littleEndian })
    case .uint8, .bool: append(values.map { UInt8($0) })
    case .bfloat16: preconditionFailure("\(type) is not written")
    }
  }
}

extension ElementType {
  /// The whole numbers that a tensor of this type may be written with; nil for the other types.
  fileprivate var wholeNumbers: ClosedRange<Double>? {
    switch self {
    case .int64: -0x1p53...0x1p53
    case .int32: -0x1p31...0x1p31 - 1
    case .int16: -32768...32767
    case .int8: -128...127
    case .uint64: 0...0x1p53
    case .uint32: 0...0x1p32 - 1
    case .uint16: 0...65535
    case .uint8: 0...255
    case .bool: 0...1
    case .float64, .float32, .float16, .bfloat16: nil
    }
  }
}
