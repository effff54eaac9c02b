import CarouselFormats
import CarouselModel

/// One node of an ONNX graph, with its attributes by name.
struct ONNXNode {
  /// The operator's name, and its domain where it is not ONNX's own.
  let operation: String, domain: String
  /// The node's name, or that of its first output.
  let name: String
  /// The tensors; nil where an optional one is left out.
  let inputs: [String?], outputs: [String?]
  private let attributes: [String: ONNXAttributeProto]
  private let source: String

  init(_ node: ONNXNodeProto, source: String) {
    operation = node.opType
    domain = node.domain == "ai.onnx" ? "" : node.domain
    inputs = node.input.map { $0.isEmpty ? nil : $0 }
    outputs = node.output.map { $0.isEmpty ? nil : $0 }
    name = node.name.isEmpty ? node.output.first ?? node.opType : node.name
    attributes = Dictionary(node.attribute.map { ($0.name, $0) }) { $1 }
    self.source = source
  }

  /// The input at `index`; nil where it is left out.
  func input(_ index: Int) -> String? { index < inputs.count ? inputs[index] : nil }

  /// The output at `index`; nil where it is left out.
  func output(_ index: Int) -> String? { index < outputs.count ? outputs[index] : nil }

  /// The input at `index`; throws where it is left out.
  func requiredInput(_ index: Int) throws(CarouselError) -> String {
    guard let name = input(index) else {
      throw failure("needs at least \(index + 1) inputs, found \(inputs.compactMap(\.self).count)")
    }
    return name
  }

  /// The output at `index`; throws where it is left out.
  func requiredOutput(_ index: Int = 0) throws(CarouselError) -> String {
    guard let name = output(index) else { throw failure("has no output \(index)") }
    return name
  }

  /// What is wrong with the node, which a sentence goes on to say behind its name.
  func failure(_ sentence: String) -> CarouselError {
    let type = domain.isEmpty ? operation : "\(domain).\(operation)"
    return CarouselError(.badData, "\(source): the node '\(name)' (\(type)) \(sentence)")
  }

  /// Whether there is an attribute of this name.
  func has(_ name: String) -> Bool { attributes[name] != nil }

  private func attribute(
    _ name: String, _ type: ONNXAttributeProto.AttributeType
  ) throws(CarouselError) -> ONNXAttributeProto? {
    guard let attribute = attributes[name] else { return nil }
    guard attribute.type == type || attribute.type == .undefined else {
      throw failure(
        "has an attribute '\(name)' of another type than \(type) (\(attribute.type))")
    }
    return attribute
  }

  func int(_ name: String) throws(CarouselError) -> Int? {
    try attribute(name, .int).map { Int($0.i) }
  }

  func int(_ name: String, _ absent: Int) throws(CarouselError) -> Int {
    try int(name) ?? absent
  }

  func flag(_ name: String, _ absent: Bool = false) throws(CarouselError) -> Bool {
    try int(name).map { $0 != 0 } ?? absent
  }

  func ints(_ name: String) throws(CarouselError) -> [Int]? {
    try attribute(name, .ints).map { $0.ints.map { Int($0) } }
  }

  func float(_ name: String) throws(CarouselError) -> Double? {
    try attribute(name, .float).map { Double($0.f) }
  }

  func float(_ name: String, _ absent: Double) throws(CarouselError) -> Double {
    try float(name) ?? absent
  }

  func floats(_ name: String) throws(CarouselError) -> [Double]? {
    try attribute(name, .floats).map { $0.floats.map { Double($0) } }
  }

  func string(_ name: String) throws(CarouselError) -> String? {
    try attribute(name, .string).map { String(decoding: $0.s, as: UTF8.self) }
  }

  func strings(_ name: String) throws(CarouselError) -> [String]? {
    try attribute(name, .strings).map { $0.strings.map { String(decoding: $0, as: UTF8.self) } }
  }

  func tensor(_ name: String) throws(CarouselError) -> ONNXTensorProto? {
    try attribute(name, .tensor).map(\.t)
  }

  func graph(_ name: String) throws(CarouselError) -> ONNXGraphProto {
    guard let graph = try attribute(name, .graph)?.g else { throw failure("has no '\(name)'") }
    return graph
  }

  /// Throws where an attribute is not what it has to be for the operator to be supported.
  func require(_ name: String, _ condition: Bool, _ found: String) throws(CarouselError) {
    guard condition else { throw failure("has '\(name)' \(found), which is not supported") }
  }
}
