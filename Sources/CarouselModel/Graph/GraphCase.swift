/// A small graph with its inputs, by which an operator is checked: against finite differences on the
/// reference, and on a device against the reference.
package struct GraphCase: Sendable {
  /// The operator, and what is special.
  package let name: String
  package private(set) var graph: Graph
  /// What is given for a pass, and what the graph is bound to.
  package let inputs: [String: GraphTensor], constants: [String: GraphTensor]
  /// The inputs whose gradients are wanted, and the outputs whose gradients are given.
  package let wanted: [String], given: [String]
  /// Whether its finite differences would take too long.
  package let isLarge: Bool

  /// One node: real inputs get gradients, whole ones are given for the pass, or are constants of the graph.
  init(
    _ name: String, _ operation: GraphOperator, _ inputs: [GraphTensor?],
    constants: Set<Int> = [], outputs: Int = 1, given: [Int] = [0], wanted: [Int]? = nil,
    isLarge: Bool = false
  ) {
    var graph = Graph()
    var values: [String: GraphTensor] = [:]
    var names: [String?] = []
    var real: [Int] = []
    for (index, value) in inputs.enumerated() {
      guard let value else {
        names.append(nil)
        continue
      }
      let name = "x\(index)"
      names.append(name)
      if constants.contains(index) {
        graph.constants[name] = value
      } else {
        if value.type.isReal { real.append(index) }
        graph.inputs.append(
          GraphInput(name, type: value.type, value.shape.dimensions.map { .fixed($0) }))
        values[name] = value
      }
    }
    let results = (0..<outputs).map { "y\($0)" }
    graph.nodes = [GraphNode("node", operation, inputs: names, outputs: results)]
    if case .recurrent(let recurrent) = operation {
      graph.parameters = recurrent.configuration.parameterDescriptions.map {
        GraphParameter(
          ParameterDescription(recurrent.prefix + $0.name, $0.shape, $0.initializer))
      }
    }
    graph.outputs = results
    self.name = name
    self.isLarge = isLarge
    self.graph = graph
    self.inputs = values
    self.constants = [:]
    self.wanted = (wanted ?? real).map { "x\($0)" }
    self.given = given.map { "y\($0)" }
  }

  /// Two layers with the same parameters, the second of which reads what the first makes.
  static var sharedLayers: GraphCase {
    let operation = GraphOperator.recurrent(
      RecurrentOperator(
        RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 3), prefix: "stack."))
    var result = GraphCase(
      "two layers of the same parameters", operation, [draw([4, 3, 3], stream: 1)])
    result.graph.nodes = [
      GraphNode("first", operation, inputs: ["x0"], outputs: ["h"]),
      GraphNode("second", operation, inputs: ["h"], outputs: ["y0"]),
    ]
    return result
  }

  /// The gradients of the outputs, drawn.
  package func gradients(of program: GraphProgram) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for (index, name) in given.enumerated() {
      guard let output = program.outputs.first(where: { $0.name == name }) else { continue }
      result[name] = Self.draw(output.shape, stream: 50 + index).tensor
    }
    return result
  }

  /// Binds the case.
  package func pass<B: Backend>(on backend: B) throws -> GraphPass<B> {
    let model = try GraphModel(graph, backend: backend, seed: 7)
    let program = try GraphProgram(
      graph, shapes: inputs.mapValues(\.shape), constants: constants, training: true,
      gradientsOf: given, inputGradients: wanted)
    return try GraphPass(program, model, isPoisoned: true)
  }

  /// All outputs, then the gradients of the inputs and of the parameters.
  package func tensors<B: Backend>(on backend: B) throws -> [(name: String, tensor: Tensor)] {
    let pass = try pass(on: backend)
    try pass.forward(inputs, dropoutSeed: (seed: 3, step: 1))
    var result = try pass.outputs().map { (name: $0.name, tensor: $0.tensor.tensor) }
    guard !given.isEmpty else { return result }
    try pass.backward(gradients(of: pass.program))
    for name in wanted {
      if let gradient = try pass.inputGradient(name) { result.append(("grad_" + name, gradient)) }
    }
    for (name, tensor) in try pass.model.parameters.gradientTensors() {
      result.append(("grad_" + name, tensor))
    }
    return result
  }

  // MARK: Inputs

  /// Normal numbers.
  static func draw(_ shape: Shape, stream: Int, deviation: Double = 1) -> GraphTensor {
    let random = Philox(seed: 23, stream: RandomStream.input(stream))
    return GraphTensor(
      Tensor(shape, Initializer.normal(deviation).values(count: shape.count, random: random)))
  }

  /// Numbers of at least 0.5.
  static func positive(_ shape: Shape, stream: Int) -> GraphTensor {
    let values = draw(shape, stream: stream).values
    return GraphTensor(Tensor(shape, values.map { Double(Float($0.magnitude + 0.5)) }))
  }

  /// Whole numbers.
  static func whole(_ values: [Int], _ shape: Shape? = nil) -> GraphTensor {
    GraphTensor(Tensor(shape ?? [values.count], values.map(Double.init)), type: .int64)
  }
}
