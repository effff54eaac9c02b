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
