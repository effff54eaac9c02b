import CarouselFormats
import CarouselModel
import CarouselONNX
import CarouselReference

/// One operator of a model, or the whole model, forward and backward on given inputs.
///
/// An operator reads what the reference's pass through the model gave it, rounded to Float32, so that no
/// operator answers for the errors of those before it.
package struct ModelComparison: ComparisonCase {
  let graph: Graph
  let parameters: [String: Tensor]
  /// What is given for a pass, and what is known when the graph is bound.
  let inputs: [String: GraphTensor], constants: [String: GraphTensor]
  /// The outputs whose gradients are given.
  let given: [String]
  /// The operator and its node; nil for the whole model.
  let node: GraphNode?
  let source: String

  /// `graph`.
  package var operation: String { "graph" }
  /// The cell of a recurrent operator.
  package var cell: Cell? {
    if case .recurrent(let recurrent)? = node?.operation {
      recurrent.configuration.cell
    } else {
      nil
    }
  }
  /// The elements of all inputs together, and the number of parameters.
  package var sizes: KeyValuePairs<String, Int> {
    [
      "elements": inputs.values.reduce(0) { $0 + $1.shape.count },
      "parameters": parameters.values.reduce(0) { $0 + $1.shape.count },
    ]
  }
  /// The operator and the name of its node, or that it is all of them.
  package var options: [CaseOption] {
    guard let node else { return [("operator", "all"), ("node", source)] }
    return [("operator", node.operation.name), ("node", node.name)]
  }
  /// The most elements that a weight has for one of its rows, or that the inputs have for one of an output.
  package var sumLength: Int {
    let rows = parameters.values.map {
      $0.shape.count / max($0.shape.rank > 1 ? $0.shape[0] : 1, 1)
    }
    let largest = inputs.values.map(\.shape).flatMap { $0.dimensions.suffix(1) }
    return max(1, (rows + largest).max() ?? 1)
  }

  /// All outputs, then the gradients of the real inputs and of the parameters; the seed draws the
  /// gradients of the outputs.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let model = try GraphModel(graph, backend: backend)
    try model.load(parameters, source: source)
    let wanted = inputs.keys.sorted()
    let program: GraphProgram
    do {
      program = try GraphProgram(
        graph, shapes: inputs.mapValues(\.shape), constants: constants, training: true,
        gradientsOf: given, inputGradients: wanted)
    } catch {
      throw CarouselError(error.kind, "\(source): \(error.message)")
    }
    let pass = try GraphPass(program, model, isPoisoned: true)
    try pass.forward(inputs)
    var result = try pass.outputs().map { (name: $0.name, tensor: $0.tensor.tensor) }
    guard !given.isEmpty else { return result }
    var gradients: [String: Tensor] = [:]
    for (index, name) in given.enumerated() {
      guard let output = program.outputs.first(where: { $0.name == name }) else { continue }
      gradients[name] = ComparisonInput.normal(output.shape, seed: seed, index: 100 + index)
    }
    try pass.backward(gradients)
    for name in wanted {
      if let gradient = try pass.inputGradient(name) { result.append(("grad_" + name, gradient)) }
    }
    for (name, tensor) in try model.parameters.gradientTensors() {
      result.append(("grad_" + name, tensor))
    }
    return result
  }

  /// A case for each operator of a model that something is left to compute of when its inputs are bound,
  /// in order, and one for the whole model.
  ///
  /// Costs a pass of the reference through the model. Throws where the inputs do not fit.
  package static func all(
    of model: ONNXModel, inputs: GraphInputs
  ) throws -> [ModelComparison] {
    let traced = try TracedModel(model, inputs: inputs)
    var result = try model.graph.nodes.compactMap { try traced.comparison(of: $0) }
    let outputs = model.graph.outputs.filter { traced.isComputed($0) && traced.isReal($0) }
    result.append(
      ModelComparison(
        graph: model.graph, parameters: model.parameters, inputs: inputs.real.mapValues(\.rounded),
        constants: inputs.whole, given: outputs, node: nil, source: model.source))
    return result
  }
}

