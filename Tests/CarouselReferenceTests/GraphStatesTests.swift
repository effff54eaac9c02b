import CarouselModel
import CarouselReference
import Testing

/// States that passes of a graph hand on from one to the next.
@Suite struct GraphStatesTests {
  private let backend = ReferenceBackend(sliceAlignment: 16)

  /// Two stacks one above the other, of which the second may be given its first states.
  private func graph(_ cell: Cell, isGiven: Bool = false) -> Graph {
    var graph = Graph()
    let x = graph.input("x", ["T", "N", 3])
    let h = graph.recurrent(
      x, RecurrentConfiguration(cell: cell, inputSize: 3, hiddenSize: 4, layers: 2), name: "first")
    let y = graph.recurrent(
      h, RecurrentConfiguration(cell: cell, inputSize: 4, hiddenSize: 2), name: "second")
    if isGiven {
      let state = graph.input("h", [1, "N", 2])
      graph.nodes[1].inputs += [state]
    }
    graph.outputs = [y]
    return graph
  }

  private func x(_ steps: Range<Int>) -> GraphTensor {
    let random = Philox(seed: 4, stream: RandomStream.input(0))
    let values = (steps.lowerBound * 6..<steps.upperBound * 6).map { random.uniform($0) - 0.5 }
    return GraphTensor(Tensor([steps.count, 2, 3], values))
  }

  private func program(_ graph: Graph, _ steps: Int) throws -> GraphProgram {
    try GraphProgram(
      graph,
      shapes: ["x": [steps, 2, 3], "h": [1, 2, 2]].filter { name, _ in
        graph.inputs.contains { $0.name == name }
      })
  }

