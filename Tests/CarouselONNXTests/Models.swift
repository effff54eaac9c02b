import CarouselFormats
import CarouselModel
import Foundation

@testable import CarouselONNX

/// A folder of its own for one test, removed with everything in it when the test ends.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "carousel-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file into the folder and returns its path.
  func file(_ name: String, holding bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    return "\(path)/\(name)"
  }
}

/// A small model, node by node.
struct TestModel {
  var proto = ONNXModelProto()

  init(opset: Int64 = 17) {
    proto.irVersion = 8
    var version = ONNXOperatorSetIdProto()
    version.version = opset
    proto.opsetImport = [version]
    proto.graph.name = "test"
  }

  mutating func input(_ name: String, type: Int32 = 1) {
    var value = ONNXValueInfoProto()
    value.name = name
    value.type.tensorType.elemType = type
    proto.graph.input.append(value)
  }

  mutating func output(_ name: String) {
    var value = ONNXValueInfoProto()
    value.name = name
    proto.graph.output.append(value)
  }

  mutating func initializer(_ name: String, _ shape: [Int64], _ values: [Float]) {
    var tensor = ONNXTensorProto()
    (tensor.name, tensor.dataType, tensor.dims, tensor.floatData) = (name, 1, shape, values)
    proto.graph.initializer.append(tensor)
  }

  mutating func node(
    _ type: String, _ inputs: [String], _ outputs: [String],
    _ attributes: [ONNXAttributeProto] = [], domain: String = ""
  ) {
    proto.graph.node.append(Self.node(type, inputs, outputs, attributes, domain: domain))
  }

  static func node(
    _ type: String, _ inputs: [String], _ outputs: [String],
    _ attributes: [ONNXAttributeProto] = [], domain: String = ""
  ) -> ONNXNodeProto {
    var node = ONNXNodeProto()
    (node.opType, node.domain, node.name) = (type, domain, "the \(type)")
    (node.input, node.output, node.attribute) = (inputs, outputs, attributes)
    return node
  }

  /// Reads the model back as a graph.
  func read() throws -> ONNXModel {
    let folder = try TemporaryFolder()
    return try ONNXModel(
      contentsOf: folder.file("m.onnx", holding: try proto.serializedBytes()))
  }
}
