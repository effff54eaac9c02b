import CarouselFormats
import CarouselModel
import Foundation

/// Builds the messages of a model, node by node.
struct ONNXBuilder {
  private(set) var graph = ONNXGraphProto()
  private var count = 0
  private var initializers: Set<String> = []
  /// What the names begin with, so that those of a body differ from those around it.
  private let scope: String
  /// The version of ONNX's operators that is written: the first with `layout`-less LSTM, Squeeze by an
  /// input and LayerNormalization that ONNX Runtime 1.10 and later know.
  static let opset: Int64 = 17
  private static let irVersion: Int64 = 8

  init(name: String, scope: String = "") {
    self.scope = scope
    graph.name = name
  }

  /// The first name of this kind that is free.
  mutating func name(_ base: String) -> String {
    count += 1
    return "\(scope)\(base)_\(count)"
  }

  /// Adds a node with the names of its outputs.
  mutating func node(
    _ operation: String, _ inputs: [String?], to outputs: [String],
    _ attributes: [ONNXAttributeProto] = []
  ) {
    var node = ONNXNodeProto()
    node.opType = operation
    node.name = name(operation.lowercased())
    // ONNX Runtime 1.32 crashes where the last is named "".
    let last = inputs.lastIndex { $0 != nil } ?? -1
    node.input = inputs.prefix(last + 1).map { $0 ?? "" }
    node.output = outputs
    node.attribute = attributes
    graph.node.append(node)
  }

  /// Adds a node with one output, and returns its name.
  mutating func node(
    _ operation: String, _ inputs: [String?], _ attributes: [ONNXAttributeProto] = []
  ) -> String {
    let output = name(operation.lowercased() + "_output")
    node(operation, inputs, to: [output], attributes)
    return output
  }

  /// Adds Float32 numbers under a name, unless that has some already.
  mutating func initializer(_ name: String, _ tensor: Tensor) -> String {
    guard initializers.insert(name).inserted else { return name }
    var proto = ONNXTensorProto()
    proto.name = name
    proto.dataType = 1
    proto.dims = tensor.shape.dimensions.map { Int64($0) }
    let numbers = tensor.values.map { Float($0).bitPattern.littleEndian }
    proto.rawData = numbers.withUnsafeBytes { Data($0) }
    graph.initializer.append(proto)
    return name
  }

  /// Adds a list of whole numbers, such as axes or a shape.
  mutating func list(_ values: [Int]) -> String {
    var proto = ONNXTensorProto()
    proto.name = name("list")
    proto.dataType = 7
    proto.dims = [Int64(values.count)]
    proto.int64Data = values.map { Int64($0) }
    graph.initializer.append(proto)
    return proto.name
  }

  /// Adds a scalar.
  mutating func scalar(_ value: Double) -> String {
    initializer(name("scalar"), Tensor([], [value]))
  }

  mutating func input(_ name: String, _ dimensions: [CarouselModel.Dimension], type: Int32 = 1) {
    graph.input.append(Self.value(name, dimensions, type))
  }

  mutating func output(_ name: String, _ dimensions: [CarouselModel.Dimension]) {
    graph.output.append(Self.value(name, dimensions, 1))
  }

  private static func value(
    _ name: String, _ dimensions: [CarouselModel.Dimension], _ type: Int32
  ) -> ONNXValueInfoProto {
    var value = ONNXValueInfoProto()
    value.name = name
    value.type.tensorType.elemType = type
    value.type.tensorType.shape.dim = dimensions.map { dimension in
      var result = ONNXTensorShapeProto.Dimension()
      switch dimension {
      case .fixed(let extent): result.dimValue = Int64(extent)
      case .symbol(let word): result.dimParam = word
      case .unknown: break
      }
      return result
    }
    return value
  }

  /// The file's bytes; throws where they are more than the format's 2 GB.
  func bytes(metadata: [String: String]) throws(CarouselError) -> [UInt8] {
    var model = ONNXModelProto()
    model.irVersion = Self.irVersion
    model.producerName = "carousel"
    model.graph = graph
    var version = ONNXOperatorSetIdProto()
    version.version = Self.opset
    model.opsetImport = [version]
    model.metadataProps = metadata.sorted { $0.key < $1.key }.map { key, value in
      var entry = ONNXStringStringEntryProto()
      (entry.key, entry.value) = (key, value)
      return entry
    }
    do {
      return try model.serializedBytes()
    } catch {
      throw CarouselError(.usage, "the model has more than the 2 GB that an ONNX file may have")
    }
  }
}

extension ONNXAttributeProto {
  static func int(_ name: String, _ value: Int) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type, result.i) = (name, .int, Int64(value))
    return result
  }

  static func ints(_ name: String, _ values: [Int]) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type, result.ints) = (name, .ints, values.map { Int64($0) })
    return result
  }

  static func floats(_ name: String, _ values: [Double]) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type, result.floats) = (name, .floats, values.map { Float($0) })
    return result
  }

  static func float(_ name: String, _ value: Double) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type, result.f) = (name, .float, Float(value))
    return result
  }

  static func text(_ name: String, _ value: String) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type, result.s) = (name, .string, Data(value.utf8))
    return result
  }

  static func texts(_ name: String, _ values: [String]) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type) = (name, .strings)
    result.strings = values.map { Data($0.utf8) }
    return result
  }

  static func graph(_ name: String, _ value: ONNXGraphProto) -> ONNXAttributeProto {
    var result = ONNXAttributeProto()
    (result.name, result.type, result.g) = (name, .graph, value)
    return result
  }
}
