import CarouselFormats
import CarouselModel

/// Builds a `Graph` out of an ONNX model, node by node.
final class ONNXImporter {
  /// The graph that nodes go to, and the names that they see.
  private(set) var scope: ONNXScope
  /// The values of the parameters, by name.
  private(set) var parameters: [String: Tensor] = [:]
  let file: ONNXFile
  /// What the model will be given, where that is known already.
  private let given: TensorFile?
  private let root: ONNXScope
  private let opsets: [String: Int]
  private let proto: ONNXGraphProto
  /// The place of each tensor's first number, where places are read instead of numbers (see `ONNXPlaces`); else
  /// empty.
  let placeBegins: [Int]
  /// The names of the tensors of all graphs; none is given twice.
  private var used: Set<String>
  private var depth = 0

  /// The versions of ONNX's operators that are known.
  static let opsets = 7...26

  /// Begins with a file; with `tracksPlaces` the elements of floating-point tensors are places.
  init(
    _ file: ONNXFile, given: TensorFile? = nil, tracksPlaces: Bool = false
  ) throws(CarouselError) {
    self.file = file
    self.given = given
    var model = file.model
    placeBegins = tracksPlaces ? model.numberTensors() : []
    let graph = model.graph
    proto = graph
    root = ONNXScope(graph, outer: nil, builder: GraphBuilder())
    scope = root
    opsets = Dictionary(
      file.model.opsetImport.map { ($0.domain == "ai.onnx" ? "" : $0.domain, Int($0.version)) }
    ) { $1 }
    used = Set(graph.node.flatMap(\.output) + graph.input.map(\.name) + graph.output.map(\.name))
      .union(graph.initializer.map(\.name))
    guard let version = opsets[""], Self.opsets.contains(version) else {
      throw file.failure(
        "expected operators of a version from \(Self.opsets.lowerBound) to "
          + "\(Self.opsets.upperBound), found \(opsets[""].map(String.init) ?? "none")")
    }
  }

  /// The version of ONNX's own operators.
  var opset: Int { opsets[""] ?? 0 }

  /// Builds the outermost graph.
  func run() throws(CarouselError) -> Graph {
    let builder = root.builder
    let weights = Set(proto.initializer.map(\.name))
    for input in proto.input where !weights.contains(input.name) {
      builder.graph.inputs.append(try graphInput(input, name: input.name))
      root.define(input.name, as: input.name)
    }
    try importNodes(proto)
    for output in proto.output {
      let name = try resolve(output.name)
      if name != output.name { emit(.unary(.identity), [name], to: [output.name]) }
      builder.graph.outputs.append(output.name)
    }
    builder.graph.removeUnusedNodes()
    do {
      try builder.graph.validate()
    } catch {
      throw file.failure(error.message)
    }
    return builder.graph
  }

  private func graphInput(
    _ value: ONNXValueInfoProto, name: String
  ) throws(CarouselError) -> GraphInput {
    let tensor = value.type.tensorType
    guard tensor.elemType == 0 || Self.type(tensor.elemType) != nil else {
      throw file.failure(
        "the input '\(value.name)' is of the type \(ONNXType.name(tensor.elemType)), which is not "
          + "supported")
    }
    let dimensions: [Dimension]? =
      tensor.hasShape
      ? tensor.shape.dim.map { dimension in
        switch dimension.value {
        case .dimValue(let extent)? where extent > 0: .fixed(Int(extent))
        case .dimParam(let word)? where !word.isEmpty: .symbol(word)
        default: .unknown
        }
      } : nil
    return GraphInput(name, type: Self.type(tensor.elemType) ?? .float32, dimensions)
  }

  /// The type of a graph's tensors for a number of the format; unsigned numbers that a graph has no type
  /// for are whole numbers of 64 bits.
  static func type(_ number: Int32) -> GraphType? {
    let name = ONNXType.name(number)
    return ["U16", "U32", "U64"].contains(name) ? .int64 : GraphType(rawValue: name)
  }

  /// The values of an input of the model; nil where they are not known.
  func givenInput(_ name: String) throws(CarouselError) -> GraphTensor? {
    guard root.builder.graph.inputs.contains(where: { $0.name == name }), scope.name(name) == name,
      let entry = given?[name], let type = entry.elementType
    else { return nil }
    return GraphTensor(
      try given?.tensor(entry) ?? Tensor(zeros: []),
      type: GraphType(rawValue: type.rawValue) ?? .int64)
  }

