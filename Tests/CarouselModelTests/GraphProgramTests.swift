import Foundation
import Testing

@testable import CarouselModel

/// What binding a graph makes of it, without any backend.
@Suite struct GraphProgramTests {
  /// The shape arithmetic of an exporter: x `[N, T, C]` → `[N·T, C]`, by its own shape.
  private var shapes: Graph {
    var graph = Graph()
    let x = graph.input("x", ["N", "T", 4])
    let extents = graph.add(.shape(start: 0, end: nil), x)
    let first = graph.add(.gather(axis: 0), extents, graph.constant(GraphTensor(wholeNumbers: [0])))
    let second = graph.add(
      .gather(axis: 0), extents, graph.constant(GraphTensor(wholeNumbers: [1])))
    let rows = graph.add(.binary(.multiply), first, second)
    let rest = graph.constant(GraphTensor(wholeNumbers: [-1]))
    let shape = graph.add(.concatenate(axis: 0), rows, rest)
    let flat = graph.add(.reshape(allowsZero: false), x, shape)
    graph.outputs = [graph.add(.unary(.tanh), flat, name: "y"), shape]
    return graph
  }

  @Test func shapeArithmeticIsGoneOnceShapesAreKnown() throws {
    let program = try GraphProgram(shapes, shapes: ["x": [3, 5, 4]])
    #expect(program.outputs.map(\.shape) == [[15, 4], [2]])
    #expect(program.operationCounts == (1, 0))
  }