/// A model with every tensor of a pass of the reference.
private struct TracedModel {
  private let model: ONNXModel
  private let inputs: GraphInputs
  private var tensors: [String: GraphTensor]
  private var known: Set<String> = []

  init(_ model: ONNXModel, inputs: GraphInputs) throws {
    self.model = model
    self.inputs = inputs
    var graph = model.graph
    var outputs: [String] = []
    for node in graph.nodes { outputs += node.outputs.compactMap(\.self) }
    graph.outputs = outputs + graph.outputs.filter { !outputs.contains($0) }
    let bound = try GraphModel(graph, backend: ReferenceBackend())
    try bound.load(model.parameters, source: model.source)
    tensors = inputs.values.mapValues { $0.type.isReal ? $0.rounded : $0 }
    let pass: GraphPass<ReferenceBackend>
    do {
      pass = try bound.pass(shapes: inputs.real.mapValues(\.shape), constants: inputs.whole)
    } catch let error as CarouselError where error.kind == .badData {
      throw CarouselError(.badData, "\(model.source): \(error.message)")
    }
    try pass.forward(inputs.real.mapValues(\.rounded))
    for output in pass.program.outputs {
      tensors[output.name] = try pass.output(output.name)
      if output.isKnown { known.insert(output.name) }
    }
    known.formUnion(inputs.whole.keys)
  }

  func isComputed(_ name: String) -> Bool { !known.contains(name) }
  func isReal(_ name: String) -> Bool { tensors[name]?.type.isReal == true }

  /// A node by itself; nil where all that it makes is known when the model is bound.
  func comparison(of node: GraphNode) throws -> ModelComparison? {
    var graph = Graph()
    graph.outputs = node.outputs.compactMap(\.self).filter(isComputed)
    guard !graph.outputs.isEmpty else { return nil }
    var given: [String: GraphTensor] = [:]
    var constants: [String: GraphTensor] = [:]
    let prefixes = node.recurrentPrefixes
    graph.parameters = model.graph.parameters.filter { parameter in
      let name = parameter.description.name
      return node.readNames.contains(name) || prefixes.contains { name.hasPrefix($0) }
    }
    for name in node.readNames.sorted() {
      if let constant = model.graph.constants[name] {
        graph.constants[name] = constant
        continue
      }
      guard let tensor = tensors[name] else { continue }
      guard isComputed(name) else {
        graph.inputs.append(GraphInput(name, type: tensor.type, nil))
        constants[name] = tensor
        continue
      }
      // Whole numbers that the device computes are given as real ones, for the host knows whole inputs.
      let input = tensor.type.isReal ? name : name + "/real"
      graph.inputs.append(GraphInput(input, nil))
      given[input] = tensor.rounded
      if input != name {
        graph.nodes.append(
          GraphNode(input, .cast(tensor.type), inputs: [input], outputs: [name]))
      }
    }
    graph.nodes.append(node)
    let names = Set(graph.parameters.map(\.description.name))
    return ModelComparison(
      graph: graph, parameters: model.parameters.filter { names.contains($0.key) }, inputs: given,
      constants: constants, given: graph.outputs.filter(isReal), node: node, source: model.source)
  }
}

extension GraphTensor {
  /// The same with every number rounded to Float32.
  fileprivate var rounded: GraphTensor {
    GraphTensor(Tensor(shape, values.map { Double(Float($0)) }), type: .float32)
  }
}

extension GraphNode {
  /// What the names of the parameters of its recurrent operators begin with, those within other graphs
  /// included.
  fileprivate var recurrentPrefixes: Set<String> {
    if case .recurrent(let recurrent) = operation { return [recurrent.prefix] }
    return operation.subgraphs.reduce(into: []) { result, graph in
      for node in graph.nodes { result.formUnion(node.recurrentPrefixes) }
    }
  }
}
