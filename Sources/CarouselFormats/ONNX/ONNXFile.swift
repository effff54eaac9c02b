import CarouselModel
import Foundation
import SwiftProtobuf

/// An open ONNX file: its model's messages, and the numbers of its tensors where they are asked for.
package final class ONNXFile: Sendable {
  /// The model.
  ///
  /// Tensors of some size have a `payload` in the place of their numbers.
  package let model: ONNXModelProto
  /// The path as it was given; begins every sentence about the file.
  package var path: String { file.path }
  let file: InputFile

  /// Opens a file; throws `missingInput` where it is not there and `badData` where it is not an ONNX file.
  package convenience init(_ path: String) throws(CarouselError) {
    let file = try InputFile(path)
    self.init(file, try FileDamage.said(of: path) { try Self.model(of: file) })
  }

  convenience init(_ file: InputFile) throws {
    self.init(file, try Self.model(of: file))
  }

  private init(_ file: InputFile, _ model: ONNXModelProto) {
    self.file = file
    self.model = model
  }

  private static func model(of file: InputFile) throws -> ONNXModelProto {
    let damage = FileDamage("expected an ONNX file, found something else, or one that is damaged")
    let bytes = try ONNXSkeleton.bytes(of: file)
    let model: ONNXModelProto
    do {
      model = try ONNXModelProto(serializedBytes: bytes)
    } catch {
      throw damage
    }
    guard model.irVersion > 0, model.hasGraph else { throw damage }
    return model
  }

  /// Whether a file with these first bytes is one: named so, or begun with the version, field 1, and a field
  /// that may follow.
  static func isLikely(_ head: [UInt8], path: String) -> Bool {
    path.hasSuffix(".onnx")
      || head.count > 2 && head[0] == 0x08 && head[1] < 0x20
        && [0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72].contains(head[2])
  }

  /// A tensor's numbers; whole ones beyond ±2⁵³ become that bound, which stands for "to the end" in slices.
  ///
  /// Throws `badData` where it is damaged, of a type that is not read, or lies outside the file's folder.
  package func tensor(
    _ tensor: ONNXTensorProto
  ) throws(CarouselError) -> (tensor: Tensor, type: ElementType) {
    let entry = try entry(tensor)
    guard let type = entry.elementType else {
      throw failure(
        "the tensor '\(tensor.name)' is of the type \(entry.type), expected one of "
          + ElementType.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let source: any TensorSource = entry.source ?? file
    try HostMemory.require(
      entry.shape.count.multipliedReportingOverflow(by: 8).partialValue,
      for: "the tensor '\(tensor.name)'", of: path)
    if type == .int64 {
      var bytes = [UInt8](repeating: 0, count: entry.shape.count * 8)
      try bytes.withUnsafeMutableBytes { buffer in
        Result { () throws(CarouselError) in try source.read(into: buffer, at: entry.offset) }
      }.get()
      let values = bytes.withUnsafeBytes { buffer in
        (0..<entry.shape.count).map { index in
          let value = buffer.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self)
          return Double(max(-1 << 53, min(1 << 53, Int64(littleEndian: value))))
        }
      }
      return (Tensor(entry.shape, values), type)
    }
    let values = try source.elements(
      type, at: entry.offset, count: entry.shape.count, of: tensor.name)
    return (Tensor(entry.shape, values), type)
  }

  /// A tensor's shape; throws `badData` where it cannot be.
  package func shape(of tensor: ONNXTensorProto) throws(CarouselError) -> Shape {
    guard tensor.dims.count <= 64,
      let shape = try? Shape(dimensions: tensor.dims.map { Int($0) }), shape.count < 1 << 48
    else {
      throw failure(
        "the tensor '\(tensor.name)' has the shape \(tensor.dims), which cannot be")
    }
    return shape
  }

  /// What the tensor is and where its bytes lie; throws as `tensor` does.
  func entry(_ tensor: ONNXTensorProto) throws(CarouselError) -> TensorFile.Entry {
    let name = "the tensor '\(tensor.name)'"
    let shape = try shape(of: tensor)
    let word = ONNXType.name(tensor.dataType)
    let type = ElementType(rawValue: word)
    let width = type?.byteCount ?? 1
    var entry = TensorFile.Entry(
      name: tensor.name, type: word, elementType: type, shape: shape, offset: 0,
      strides: shape.contiguousStrides)
    let place: Range<Int>
    if tensor.dataLocation == 1 {
      let (source, range) = try external(tensor, needed: shape.count * width)
      entry.source = source
      place = range
    } else if tensor.hasPayload {
      let payload = tensor.payload
      let fits = payload.field == 9 || type == (payload.field == 4 ? .float32 : .float64)
      // A file may hold a field of this number that is not ours.
      guard fits, payload.offset <= file.byteCount,
        payload.count <= UInt64(file.byteCount) - payload.offset
      else { throw failure("\(name) holds numbers of another type than its own, \(word)") }
      place = Int(payload.offset)..<Int(payload.offset + payload.count)
    } else {
      let bytes = try inlineBytes(tensor, type)
      entry.source = MemorySource(path: path, bytes: bytes)
      place = 0..<bytes.count
    }
    guard type == nil || place.count == shape.count * width else {
      throw failure(
        "\(name) of shape \(shape) and type \(word) needs \(shape.count * width) bytes, found "
          + "\(place.count)")
    }
    entry.offset = place.lowerBound
    return entry
  }

  /// The bytes of a tensor that is small enough to be within its message.
  private func inlineBytes(
    _ tensor: ONNXTensorProto, _ type: ElementType?
  ) throws(CarouselError) -> [UInt8] {
    if !tensor.rawData.isEmpty { return Array(tensor.rawData) }
    var bytes: [UInt8] = []
    switch type {
    case .float32: for value in tensor.floatData { bytes.append(littleEndian: value.bitPattern) }
    case .float64: for value in tensor.doubleData { bytes.append(littleEndian: value.bitPattern) }
    case .int64: for value in tensor.int64Data { bytes.append(littleEndian: value) }
    case .uint64: for value in tensor.uint64Data { bytes.append(littleEndian: value) }
    case .uint32:
      for value in tensor.uint64Data {
        bytes.append(littleEndian: UInt32(truncatingIfNeeded: value))
      }
    case .int32: for value in tensor.int32Data { bytes.append(littleEndian: value) }
    case .int16, .uint16, .float16, .bfloat16:
      for value in tensor.int32Data {
        bytes.append(littleEndian: UInt16(truncatingIfNeeded: value))
      }
    case .int8, .uint8, .bool:
      for value in tensor.int32Data { bytes.append(UInt8(truncatingIfNeeded: value)) }
    case nil: break
    }
    return bytes
  }

  /// The file beside this one that holds a tensor's bytes, and where.
  private func external(
    _ tensor: ONNXTensorProto, needed: Int
  ) throws(CarouselError) -> (InputFile, Range<Int>) {
    let name = "the tensor '\(tensor.name)'"
    let words = Dictionary(tensor.externalData.map { ($0.key, $0.value) }) { $1 }
    let location = words["location"] ?? ""
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    let root = FileSystem.realPath(folder.isEmpty ? "." : folder).map { $0 + "/" }
    guard !location.isEmpty, !location.contains("\0"), !location.contains("\\"),
      parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }), let root
    else {
      throw failure(
        "\(name) lies in '\(location)', expected a file in the folder of the model or below it")
    }
    if let target = FileSystem.realPath(folder + location),
      !target.hasPrefix(root == "//" ? "/" : root)
    {
      throw failure(
        "\(name) lies in '\(location)', a link to '\(target)' outside the folder of the model")
    }
    let file = try InputFile(folder + location)
    guard let offset = Int(words["offset"] ?? "0"),
      let length = Int(words["length"] ?? "\(needed)"),
      offset >= 0, length >= 0, offset <= file.byteCount, length <= file.byteCount - offset
    else {
      throw failure(
        "\(name) has bytes from \(words["offset"] ?? "0") on, \(words["length"] ?? "\(needed)") of "
          + "them, but '\(location)' has \(file.byteCount)")
    }
    return (file, offset..<(offset + length))
  }

  package func failure(_ sentence: String) -> CarouselError {
    CarouselError(.badData, "\(path): \(sentence)")
  }

  /// The initializers as the tensors of a file.
  func contents() throws -> TensorFile.Contents {
    var names: Set<String> = []
    let entries = try model.graph.initializer.map { tensor in
      guard names.insert(tensor.name).inserted else {
        throw FileDamage("two initializers are named '\(tensor.name)'")
      }
      return try entry(tensor)
    }
    let metadata = Dictionary(model.metadataProps.map { ($0.key, $0.value) }) { $1 }
    return TensorFile.Contents(
      format: .onnx, entries: entries, metadata: metadata.filter { $0.key != "carousel" })
  }
}