  @Test(arguments: Cell.allCases)
  func aSequenceInTwoPassesIsThatOfOne(cell: Cell) throws {
    let graph = graph(cell)
    let model = try GraphModel(graph, backend: backend, seed: 3)
    let whole = try GraphPass(program(graph, 7), model)
    try whole.forward(["x": x(0..<7)])
    let states = try GraphStates(program(graph, 5), backend: backend)
    let first = try GraphPass(program(graph, 5), model, states: states)
    let second = try GraphPass(program(graph, 2), model, states: states)
    for _ in 0..<2 {
      try first.forward(["x": x(0..<5)])
      try second.forward(["x": x(5..<7)])
      #expect(
        try first.output("second").values + second.output("second").values
          == whole.output("second").values)
      try states.reset()
    }
    #expect(states.all.count == 3)
  }

  @Test func statesThatTheGraphGivesAreNotHandedOn() throws {
    let graph = graph(.gru, isGiven: true)
    let model = try GraphModel(graph, backend: backend, seed: 3)
    let program = try program(graph, 2)
    let states = try GraphStates(program, backend: backend)
    #expect(states.stacks.map(\.count) == [2])
    let pass = try GraphPass(program, model, states: states)
    let given = GraphTensor(Tensor([1, 2, 2], [0.1, 0.2, 0.3, 0.4]))
    try pass.forward(["x": x(0..<2), "h": given])
    let first = try pass.output("second")
    try states.reset()
    try pass.forward()
    #expect(try pass.output("second") == first)
    try pass.forward()
    #expect(try pass.output("second") != first)
  }

  @Test func statesOfOtherSizesAreRefused() throws {
    let model = try GraphModel(graph(.lstm), backend: backend, seed: 3)
    let others = try GraphStates(
      GraphProgram(model.graph, shapes: ["x": [2, 1, 3]]), backend: backend)
    #expect(throws: CarouselError.self) {
      try GraphPass(program(model.graph, 2), model, states: others)
    }
    let another = try GraphStates(program(graph(.gru, isGiven: true), 2), backend: backend)
    #expect(throws: CarouselError.self) {
      try GraphPass(program(model.graph, 2), model, states: another)
    }
  }

  /// The gradient of what a first pass reads, through the states that a second begins with.
  @Test(arguments: Cell.allCases)
  func gradientsGoBackThroughStates(cell: Cell) throws {
    let graph = graph(cell)
    let model = try GraphModel(graph, backend: backend, seed: 3)
    func pass(_ steps: Int, _ states: GraphStates<ReferenceBackend>?) throws
      -> GraphPass<ReferenceBackend>
    {
      let program = try GraphProgram(
        graph, shapes: ["x": [steps, 2, 3]], training: true, gradientsOf: ["second"],
        inputGradients: ["x"])
      return try GraphPass(
        program, model, states: try states ?? GraphStates(program, backend: backend))
    }
    func ones(_ steps: Int) -> [String: Tensor] {
      ["second": Tensor([steps, 2, 2], [Double](repeating: 1, count: steps * 4))]
    }
    let whole = try pass(5, nil)
    try whole.forward(["x": x(0..<5)])
    try whole.backward(ones(5))
    let expected = try #require(try whole.inputGradient("x")).values

    let first = try pass(3, nil)
    let second = try pass(2, first.states)
    let handed = try GraphStates(first.program, backend: backend)
    try first.forward(["x": x(0..<3)])
    try second.forward(["x": x(3..<5)])
    try second.backward(ones(2), gradFinal: nil, gradInitial: handed)
    try first.backward(ones(3), gradFinal: handed, gradInitial: nil)
    let found =
      try #require(try first.inputGradient("x")).values
      + #require(try second.inputGradient("x")).values
    for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-14) }
  }

  /// What ranks exchange while the layers below are computed.
  @Test func gradientsAreFinalFromTheLastParameterToTheFirst() throws {
    var graph = Graph()
    let tokens = graph.input("x", type: .int64, ["T", "N"])
    let x = graph.embedding(tokens, vocabularySize: 5, width: 3, name: "embedding")
    let h = graph.recurrent(
      x, RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 4, layers: 2), name: "stack")
    let y = graph.linear(h, inputSize: 4, outputSize: 5, name: "y")
    _ = graph.train(
      .crossEntropy(smoothing: 0), y, graph.input("targets", type: .int64, ["T", "N"]))
    let model = try GraphModel(graph, backend: backend, seed: 3)
    let pass = try model.pass(shapes: ["x": [2, 1], "targets": [2, 1]], training: true)
    var heard: [Int] = []
    pass.gradientIsFinal = { heard.append($0) }
    let whole = GraphTensor(Tensor([2, 1], [1, 3]), type: .int64)
    for _ in 0..<2 {
      heard = []
      try pass.forward(["x": whole, "targets": whole])
      try pass.backward()
      let names = ["y.weight", "stack.weight_ih_l1", "stack.weight_ih_l0", "embedding.weight"]
      #expect(heard == (try names.map { try model.parameters.offset($0) }))
    }
  }

  @Test func aSharedGradientIsFinalOnceAllHaveWritten() throws {
    let operation = GraphOperator.recurrent(
      RecurrentOperator(
        RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 3), prefix: "a."))
    var graph = Graph()
    let x = graph.input("x", ["T", "N", 3])
    let y = graph.recurrent(
      x, RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 3), name: "a")
    let z = graph.add(operation, y, name: "again")
    _ = graph.train(.regression(.squared), z, graph.input("targets", ["T", "N", 3]))
    let model = try GraphModel(graph, backend: backend, seed: 3)
    let pass = try model.pass(
      shapes: ["x": [2, 1, 3], "targets": [2, 1, 3]], training: true)
    var heard: [(offset: Int, gradients: [Tensor])] = []
    pass.gradientIsFinal = {
      heard.append(($0, try model.parameters.gradientTensors().map(\.tensor)))
    }
    let values = GraphTensor(Tensor([2, 1, 3], [1, 3, 2, 0.5, 0, -1]))
    try pass.forward(["x": values, "targets": values])
    try pass.backward()
    #expect(heard.map(\.offset) == [0])
    #expect(heard.first?.gradients == (try model.parameters.gradientTensors().map(\.tensor)))
  }
}
