/// A graph with its parameters in a backend's memory.
///
/// The trained parameters lie in one store, so that an optimizer's step is one operation; the fixed ones,
/// the running statistics of batch normalisation among them, in another.
public final class GraphModel<B: Backend> {
  /// What is computed.
  public let graph: Graph
  /// The parameters that training changes, with their gradients.
  public let parameters: ParameterStore<B>
  /// The others.
  public let fixedParameters: ParameterStore<B>
  /// What computes.
  public var backend: B { parameters.backend }

  /// Allocates the parameters of a graph; `seed` draws them, nil leaves them 0, to be loaded.
  public init(_ graph: Graph, backend: B, seed: UInt64? = nil) throws {
    try graph.validate()
    self.graph = graph
    parameters = try ParameterStore(graph.trainedParameters, backend: backend, seed: seed)
    fixedParameters = try ParameterStore(graph.fixedParameters, backend: backend, seed: seed)
  }

  /// Overwrites every parameter; `source` names where they come from, for errors.
  ///
  /// Throws where one is missing, of another shape or not finite.
  public func load(_ tensors: [String: Tensor], source: String) throws {
    try parameters.load(tensors, source: source)
    try fixedParameters.load(tensors, source: source)
  }

  /// Reads every parameter back, in the graph's order.
  public func tensors() throws -> [(name: String, tensor: Tensor)] {
    let all = try parameters.tensors() + fixedParameters.tensors()
    let byName = Dictionary(
      all.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    return graph.parameters.compactMap { parameter in
      byName[parameter.description.name].map { (parameter.description.name, $0) }
    }
  }

  /// The store that has a parameter.
  func store(of name: String) -> ParameterStore<B> {
    graph.parameter(name)?.isTrained == true ? parameters : fixedParameters
  }

  /// Binds the graph to shapes and makes its memory; see `GraphProgram` for the arguments.
  ///
  /// `outputs` are computed in place of the graph's own, and inputs that they do not need have no shape to be
  /// given.
  public func pass(
    outputs: [String]? = nil, shapes: [String: Shape], constants: [String: GraphTensor] = [:],
    training: Bool = false, gradientsOf: [String]? = nil, inputGradients: [String] = []
  ) throws -> GraphPass<B> {
    let program = try GraphProgram(
      outputs.map { graph.selecting(outputs: $0) } ?? graph, shapes: shapes, constants: constants,
      training: training, gradientsOf: gradientsOf, inputGradients: inputGradients)
    return try GraphPass(program, self)
  }

  /// Tensors of the graph by their names, computed once from the inputs that they need; others are left aside.
  ///
  /// Binds the graph anew: where this is asked for often, `pass` once and `forward` each time is faster. Throws
  /// as both do.
  public func compute(
    _ outputs: [String], _ inputs: [String: GraphTensor]
  ) throws -> [String: GraphTensor] {
    let known = Set(graph.selecting(outputs: outputs).inputs.map(\.name))
    let needed = inputs.filter { known.contains($0.key) }
    let pass = try pass(
      outputs: outputs, shapes: needed.mapValues(\.shape),
      constants: needed.filter { !$0.value.type.isReal })
    try pass.forward(needed.filter { $0.value.type.isReal })
    return Dictionary(
      try pass.outputs().map { ($0.name, $0.tensor) }, uniquingKeysWith: { one, _ in one })
  }
}
