import CarouselModel
import CarouselOpenCL
import CarouselReference
import Foundation
import Testing

/// Every operator of a graph on the device, in both forms of the kernels, against the reference.
@MainActor @Suite(.device)
struct GraphDeviceTests {
  @Test(arguments: GraphCase.all.indices)
  func everyOperatorAgrees(index: Int) throws {
    let item = GraphCase.all[index]
    let expected = try item.tensors(on: ReferenceBackend())
    for form in KernelForm.both {
      let actual = try item.tensors(on: Machine.backend(form))
      try #require(actual.map(\.name) == expected.map(\.name))
      for (a, r) in zip(actual, expected) {
        let error = nrms(a.tensor.values, r.tensor.values)
        #expect(error <= 80 * 0x1p-23, "\(form) \(item.name) \(a.name): nrms \(error)")
      }
    }
  }

  @Test func aPassMayBeRepeatedToTheBit() throws {
    for item in GraphCase.all.filter({ $0.name.hasPrefix("convolution") }) {
      let backend = try Machine.backend(.cpu)
      #expect(
        try item.tensors(on: backend).map(\.tensor) == item.tensors(on: backend).map(\.tensor))
    }
  }

  /// Gradients of a stack over sequences of which none is shorter than T.
  @Test(arguments: KernelForm.both)
  func lengthsThatAreAllThoseOfThePassGiveTheSameBitsAsNone(form: KernelForm) throws {
    let (T, N, configuration) = (
      21, 5, RecurrentConfiguration(inputSize: 3, hiddenSize: 33, direction: .bidirectional)
    )
    func gradients(_ lengths: [Int]?) throws -> [Tensor] {
      var graph = Graph()
      let x = graph.input("x", ["T", "N", 3])
      let steps = lengths.map { _ in graph.input("lengths", type: .int32, ["N"]) }
      graph.outputs = [graph.recurrent(x, lengths: steps, configuration, name: "y")]
      let values = (1...T * N * 3).map { sin(Double($0)) }
      var inputs = ["x": GraphTensor(Tensor([T, N, 3], values))]
      inputs["lengths"] = lengths.map { GraphTensor(wholeNumbers: $0, type: .int32) }
      let program = try GraphProgram(
        graph, shapes: inputs.mapValues(\.shape), training: true, gradientsOf: ["y"])
      let pass = try GraphPass(program, GraphModel(graph, backend: Machine.backend(form), seed: 3))
      try pass.forward(inputs)
      try pass.backward(["y": Tensor([T, N, 66], (1...T * N * 66).map { cos(Double($0)) })])
      return try pass.model.parameters.gradientTensors().map(\.tensor)
    }
    let all = [Int](repeating: T, count: N)
    #expect(try gradients(all) == gradients(nil))
    #expect(try gradients(all.dropLast() + [T - 1]) != gradients(nil))
  }

  /// y = elu(x·w + b)·sigmoid(x) and what only views tell apart, in passes that keep nothing.
  @Test(arguments: KernelForm.both)
  func aChainOfFunctionsAgrees(form: KernelForm) throws {
    var graph = Graph()
    let x = graph.input("x", [3, 3, 17])
    let w = graph.input("w", [17])
    let b = graph.input("b", [3, 1])
    let sum = graph.add(.binary(.add), graph.add(.binary(.multiply), x, w), b)
    let gate = graph.add(.unary(.sigmoid), x)
    let y = graph.add(.binary(.multiply), graph.add(.unary(.elu(alpha: 0.5)), sum), gate)
    let flat = graph.constant(GraphTensor(wholeNumbers: [-1]))
    graph.outputs = [
      graph.add(.unary(.softplus), graph.add(.reshape(allowsZero: false), y, flat), name: "y")
    ]
    let inputs = [("x", [3, 3, 17] as Shape, 1.7), ("w", [17], 0.9), ("b", [3, 1], 2.3)].map {
      name, shape, step in
      (name, GraphTensor(Tensor(shape, (1...shape.count).map { 2 * sin(step * Double($0)) })))
    }.reduce(into: [:]) { $0[$1.0] = $1.1 }
    let program = try GraphProgram(graph, shapes: inputs.mapValues(\.shape))
    #expect(program.operationCounts.forward == 2)
    func outputs<B: Backend>(_ backend: B) throws -> [Double] {
      let pass = try GraphPass(program, GraphModel(graph, backend: backend), isPoisoned: true)
      try pass.forward(inputs)
      return try pass.output("y").values
    }
    let (actual, expected) = (
      try outputs(Machine.backend(form)), try outputs(ReferenceBackend())
    )
    #expect(nrms(actual, expected) <= 8 * 0x1p-23)
  }

  /// y = silu(pad(x) * w + b) + z is one operation; a training pass keeps its parts.
  @Test(arguments: KernelForm.both)
  func aConvolutionDoesWhatStandsAroundIt(form: KernelForm) throws {
    var graph = Graph()
    let x = graph.input("x", [1, 3, 9, 21])
    let weight = graph.input("weight", [5, 3, 3, 3])
    let bias = graph.input("bias", [5])
    let z = graph.input("z", [1, 5, 9, 21])
    let pads = graph.constant(GraphTensor(wholeNumbers: [0, 0, 2, 1, 0, 0, 0, 1]))
    let sum = graph.add(
      .convolution(.init()), graph.add(.pad(.constant), x, pads), weight, bias)
    let silu = graph.add(.binary(.multiply), sum, graph.add(.unary(.sigmoid), sum))
    graph.outputs = [graph.add(.binary(.add), z, silu, name: "y")]
    let shapes: [String: Shape] = [
      "x": [1, 3, 9, 21], "weight": [5, 3, 3, 3], "bias": [5], "z": [1, 5, 9, 21],
    ]
    #expect(try GraphProgram(graph, shapes: shapes).operationCounts.forward == 1)
    try expectSameWhetherKept(graph, shapes, form)
  }

  /// What a pass recorded is queued again with other inputs, and described anew with other weights.
  @Test(arguments: KernelForm.both)
  func aRepeatedPassReadsWhatChanged(form: KernelForm) throws {
    let layer = RecurrentOperator(
      RecurrentConfiguration(cell: .lstm, inputSize: 96, hiddenSize: 128), prefix: "lstm.")
    var graph = Graph()
    let x = graph.input("x", [1, 40, 9])
    let state = graph.input("state", [2, 1, 1, 128])
    let weight = graph.parameter("weight", [96, 40, 9], .normal(0.1))
    let states = (0..<2).map { index in
      graph.add(
        .gather(axis: 0), state, graph.constant(GraphTensor(scalar: Double(index), type: .int64)))
    }
    let windows = graph.add(.convolution(.init()), x, weight)
    let shape = graph.constant(GraphTensor(wholeNumbers: [1, 1, 96]))
    let steps = graph.add(.reshape(allowsZero: false), windows, shape)
    graph.parameters += layer.configuration.parameterDescriptions.map {
      GraphParameter(ParameterDescription(layer.prefix + $0.name, $0.shape, $0.initializer))
    }
    graph.nodes.append(
      GraphNode(
        "lstm", .recurrent(layer), inputs: [steps, nil, states[0], states[1]],
        outputs: ["y", "h", "c"]))
    graph.outputs = [graph.add(.concatenate(axis: 0), "h", "c", name: "next")]
    func outputs<B: Backend>(_ backend: B) throws -> [[Double]] {
      let model = try GraphModel(graph, backend: backend, seed: 3)
      let pass = try model.pass(shapes: ["x": [1, 40, 9], "state": [2, 1, 1, 128]])
      return try (0..<8).map { turn in
        if turn == 5 {
          let other = try GraphModel(graph, backend: backend, seed: 4).tensors()
          try model.load(
            Dictionary(uniqueKeysWithValues: other.map { ($0.name, $0.tensor) }), source: "other")
        }
        try pass.forward([
          "x": GraphTensor(
            Tensor([1, 40, 9], (0..<360).map { sin(Double($0 * (turn + 1))) })),
          "state": GraphTensor(
            Tensor([2, 1, 1, 128], (0..<256).map { cos(Double($0 * (turn + 1))) })),
        ])
        return try pass.output("next").values
      }
    }
    let expected = try outputs(ReferenceBackend())
    for (turn, (actual, expected)) in zip(try outputs(Machine.backend(form)), expected).enumerated()
    {
      #expect(nrms(actual, expected) <= 64 * 0x1p-23, "\(turn)")
    }
  }

  @Test(arguments: KernelForm.both)
  func everyOrderOfAxesIsCopied(form: KernelForm) throws {
    let shape: Shape = [3, 37, 40]
    let values = (0..<shape.count).map(Double.init)
    for order in [[0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0], [1, 0, 2]] {
      var graph = Graph()
      let x = graph.input("x", shape.dimensions.map { .fixed($0) })
      graph.outputs = [graph.add(.transpose(order), x, name: "y")]
      func output<B: Backend>(_ backend: B) throws -> [Double] {
        let program = try GraphProgram(graph, shapes: ["x": shape])
        let pass = try GraphPass(program, GraphModel(graph, backend: backend), isPoisoned: true)
        try pass.forward(["x": GraphTensor(Tensor(shape, values))])
        return try pass.output("y").values
      }
      let strides = [37 * 40, 40, 1]
      let view = StridedView(
        extents: order.map { shape[$0] }, strides: order.map { strides[$0] })
      #expect(try output(Machine.backend(form)) == view.places.map { values[$0] }, "\(order)")
    }
  }

  /// Of several images, where the windows are rows of one product, and of sums of 60 and 190 elements.
  @Test(arguments: KernelForm.both)
  func aConvolutionIsTheSameWhetherAPassKeepsAnythingOrNot(form: KernelForm) throws {
    let cases: [(x: Shape, weight: Shape, convolution: Convolution)] = [
      (
        [16, 20, 11], [33, 20, 3], .init(strides: [2], padding: .explicit(before: [1], after: [1]))
      ),
      ([40, 20, 5], [40, 20, 5], .init()),
      (
        [5, 19, 6, 7], [17, 19, 5, 2],
        .init(
          strides: [1, 2], dilations: [1, 3], padding: .explicit(before: [2, 0], after: [1, 3]))
      ),
    ]
    for (shape, weightShape, convolution) in cases {
      var graph = Graph()
      let x = graph.input("x", shape.dimensions.map { .fixed($0) })
      let weight = graph.input("weight", weightShape.dimensions.map { .fixed($0) })
      let bias = graph.input("bias", [.fixed(weightShape[0])])
      let y = graph.add(.convolution(convolution), x, weight, bias)
      graph.outputs = [graph.add(.unary(.relu), y, name: "y")]
      let shapes: [String: Shape] = ["x": shape, "weight": weightShape, "bias": [weightShape[0]]]
      try expectSameWhetherKept(graph, shapes, form)
    }
  }

  /// Expects that y of x and of a convolution's weights is the same whether a pass keeps what a backward one needs
  /// or not, on the reference and on the device.
  private func expectSameWhetherKept(
    _ graph: Graph, _ shapes: [String: Shape], _ form: KernelForm
  ) throws {
    let inputs = shapes.mapValues { shape in
      GraphTensor(Tensor(shape, (1...shape.count).map { sin(Double($0 * $0 % 7919)) }))
    }
    func output<B: Backend>(_ backend: B, training: Bool) throws -> [Double] {
      let program = try GraphProgram(
        graph, shapes: shapes, training: training, gradientsOf: ["y"],
        inputGradients: ["x", "weight"])
      let pass = try GraphPass(program, GraphModel(graph, backend: backend), isPoisoned: true)
      try pass.forward(inputs)
      return try pass.output("y").values
    }
    let kept = try output(ReferenceBackend(), training: true)
    #expect(try nrms(output(ReferenceBackend(), training: false), kept) <= 0x1p-45)
    for training in [false, true] {
      #expect(try nrms(output(Machine.backend(form), training: training), kept) <= 32 * 0x1p-23)
    }
  }
}
