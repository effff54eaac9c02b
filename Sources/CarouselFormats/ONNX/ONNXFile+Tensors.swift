import CarouselModel
import Foundation

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