/// The numbers that stand for element types in ONNX.
package enum ONNXType {
  private static let names: [Int32: String] = [
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 8: "STRING", 9: "BOOL",
    10: "F16", 11: "F64", 12: "U32", 13: "U64", 14: "C64", 15: "C128", 16: "BF16", 17: "F8_E4M3",
    18: "F8_E4M3FNUZ", 19: "F8_E5M2", 20: "F8_E5M2FNUZ", 21: "U4", 22: "I4", 23: "F4",
  ]

  /// The name that safetensors has for a type, or one in its manner.
  package static func name(_ number: Int32) -> String { names[number] ?? "type \(number)" }

  /// The number of a type.
  package static func number(_ type: String) -> Int32? { names.first { $0.value == type }?.key }
}

extension ONNXModelProto {
  /// Visits every dense tensor of the model in a fixed order: initializers, then those of the nodes, graphs
  /// within included.
  package mutating func updateTensors<Failure: Error>(
    _ body: (inout ONNXTensorProto) throws(Failure) -> Void
  ) throws(Failure) {
    try graph.updateTensors(body)
    for index in functions.indices {
      for node in functions[index].node.indices {
        try functions[index].node[node].updateTensors(body)
      }
      for attribute in functions[index].attributeProto.indices {
        try functions[index].attributeProto[attribute].updateTensors(body)
      }
    }
  }
}

