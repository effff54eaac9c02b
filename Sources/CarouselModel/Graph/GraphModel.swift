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
  public func pass(
    shapes: [String: Shape], constants: [String: GraphTensor] = [:], training: Bool = false,
    gradientsOf: [String]? = nil, inputGradients: [String] = []
  ) throws -> GraphPass<B> {
    let program = try GraphProgram(
      graph, shapes: shapes, constants: constants, training: training, gradientsOf: gradientsOf,
      inputGradients: inputGradients)
    return try GraphPass(program, self)
  }
}
