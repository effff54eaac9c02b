/// A network as a graph of operators whose tensors have names.
///
/// A graph is a description without memory: `GraphProgram` binds it to the shapes of its inputs, `GraphPass`
/// computes with it on a backend. Nodes stand in an order in which they can be computed; a tensor
/// is an input, a parameter, a constant or an output of one node.
public struct Graph: Hashable, Sendable {
  /// What is given for each pass, in order.
  public var inputs: [GraphInput] = []
  /// What is trained, or was, by name; the values are a `ParameterStore`'s.
  public var parameters: [GraphParameter] = []
  /// What never changes, by name.
  public var constants: [String: GraphTensor] = [:]
  /// The operators, each behind those whose outputs it reads.
  public var nodes: [GraphNode] = []
  /// The tensors that a pass gives back, by name.
  public var outputs: [String] = []

  /// Makes a graph without nodes.
  public init() {}

  /// The parameters that training changes.
  public var trainedParameters: [ParameterDescription] {
    parameters.filter(\.isTrained).map(\.description)
  }

  /// The parameters that training leaves alone, the running statistics of batch normalisation among them.
  public var fixedParameters: [ParameterDescription] {
    parameters.filter { !$0.isTrained }.map(\.description)
  }

  /// The parameter of this name.
  public func parameter(_ name: String) -> GraphParameter? {
    parameters.first { $0.description.name == name }
  }

  /// Throws where a name stands for two tensors, or a node or an output reads one that nothing before it
  /// makes; `outer` are the names that a subgraph sees.
  public func validate(outer: Set<String> = []) throws(CarouselError) {
    var known = outer
    var own: Set<String> = []
    func define(_ name: String, _ what: String) throws(CarouselError) {
      guard own.insert(name).inserted else {
        throw CarouselError(.badData, "two tensors of the graph are named '\(name)', one \(what)")
      }
      known.insert(name)
    }
    for input in inputs { try define(input.name, "an input") }
    for parameter in parameters { try define(parameter.description.name, "a parameter") }
    for name in constants.keys.sorted() { try define(name, "a constant") }
    for node in nodes {
      for case let input? in node.inputs where !known.contains(input) {
        throw CarouselError(
          .badData,
          "the node '\(node.name)' (\(node.operation.name)) reads '\(input)', which nothing before it "
            + "makes")
      }
      for graph in node.operation.subgraphs { try graph.validate(outer: known) }
      for case let output? in node.outputs {
        try define(output, "an output of the node '\(node.name)'")
      }
    }
    for output in outputs where !known.contains(output) {
      throw CarouselError(.badData, "the graph's output '\(output)' is a tensor that nothing makes")
    }
  }
}

/// What a graph is given for each pass.
public struct GraphInput: Hashable, Sendable {
  /// The tensor's name.
  public var name: String
  /// What its elements are.
  public var type: GraphType
  /// Its extents as far as they are known; nil where not even their number is.
  public var dimensions: [Dimension]?

  /// Describes an input.
  public init(_ name: String, type: GraphType = .float32, _ dimensions: [Dimension]?) {
    self.name = name
    self.type = type
    self.dimensions = dimensions
  }
}

/// A tensor of floating-point numbers that a graph keeps from pass to pass.
public struct GraphParameter: Hashable, Sendable {
  /// Its name, its shape and how it begins.
  public var description: ParameterDescription
  /// Whether training changes it.
  public var isTrained: Bool

  /// Describes a parameter.
  public init(_ description: ParameterDescription, isTrained: Bool = true) {
    self.description = description
    self.isTrained = isTrained
  }
}

/// One use of an operator.
public struct GraphNode: Hashable, Sendable {
  /// A name for messages and for files; need not be unique.
  public var name: String
  /// What is computed.
  public var operation: GraphOperator
  /// The tensors that are read, in the operator's order; nil where an optional one is absent.
  public var inputs: [String?]
  /// The tensors that are made, in the operator's order; nil, or missing at the end, where nobody reads
  /// one.
  public var outputs: [String?]