extension ONNXGraphProto {
  fileprivate mutating func updateTensors<Failure: Error>(
    _ body: (inout ONNXTensorProto) throws(Failure) -> Void
  ) throws(Failure) {
    for index in initializer.indices { try body(&initializer[index]) }
    for index in sparseInitializer.indices {
      try body(&sparseInitializer[index].values)
      try body(&sparseInitializer[index].indices)
    }
    for index in node.indices { try node[index].updateTensors(body) }
  }
}

extension ONNXNodeProto {
  fileprivate mutating func updateTensors<Failure: Error>(
    _ body: (inout ONNXTensorProto) throws(Failure) -> Void
  ) throws(Failure) {
    for index in attribute.indices { try attribute[index].updateTensors(body) }
  }
}

extension ONNXAttributeProto {
  fileprivate mutating func updateTensors<Failure: Error>(
    _ body: (inout ONNXTensorProto) throws(Failure) -> Void
  ) throws(Failure) {
    if hasT { try body(&t) }
    for index in tensors.indices { try body(&tensors[index]) }
    if hasG { try g.updateTensors(body) }
    for index in graphs.indices { try graphs[index].updateTensors(body) }
  }
}

extension ONNXFile {
  /// The tensor with its bytes within its message, wherever they lay.
  ///
  /// Throws `badData` where they cannot be read.
  package func inlined(_ tensor: ONNXTensorProto) throws(CarouselError) -> ONNXTensorProto {
    guard tensor.hasPayload || tensor.dataLocation == 1 else { return tensor }
    let entry = try entry(tensor)
    guard let type = entry.elementType else {
      throw failure("the tensor '\(tensor.name)' is of the type \(entry.type), which is not read")
    }
    let source: any TensorSource = entry.source ?? file
    var bytes = [UInt8](repeating: 0, count: entry.shape.count * type.byteCount)
    try bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(CarouselError) in try source.read(into: buffer, at: entry.offset) }
    }.get()
    return tensor.holding(bytes)
  }

  /// The tensor with other numbers in its own floating-point type, rounded to the nearest.
  package func replacing(
    _ tensor: ONNXTensorProto, with values: [Double]
  ) throws(CarouselError) -> ONNXTensorProto {
    var bytes: [UInt8] = []
    switch ElementType(rawValue: ONNXType.name(tensor.dataType)) {
    case .float32: bytes.append(values, as: .float32)
    case .float64: bytes.append(values, as: .float64)
    case .float16: bytes.append(values, as: .float16)
    case .bfloat16:
      for value in values { bytes.append(littleEndian: Float(value).bfloat16Bits) }
    default:
      throw failure(
        "the tensor '\(tensor.name)' is of the type \(ONNXType.name(tensor.dataType)), which cannot "
          + "hold weights that were trained")
    }
    return tensor.holding(bytes)
  }
}

extension ONNXTensorProto {
  /// The same with these bytes in place of all numbers.
  fileprivate func holding(_ bytes: [UInt8]) -> ONNXTensorProto {
    var result = self
    (result.floatData, result.doubleData, result.int32Data) = ([], [], [])
    (result.int64Data, result.uint64Data) = ([], [])
    (result.externalData, result.dataLocation) = ([], 0)
    result.clearPayload()
    result.rawData = Data(bytes)
    return result
  }
}

extension Float {
  /// The nearest BFloat16, of two as near the even one.
  fileprivate var bfloat16Bits: UInt16 {
    if isNaN { return 0x7FC0 }
    let bits = bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }
}