  private func importNodes(_ proto: ONNXGraphProto) throws(CarouselError) {
    for node in proto.node {
      try importNode(ONNXNode(node, source: file.path))
    }
  }

  private func importNode(_ node: ONNXNode) throws(CarouselError) {
    let key = node.domain.isEmpty ? node.operation : "\(node.domain).\(node.operation)"
    guard let importer = Self.operators[key] else {
      let nearest = node.operation.leastDistant(among: Self.operators.keys.sorted()) ?? ""
      throw node.failure("is an operator that is not supported; the nearest that is: '\(nearest)'")
    }
    for case let output? in node.outputs {
      scope.define(output, as: scope === root ? output : unique(output), by: node)
    }
    try importer(self, node)
  }

  // MARK: Names

  /// A name that no tensor has yet.
  func unique(_ base: String) -> String {
    var (name, number) = (base, 1)
    while !used.insert(name).inserted {
      number += 1
      name = "\(base).\(number)"
    }
    return name
  }

  /// The tensor of the graph for a name of the file; an initializer becomes a parameter where it holds
  /// several floating-point numbers, and a constant otherwise.
  func resolve(_ name: String, isTrained: Bool = true) throws(CarouselError) -> String {
    if let known = scope.name(name) { return known }
    guard let (proto, owner) = scope.initializer(name) else {
      throw file.failure(
        scope.isMade(name)
          ? "'\(name)' is read before it is made: the nodes form a cycle, or are out of order"
          : "'\(name)' is read, but it is no input, no initializer, and no node makes it")
    }
    let (tensor, type) = try value(proto)
    let own = owner === root ? name : unique(name)
    owner.define(name, as: own)
    if type.isReal, tensor.shape.count > 1 {
      parameters[own] = tensor
      root.builder.graph.parameters.append(
        GraphParameter(
          ParameterDescription(own, tensor.shape, .constant(0)), isTrained: isTrained))
    } else {
      owner.builder.graph.constants[own] = GraphTensor(tensor, type: type)
    }
    return own
  }

  /// The numbers of a tensor of the file.
  func value(_ proto: ONNXTensorProto) throws(CarouselError) -> (Tensor, GraphType) {
    if !placeBegins.isEmpty, let number = Int(proto.docString),
      let type = Self.type(proto.dataType),
      type.isReal
    {
      let shape = try file.shape(of: proto)
      let begin = placeBegins[number]
      // Numbers that decide something, a dropout's, have one axis at most.
      if shape.count > 1 || shape.rank > 1 {
        return (Tensor(shape, (0..<shape.count).map { Double(begin + 1 + $0) }), type)
      }
    }
    let (tensor, elements) = try file.tensor(proto)
    return (tensor, GraphType(rawValue: elements.rawValue) ?? .int64)
  }

  /// The inputs of a node as tensors of the graph; nil where one is left out.
  func inputs(_ node: ONNXNode, _ range: Range<Int>? = nil) throws(CarouselError) -> [String?] {
    var result: [String?] = []
    for name in range.map({ Array(node.inputs.dropFirst($0.lowerBound).prefix($0.count)) })
      ?? node.inputs
    {
      result.append(try name.map { name throws(CarouselError) in try resolve(name) })
    }
    return result
  }

  /// The outputs of a node as tensors of the graph.
  func outputs(_ node: ONNXNode) -> [String?] { node.outputs.map { $0.flatMap { scope.name($0) } } }

  // MARK: Building

  /// Adds a node of the graph for a node of the file with the same inputs and outputs.
  func emit(_ operation: GraphOperator, for node: ONNXNode) throws(CarouselError) {
    emit(operation, try inputs(node), to: outputs(node), name: node.name)
  }

  /// Adds a node of the graph with given tensors.
  func emit(
    _ operation: GraphOperator, _ inputs: [String?], to outputs: [String?], name: String? = nil
  ) {
    scope.builder.graph.nodes.append(
      GraphNode(
        name ?? outputs.compactMap(\.self).first ?? operation.name, operation, inputs: inputs,
        outputs: outputs))
  }

  /// Adds a node with one output and returns that; `base` is what its name begins with.
  func emit(_ operation: GraphOperator, _ inputs: [String?], base: String) -> String {
    let output = unique("\(base)/\(operation.name)")
    emit(operation, inputs, to: [output], name: base)
    return output
  }

