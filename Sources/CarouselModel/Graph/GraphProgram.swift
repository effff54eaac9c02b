/// A graph bound to the shapes of its inputs: instructions, and the memory that they need.
///
/// Constants and shapes are folded, nodes that no output needs are gone. The same graph, shapes and
/// constants make the same program; `GraphPass` runs it on a backend.
public struct GraphProgram {
  /// The graph.
  public let graph: Graph
  /// Whether dropout drops, batch normalisation sees its batch, and a backward pass may follow.
  public let training: Bool
  /// The outputs with their types and shapes, in order.
  public let outputs: [GraphProgramOutput]
  /// How many operations a forward, and a backward pass queue.
  public var operationCounts: (forward: Int, backward: Int) { (forward.count, backward.count) }

  let storages: [ProgramStorage]
  let forward: [ProgramInstruction], backward: [ProgramInstruction]
  /// The nodes that they belong to, one for each.
  let forwardLabels: [ProgramLabel], backwardLabels: [ProgramLabel]
  /// What follows a forward pass of training: running statistics.
  let updates: [ProgramInstruction]
  let hostValues: [ProgramHostValue]
  let indexWrites: [(host: Int, index: Int, count: Int)]
  let stacks: [ProgramStack]
  let inputs: [String: ProgramInput]
  /// The shape of an input that is given for each pass.
  package func inputShape(_ name: String) -> Shape? { inputs[name]?.shape }
  /// The gradients of inputs that were asked for.
  let inputGradients: [String: Int]
  /// Where the gradients of outputs are written by the user.
  let outputGradients: [String: Int]

  /// Binds a graph.
  ///
  /// - Parameters:
  ///   - graph: what is computed.
  ///   - shapes: the shape of each input that is not in `constants`.
  ///   - constants: inputs whose values do not change from pass to pass; what decides shapes has to be
  ///     among them.
  ///   - training: whether a backward pass may follow.
  ///   - gradientsOf: the outputs whose gradients a backward pass is given; with nil the first output is a
  ///     loss, whose gradient is 1.
  ///   - inputGradients: the inputs whose gradients are wanted.
  /// - Throws: where an operator does not fit its inputs, naming the node.
  public init(
    _ graph: Graph, shapes: [String: Shape], constants: [String: GraphTensor] = [:],
    training: Bool = false, gradientsOf: [String]? = nil, inputGradients: [String] = []
  ) throws(CarouselError) {
    try graph.validate()
    let tracer = GraphTracer(graph, training: training)
    var environment: [String: Traced] = [:]
    var inputs: [String: ProgramInput] = [:]
    var symbols: [String: Int] = [:]
    for input in graph.inputs {
      if let value = constants[input.name] {
        try input.check(value.shape, symbols: &symbols)
        environment[input.name] = tracer.constant(value)
        continue
      }
      guard let shape = shapes[input.name] else {
        throw CarouselError(.missingInput, "the graph's input '\(input.name)' was given no shape")
      }
      try input.check(shape, symbols: &symbols)
      let source: Traced.Source
      if input.type.isReal {
        source = .storage(tracer.newStorage(.input(input.name), count: shape.count))
      } else {
        tracer.hostValues.append(.input(input.name))
        source = .host(tracer.hostValues.count - 1)
      }
      let traced = tracer.tensor(
        source, input.type, shape, needsGradient: inputGradients.contains(input.name))
      environment[input.name] = traced
      inputs[input.name] = ProgramInput(type: input.type, shape: shape, source: source)
    }
    for parameter in graph.parameters {
      let (name, shape) = (parameter.description.name, parameter.description.shape)
      environment[name] = tracer.tensor(
        .storage(tracer.newStorage(.parameter(name), count: shape.count)), .float32, shape,
        needsGradient: parameter.isTrained)
    }
    for (name, value) in graph.constants { environment[name] = tracer.constant(value) }
    try tracer.trace(graph.neededNodes, in: &environment, graph: graph)
    tracer.node = ""
    tracer.label = ProgramLabel(node: "", operation: "gradients")

    var results: [GraphProgramOutput] = []
    for name in graph.outputs {
      guard let traced = environment[name] else {
        throw CarouselError(.badData, "the graph's output '\(name)' is a tensor that nothing makes")
      }
      results.append(
        GraphProgramOutput(
          name: name, type: traced.type, shape: traced.shape, source: traced.source))
    }
    var outputGradients: [String: Int] = [:]
    var wanted: [String: Int] = [:]
    if training {
      try tracer.seed(graph, gradientsOf, in: environment, into: &outputGradients)
      try tracer.traceBackward()
      wanted = try tracer.finishGradients(graph, inputGradients, in: environment)
    }
    for case .storage(let index) in results.map(\.source) { tracer.keep(index) }
    for index in wanted.values { tracer.keep(index) }
    tracer.leaveOutUnreadStates()

    self.graph = graph
    self.training = training
    outputs = results
    storages = tracer.storages
    (forward, forwardLabels) = ProgramFusion.fused(
      tracer.forward, tracer.forwardLabels, beside: tracer.backward + tracer.statisticsUpdates,
      storages: tracer.storages)
    (backward, backwardLabels) = ProgramFusion.fused(
      tracer.backward, tracer.backwardLabels, beside: tracer.forward + tracer.statisticsUpdates,
      storages: tracer.storages)
    updates = tracer.statisticsUpdates
    hostValues = tracer.hostValues
    indexWrites = tracer.forwardIndexWrites
    stacks = tracer.stacks
    self.inputs = inputs
    self.inputGradients = wanted
    self.outputGradients = outputGradients
  }
}

