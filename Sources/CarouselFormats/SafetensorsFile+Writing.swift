import CarouselModel
import Foundation

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
    guard format == .npy else { return try NumPyFile.write(stored, to: path) }
    guard stored.count == 1 else {
      throw CarouselError(
        .usage,
        "\(path): expected one tensor, found \(stored.map(\.name).joined(separator: ", ")); .npz holds several"
      )
    }
    try NumPyFile.write(stored[0], to: path)
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