  /// Adds a constant and returns its name.
  func constant(_ value: GraphTensor, base: String) -> String {
    let name = unique("\(base)/constant")
    scope.builder.graph.constants[name] = value
    return name
  }

  /// Adds a list of whole numbers.
  func constant(_ values: [Int], base: String) -> String {
    constant(GraphTensor(wholeNumbers: values), base: base)
  }

  /// Adds a parameter with its values.
  ///
  /// Parameters are the outermost graph's; one that is read by name, a recurrent operator's, is one of the
  /// operator's graph too.
  func parameter(_ name: String, _ tensor: Tensor, isTrained: Bool = true) {
    used.insert(name)
    parameters[name] = tensor
    let parameter = GraphParameter(
      ParameterDescription(name, tensor.shape, .constant(0)), isTrained: isTrained)
    root.builder.graph.parameters.append(parameter)
    if scope.builder !== root.builder { scope.builder.graph.parameters.append(parameter) }
  }

  /// Lets an output of a node stand for another tensor.
  func define(_ output: String, as name: String) { scope.define(output, as: name) }

  // MARK: Graphs within

  /// The graph of an attribute as one that sees the tensors around it.
  func subgraph(_ proto: ONNXGraphProto, of node: ONNXNode) throws(CarouselError) -> Graph {
    try enter(ONNXScope(proto, outer: scope, builder: GraphBuilder()), node) {
      () throws(CarouselError) in
      for input in proto.input {
        let name = unique(input.name)
        scope.builder.graph.inputs.append(try graphInput(input, name: name))
        scope.define(input.name, as: name)
      }
      try importNodes(proto)
      for output in proto.output { scope.builder.graph.outputs.append(try resolve(output.name)) }
      scope.builder.graph.removeUnusedNodes()
      return scope.builder.graph
    }
  }

  /// A graph that is no graph of the file, which `body` builds.
  func build(_ body: () -> Void) -> Graph {
    let outer = scope
    scope = ONNXScope(ONNXGraphProto(), outer: scope, builder: GraphBuilder())
    defer { scope = outer }
    body()
    return scope.builder.graph
  }

  /// Builds a graph of an attribute into the one around it; its outputs become those of the node.
  func inline(_ proto: ONNXGraphProto, as node: ONNXNode) throws(CarouselError) {
    let outer = scope
    let names = try enter(ONNXScope(proto, outer: scope, builder: scope.builder), node) {
      () throws(CarouselError) in
      try importNodes(proto)
      var names: [String] = []
      for output in proto.output { names.append(try resolve(output.name)) }
      return names
    }
    for (output, name) in zip(node.outputs, names) {
      if let output { outer.define(output, as: name, by: nil) }
    }
  }

  private func enter<Result>(
    _ inner: ONNXScope, _ node: ONNXNode, _ body: () throws(CarouselError) -> Result
  ) throws(CarouselError) -> Result {
    guard depth < 32 else { throw node.failure("lies deeper than 32 graphs") }
    let outer = scope
    (scope, depth) = (inner, depth + 1)
    defer { (scope, depth) = (outer, depth - 1) }
    return try body()
  }
}

extension Graph {
  /// Removes the nodes whose outputs nobody reads, and constants and parameters likewise.
  mutating func removeUnusedNodes() {
    var needed = Set(outputs)
    nodes = nodes.reversed().filter { node in
      guard node.outputs.contains(where: { $0.map(needed.contains) == true }) else { return false }
      needed.formUnion(node.readNames)
      return true
    }.reversed()
    constants = constants.filter { needed.contains($0.key) }
  }
}

extension GraphNode {
  /// The tensors that the node reads, those that its graphs see from around included.
  package var readNames: Set<String> {
    var names = Set(inputs.compactMap(\.self))
    for graph in operation.subgraphs {
      for node in graph.nodes { names.formUnion(node.readNames) }
      names.formUnion(graph.outputs)
    }
    return names
  }
}

extension ONNXModelProto {
  /// Writes each tensor's number where its description was, and returns where the elements of each begin
  /// when those of all are counted.
  fileprivate mutating func numberTensors() -> [Int] {
    var begins = [0]
    updateTensors { tensor in
      tensor.docString = "\(begins.count - 1)"
      let count = Shape.count(of: tensor.dims.map { max(0, Int($0)) }) ?? 0
      begins.append(begins[begins.count - 1] + min(count, 1 << 48))
    }
    return begins
  }
}