extension GraphProgram {
  /// The stacks whose first states the graph does not give, which may be handed from pass to pass.
  var carryingStacks: [Int] {
    forward.compactMap {
      guard case .recurrentForward(let work, _) = $0, work.initial.allSatisfy({ $0 == nil }) else {
        return nil
      }
      return work.stack
    }
  }

  /// The instructions of a forward pass up to the last one of a recurrent stack: all that changes states.
  var stateInstructions: Int {
    let last = forward.lastIndex { if case .recurrentForward = $0 { true } else { false } }
    return last.map { $0 + 1 } ?? 0
  }

  /// Of each stack the trained parameters whose gradients an earlier one of the backward pass writes too.
  var sharedGradients: [[ParameterDescription]] {
    var written: Set<String> = []
    var result = [[ParameterDescription]](repeating: [], count: stacks.count)
    for stack in backward.recurrentStacks {
      let parameters = stacks[stack].parameters
      result[stack] = parameters.filter { written.contains($0.name) }
      written.formUnion(parameters.map(\.name))
    }
    return result
  }
}

extension [ProgramInstruction] {
  /// The stacks that backward passes are computed of, in order.
  fileprivate var recurrentStacks: [Int] {
    compactMap {
      if case .recurrentBackward(let work, _, _, _, _, _) = $0 { work.stack } else { nil }
    }
  }
}

extension ProgramStack {
  /// The parameters of the stack under their names in the graph.
  var parameters: [ParameterDescription] {
    operation.configuration.parameterDescriptions.map {
      ParameterDescription(operation.prefix + $0.name, $0.shape, $0.initializer)
    }
  }
}

/// An output of a bound graph.
public struct GraphProgramOutput {
  /// Its name, its type and its shape.
  public let name: String, type: GraphType, shape: Shape
  let source: Traced.Source
  /// Whether its elements were known when the graph was bound, so that no pass computes them.
  public var isKnown: Bool { if case .constant = source { true } else { false } }
}

/// An input of a bound graph that is given for each pass.
struct ProgramInput {
  let type: GraphType
  let shape: Shape
  let source: Traced.Source
}

extension Graph {
  /// The nodes whose outputs are needed, in order.
  var neededNodes: [GraphNode] {
    var needed = Set(outputs)
    var result: [GraphNode] = []
    for node in nodes.reversed()
    where node.outputs.contains(where: { $0.map(needed.contains) ?? false }) {
      result.append(node)
      needed.formUnion(node.inputs.compactMap(\.self))
      for graph in node.operation.subgraphs { needed.formUnion(graph.names) }
    }
    return result.reversed()
  }

  /// The names that its outputs depend on.
  package var neededNames: Set<String> {
    neededNodes.reduce(into: Set(outputs)) { names, node in
      names.formUnion(node.inputs.compactMap(\.self))
      for graph in node.operation.subgraphs { names.formUnion(graph.names) }
    }
  }

  /// Every name that the graph reads.
  private var names: Set<String> {
    nodes.reduce(into: Set(outputs)) { names, node in
      names.formUnion(node.inputs.compactMap(\.self))
      for graph in node.operation.subgraphs { names.formUnion(graph.names) }
    }
  }
}