  @Test func aSymbolStandsForOneExtent() {
    var graph = shapes
    _ = graph.input("other", ["T"])
    let error = #expect(throws: CarouselError.self) {
      try GraphProgram(graph, shapes: ["x": [3, 5, 4], "other": [6]])
    }
    #expect(error?.message == "the input 'other' has the shape [6], expected [T]")
  }

  @Test func aMistakeNamesItsNode() {
    var graph = Graph()
    let a = graph.input("a", [2, 3])
    let b = graph.input("b", [2, 3])
    graph.outputs = [graph.add(.matMul, a, b, name: "product")]
    let error = #expect(throws: CarouselError.self) {
      try GraphProgram(graph, shapes: ["a": [2, 3], "b": [2, 3]])
    }
    #expect(
      error?.message
        == "the node 'product' (matMul): matrices of the shapes [2, 3] and [2, 3] cannot be multiplied"
    )
    #expect(error?.kind == .badData)
  }

  @Test func aBranchIsTakenWhereItsConditionIsKnown() throws {
    func side(_ function: UnaryFunction, _ name: String) -> Graph {
      var graph = Graph()
      graph.outputs = [graph.add(.unary(function), "x", name: name)]
      return graph
    }
    var graph = Graph()
    let x = graph.input("x", ["N"])
    let rate = graph.input("rate", type: .int64, [])
    let wanted = graph.constant(GraphTensor(scalar: 16000, type: .int64))
    let condition = graph.add(.binary(.equal), rate, wanted)
    graph.outputs = [
      graph.add(
        .branch(then: side(.tanh, "a"), else: side(.relu, "b")), condition, name: "y")
    ]
    _ = x
    let known = try GraphProgram(
      graph, shapes: ["x": [4]], constants: ["rate": GraphTensor(scalar: 16000, type: .int64)])
    #expect(known.operationCounts.forward == 1)
    // Both, and the choice, joined.
    let open = try GraphProgram(graph, shapes: ["x": [4], "rate": []])
    #expect(open.operationCounts.forward == 1)
  }

  @Test func aLoopIsItsSteps() throws {
    var body = Graph()
    _ = body.input("step", type: .int64, [])
    let condition = body.input("goes on", type: .bool, [])
    let sum = body.input("sum", ["N"])
    let next = body.add(.binary(.add), sum, "x", name: "next")
    body.outputs = [condition, next, next]
    var graph = Graph()
    _ = graph.input("x", [3])
    let limit = graph.constant(GraphTensor(scalar: 4, type: .int64))
    graph.nodes.append(
      GraphNode("loop", .loop(body), inputs: [limit, nil, "x"], outputs: ["last", "all"]))
    graph.outputs = ["last", "all"]
    let program = try GraphProgram(graph, shapes: ["x": [3]])
    #expect(program.outputs.map(\.shape) == [[3], [4, 3]])
    #expect(program.operationCounts.forward == 8)
  }

  @Test func aPoolOverSequencesOfOneLengthNeedsNoMask() throws {
    func operations(_ pooling: TimePooling, hasLengths: Bool, training: Bool) throws -> (Int, Int) {
      var graph = Graph()
      let x = graph.input("x", ["T", "N", 3])
      let lengths = hasLengths ? graph.input("lengths", type: .int32, ["N"]) : nil
      graph.outputs = [graph.add(.timePool(pooling), x, lengths, name: "y")]
      let program = try GraphProgram(
        graph, shapes: ["x": [5, 2, 3], "lengths": [2]], training: training,
        gradientsOf: ["y"], inputGradients: ["x"])
      return program.operationCounts
    }
    // The last step is copied, or read in its place; of its gradient the other steps are zeros.
    #expect(try operations(.last, hasLengths: false, training: true) == (1, 2))
    // The shares of steps, and the sum.
    #expect(try operations(.mean, hasLengths: false, training: true) == (2, 1))
    #expect(try operations(.mean, hasLengths: true, training: true) == (2, 1))
  }

  @Test func whatDecidesAShapeHasToBeKnown() {
    var graph = Graph()
    let x = graph.input("x", [6])
    let shape = graph.input("shape", type: .int64, [2])
    graph.outputs = [graph.add(.reshape(allowsZero: false), x, shape, name: "y")]
    let error = #expect(throws: CarouselError.self) {
      try GraphProgram(graph, shapes: ["x": [6], "shape": [2]])
    }
    #expect(error?.message.contains("has to be known when the graph is bound") == true)
  }

  /// y = elu(x·w + b)·sigmoid(x), with broadcasting.
  private var chain: Graph {
    var graph = Graph()
    let x = graph.input("x", [3, 3, 17])
    let w = graph.input("w", [17])
    let b = graph.input("b", [3, 1])
    let product = graph.add(.binary(.multiply), x, w)
    let sum = graph.add(.binary(.add), product, b, name: "sum")
    let gate = graph.add(.unary(.sigmoid), x)
    graph.outputs = [
      graph.add(.binary(.multiply), graph.add(.unary(.elu(alpha: 0.5)), sum), gate, name: "y")
    ]
    return graph
  }
  private let chainShapes: [String: Shape] = ["x": [3, 3, 17], "w": [17], "b": [3, 1]]

  @Test func functionsOfEachOthersResultsAreOneOperation() throws {
    let program = try GraphProgram(chain, shapes: chainShapes)
    #expect(program.operationCounts.forward == 1)
    guard case .elementwise(.chain(let steps), let inputs, _, [3, 3, 17]) = program.forward[0]
    else {
      Issue.record("expected a chain, found \(program.forward[0])")
      return
    }
    #expect((steps.steps.count, inputs.count) == (5, 3))
    let (x, w, b) = (0.3, -1.5, 0.2)
    let values = inputs.map { [x, w, b][$0.0] }
    let z = x * w + b
    let expected = 0.5 * (exp(z) - 1) / (1 + exp(-x))
    #expect(abs(steps.value(values) - expected) < 1e-12)
  }

  @Test func whatElseIsReadIsNotJoined() throws {
    var graph = chain
    graph.outputs.append("sum")
    #expect(try GraphProgram(graph, shapes: chainShapes).operationCounts.forward == 2)
    // The backward pass reads what the functions were applied to.
    let training = try GraphProgram(
      chain, shapes: chainShapes, training: true, gradientsOf: ["y"], inputGradients: ["x"])
    #expect(training.operationCounts.forward > 2)
  }

  /// x + 0, 1·x, x − 0 and x/1 are x; 0 − x, 1/x, what is broadcast and what is trained are computed.
  @Test func whatChangesNothingIsLeftOut() throws {
    func operations(
      _ function: BinaryFunction, _ values: [Double], _ shape: Shape = [1], isFirst: Bool = false,
      x extents: Shape = [2, 3]
    ) throws -> Int {
      var graph = Graph()
      let x = graph.input("x", [.fixed(extents[0]), .fixed(extents[1])])
      let y = graph.constant(GraphTensor(Tensor(shape, values)))
      let result = graph.add(.binary(function), isFirst ? y : x, isFirst ? x : y)
      graph.outputs = [graph.add(.unary(.exponential), result, name: "y")]
      // A pass that keeps nothing would join the two.
      let program = try GraphProgram(
        graph, shapes: ["x": extents], training: true, gradientsOf: ["y"], inputGradients: ["x"])
      return program.operationCounts.forward
    }
    #expect(try operations(.add, [0]) == 1 && operations(.add, [0], isFirst: true) == 1)
    #expect(try operations(.multiply, [1, 1, 1], [3], isFirst: true) == 1)
    #expect(try operations(.subtract, [0]) == 1 && operations(.divide, [1]) == 1)
    #expect(try operations(.subtract, [0], isFirst: true) == 2)
    #expect(try operations(.divide, [1], isFirst: true) == 2)
    #expect(try operations(.add, [0, 1, 0], [3]) == 2)
    #expect(try operations(.multiply, [1, 1, 1], [3], x: [2, 1]) == 2)
  }
}