  /// Makes a node.
  public init(
    _ name: String, _ operation: GraphOperator, inputs: [String?], outputs: [String?]
  ) {
    self.name = name
    self.operation = operation
    self.inputs = inputs
    self.outputs = outputs
  }
}

extension GraphTensor: Hashable {
  /// Hashes the type and the shape: values are many.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(type)
    hasher.combine(shape)
  }
}

// Graphs written in Swift: each function adds a node and gives the name of its result.
extension Graph {
  /// Adds an input.
  public mutating func input(
    _ name: String, type: GraphType = .float32, _ dimensions: [Dimension]
  ) -> String {
    inputs.append(GraphInput(name, type: type, dimensions))
    return name
  }

  /// Adds a node with one result, which is named like the node, or after its operator.
  public mutating func add(
    _ operation: GraphOperator, _ inputs: String?..., name: String? = nil
  ) -> String {
    let name = name ?? freshName(operation.name)
    nodes.append(GraphNode(name, operation, inputs: inputs, outputs: [name]))
    return name
  }

  /// Adds a constant.
  public mutating func constant(_ value: GraphTensor, name: String? = nil) -> String {
    let name = name ?? freshName("constant")
    constants[name] = value
    return name
  }

  /// Adds a parameter.
  public mutating func parameter(
    _ name: String, _ shape: Shape, _ initializer: Initializer, isTrained: Bool = true
  ) -> String {
    parameters.append(
      GraphParameter(ParameterDescription(name, shape, initializer), isTrained: isTrained))
    return name
  }

  /// `x·weightᵀ + bias` with parameters `name.weight [O, K]` and `name.bias [O]`, as PyTorch begins them.
  public mutating func linear(
    _ x: String, inputSize: Int, outputSize: Int, name: String
  ) -> String {
    let bound = 1 / Double(max(inputSize, 1)).squareRoot()
    let weight = parameter(name + ".weight", [outputSize, inputSize], .uniform(bound))
    let bias = parameter(name + ".bias", [outputSize], .uniform(bound))
    return add(.linear, x, weight, bias, name: name)
  }

  /// The rows of `name.weight [V, E]` that tokens choose.
  public mutating func embedding(
    _ tokens: String, vocabularySize: Int, width: Int, name: String
  ) -> String {
    let weight = parameter(name + ".weight", [vocabularySize, width], .normal(1))
    return add(.embedding, weight, tokens, name: name)
  }

  /// A stack of recurrent layers over x `[T, N, C]`, whose parameters are named `name.weight_ih_l0`, … The
  /// result is y `[T, N, D·P]`.
  public mutating func recurrent(
    _ x: String, lengths: String? = nil, _ configuration: RecurrentConfiguration, name: String
  ) -> String {
    for description in configuration.parameterDescriptions {
      _ = parameter(name + "." + description.name, description.shape, description.initializer)
    }
    return add(
      .recurrent(RecurrentOperator(configuration, prefix: name + ".")), x, lengths, name: name)
  }

  /// Makes the loss the first output, which is what trains the graph.
  public mutating func train(
    _ loss: GraphLoss, _ predictions: String, _ targets: String, _ others: String?...
  ) -> String {
    let name = freshName("loss")
    nodes.append(
      GraphNode(
        name, .loss(loss), inputs: [predictions, targets] + others, outputs: [name]))
    outputs.insert(name, at: 0)
    return name
  }

  /// The graph with other outputs, tensors of any of its nodes, and the nodes and inputs that these need.
  public func selecting(outputs: [String]) -> Graph {
    var result = self
    result.outputs = outputs
    result.nodes = result.neededNodes
    let needed = result.neededNames
    result.inputs = inputs.filter { needed.contains($0.name) }
    return result
  }

  private func freshName(_ base: String) -> String {
    "\(base.replacing(" ", with: "_"))_\(nodes.count + constants.count)"
  }
}