extension GraphInput {
  /// Throws where a shape does not fit; `symbols` are the extents of the names so far.
  fileprivate func check(_ shape: Shape, symbols: inout [String: Int]) throws(CarouselError) {
    guard let dimensions else { return }
    var fits = dimensions.count == shape.rank
    for (dimension, extent) in zip(dimensions, shape.dimensions) {
      switch dimension {
      case .fixed(let expected): fits = fits && extent == expected
      case .symbol(let name):
        fits = fits && symbols[name, default: extent] == extent
        symbols[name] = extent
      case .unknown: break
      }
    }
    guard fits else {
      let expected = dimensions.map(\.description).joined(separator: ", ")
      throw CarouselError(
        .badData, "the input '\(name)' has the shape \(shape), expected [\(expected)]")
    }
  }
}

extension GraphTracer {
  /// Gives the outputs their gradients: 1 to a loss, memory to be written to the others.
  fileprivate func seed(
    _ graph: Graph, _ names: [String]?, in environment: [String: Traced],
    into storages: inout [String: Int]
  ) throws(CarouselError) {
    guard let names else {
      guard let name = graph.outputs.first, let loss = environment[name], loss.shape.count == 1
      else {
        throw CarouselError(
          .usage, "a graph is trained by its first output, which has to be a loss, one number")
      }
      return try addGradient(constant(GraphTensor(Tensor(loss.shape, [1]))), to: loss)
    }
    for name in names {
      guard let output = environment[name] else {
        throw CarouselError(
          .usage, "the graph has no tensor '\(name)' whose gradient could be given")
      }
      let storage = newStorage(.kept, count: output.shape.count)
      storages[name] = storage
      try addGradient(tensor(.storage(storage), .float32, output.shape), to: output)
    }
  }

  /// Leads the gradients of parameters to their store, and gives those of inputs.
  fileprivate func finishGradients(
    _ graph: Graph, _ inputs: [String], in environment: [String: Traced]
  ) throws(CarouselError) -> [String: Int] {
    let recurrent = Set(backward.recurrentStacks.flatMap { stacks[$0].parameters.map(\.name) })
    for parameter in graph.parameters where parameter.isTrained {
      let name = parameter.description.name
      guard let traced = environment[name] else { continue }
      if recurrent.contains(name) {
        guard gradient(of: traced) == nil else {
          throw CarouselError(
            .usage,
            "the parameter '\(name)' belongs to a recurrent node, and another node reads it as a tensor, "
              + "expected only one of them where gradients are wanted")
        }
        continue
      }
      let count = traced.shape.count
      if let gradient = gradient(of: traced), case .storage(let index) = gradient.source,
        case .temporary = storages[index].kind
      {
        storages[index].kind = .parameterGradient(name)
        continue
      }
      let target = newStorage(.parameterGradient(name), count: count)
      if let gradient = gradient(of: traced) {
        emit(
          .copy(
            storage(gradient), StridedView(traced.shape), to: target, StridedView(traced.shape),
            accumulates: false))
      } else {
        emit(.fill(target, count: count, with: 0))
      }
    }
    var result: [String: Int] = [:]
    for name in inputs {
      guard let traced = environment[name], let gradient = gradient(of: traced) else { continue }
      result[name] = storage(gradient)
    }
    return result
  }

  /// Has no pass copy the last states of stacks that nothing reads.
  fileprivate func leaveOutUnreadStates() {
    var read = Set<Int>()
    for instruction in forward + statisticsUpdates + backward {
      switch instruction {
      case .recurrentForward(let work, let y):
        read.formUnion([work.x, y] + work.initial.compactMap(\.self))
      case .recurrentBackward(var work, let y, let gradY, let gradFinal, let gradX, let gradInitial):
        work.final = []
        read.formUnion(
          work.storages + [y, gradY] + (gradFinal + [gradX] + gradInitial).compactMap(\.self))
      default: read.formUnion(instruction.storages)
      }
    }
    func wanted(_ work: ProgramRecurrentWork) -> ProgramRecurrentWork {
      var work = work
      work.final = work.final.map { index in
        index.flatMap { read.contains($0) || !storages[$0].isTemporary ? $0 : nil }
      }
      return work
    }
    for (index, instruction) in forward.enumerated() {
      if case .recurrentForward(let work, let y) = instruction {
        forward[index] = .recurrentForward(wanted(work), y: y)
      }
    }
    for (index, instruction) in backward.enumerated() {
      if case .recurrentBackward(
        let work, let y, let gradY, let gradFinal, let gradX, let initial) =
        instruction
      {
        backward[index] = .recurrentBackward(
          wanted(work), y: y, gradY: gradY, gradFinal: gradFinal, gradX: gradX,
          gradInitial: initial)
      }
    }
  }

  /// Has a storage outlive its pass.
  fileprivate func keep(_ index: Int) {
    if case .temporary = storages[index].kind { storages[index].kind = .kept }
  }
}
