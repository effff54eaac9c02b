import CarouselModel
import CarouselReference
import Testing

/// Every operator of a graph against finite differences.
@Suite struct GraphOperatorTests {
  private let backend = ReferenceBackend(sliceAlignment: 32)

  @Test(arguments: GraphCase.all.indices)
  func everyGradientIsTheDerivative(index: Int) throws {
    let item = GraphCase.all[index]
    let pass = try item.pass(on: backend)
    let seed: (seed: UInt64, step: Int) = (3, 1)
    try pass.forward(item.inputs, dropoutSeed: seed)
    guard !item.given.isEmpty, !item.isLarge else { return }
    let gradients = item.gradients(of: pass.program)
    func loss() throws -> Double {
      try pass.forward(dropoutSeed: seed)
      return try gradients.reduce(0) { sum, entry in
        try sum + dot(pass.output(entry.key).values, entry.value.values)
      }
    }
    try pass.backward(gradients)
    var checked = 0
    for name in item.wanted {
      let input = try #require(item.inputs[name])
      let gradient = try pass.inputGradient(name)?.values
      let differences = try derivative(input.values) { moved in
        try pass.write(
          GraphTensor(Tensor(shape: input.shape, values: moved), type: input.type), to: name)
        return try loss()
      }
      expectDerivative(gradient, differences, "\(item.name) \(name)")
      checked += 1
    }
    for (description, gradient) in zip(
      pass.model.parameters.descriptions, try pass.model.parameters.gradientTensors())
    {
      let buffer = try pass.model.parameters.value(description.name)
      let values = try backend.read(buffer, count: description.shape.count)
      let differences = try derivative(values) { moved in
        try backend.write(moved, to: buffer)
        return try loss()
      }
      expectDerivative(gradient.tensor.values, differences, "\(item.name) \(description.name)")
      checked += 1
    }
    #expect(checked > 0, "\(item.name) has no gradient")
  }

  /// Central differences over two widths, as in `expectGradient`; leaves the values as they were.
  private func derivative(
    _ values: [Double], _ loss: ([Double]) throws -> Double
  ) throws -> [Double] {
    let step = 0x1p-12
    let result = try values.indices.map { index in
      func difference(_ step: Double) throws -> Double {
        var moved = values
        moved[index] += step
        let above = try loss(moved)
        moved[index] -= 2 * step
        return try above - loss(moved)
      }
      return try (8 * difference(step) - difference(2 * step)) / (12 * step)
    }
    _ = try loss(values)
    return result
  }

  private func expectDerivative(_ gradient: [Double]?, _ differences: [Double], _ name: String) {
    let scale = max(differences.map(\.magnitude).max() ?? 0, 1e-3)
    guard let gradient else {
      #expect(differences.allSatisfy { $0.magnitude < 1e-8 }, "\(name) has no gradient")
      return
    }
    for (index, (actual, expected)) in zip(gradient, differences).enumerated() {
      #expect(
        (actual - expected).magnitude <= 1e-7 * scale,
        "\(name)[\(index)] is \(actual), expected \(expected)")
    }
  }

  @Test func aGradientOfATensorThatIsReadTwiceIsTheSum() throws {
    var graph = Graph()
    let x = graph.input("x", ["N"])
    let square = graph.add(.binary(.multiply), x, x)
    graph.outputs = [graph.add(.binary(.add), square, x, name: "y")]
    let model = try GraphModel(graph, backend: backend)
    let pass = try model.pass(
      shapes: ["x": [3]], training: true, gradientsOf: ["y"], inputGradients: ["x"])
    try pass.forward(["x": GraphTensor(Tensor(shape: [3], values: [1, 2, -4]))])
    try pass.backward(["y": Tensor(shape: [3], values: [1, 10, 100])])
    #expect(try pass.inputGradient("x")?.values == [3, 50, -700])
  }

  @Test func transposedConvolutionIsZeroBeyondItsWindows() throws {
    var graph = Graph()
    let x = graph.input("x", [1, 1, 2])
    let weight = graph.input("weight", [1, 1, 2])
    let window = Convolution(strides: [2], outputShape: [6])
    graph.outputs = [graph.add(.convolutionTransposed(window), x, weight, name: "y")]
    let y = try GraphModel(graph, backend: backend).compute(
      ["y"],
      [
        "x": GraphTensor(Tensor(shape: [1, 1, 2], values: [1, 2])),
        "weight": GraphTensor(Tensor(shape: [1, 1, 2], values: [3, 5])),
      ])
    #expect(y["y"]?.values == [3, 5, 6, 10, 0, 0])
  }

  /// Numbers of a file that do not fit, or that would overflow.
  @Test func windowsThatCannotBeAreRefused() throws {
    for window in [
      Convolution(kernel: [2, 2], padding: .explicit(before: [1], after: [1])),
      Convolution(kernel: [2, 2], strides: [.max, 1]), Convolution(kernel: [2, 2], strides: [1]),
      Convolution(kernel: [2, 2], padding: .explicit(before: [0, .max], after: [0, .max])),
    ] {
      var graph = Graph()
      let x = graph.input("x", [1, 1, 3, 3])
      graph.outputs = [graph.add(.maximumPool(window), x, name: "y")]
      let model = try GraphModel(graph, backend: backend)
      #expect(throws: CarouselError.self) { _ = try model.pass(shapes: ["x": [1, 1, 3, 3]]) }
    }
  }

  @Test func runningStatisticsFollowTheBatch() throws {
    var graph = Graph()
    let x = graph.input("x", ["N", 2])
    let mean = graph.parameter("mean", [2], .constant(0), isTrained: false)
    let variance = graph.parameter("variance", [2], .constant(1), isTrained: false)
    graph.outputs = [
      graph.add(
        .batchNormalization(axis: 1, epsilon: 1e-5, momentum: 0.1, isFrozen: false), x, nil, nil,
        mean, variance, name: "y")
    ]
    let model = try GraphModel(graph, backend: backend, seed: 1)
    let pass = try model.pass(
      shapes: ["x": [4, 2]], training: true, gradientsOf: ["y"], inputGradients: ["x"])
    try pass.forward([
      "x": GraphTensor(Tensor(shape: [4, 2], values: [1, 10, 2, 20, 3, 30, 6, 60]))
    ])
    let statistics = try Dictionary(
      uniqueKeysWithValues: model.fixedParameters.tensors().map { ($0.name, $0.tensor.values) })
    // Means 3 and 30, unbiased variances 14/3 and 1400/3.
    expectClose(try #require(statistics["mean"]), [0.3, 3], tolerance: 1e-12, "mean")
    expectClose(
      try #require(statistics["variance"]), [0.9 + 1.4 / 3, 0.9 + 140.0 / 3], tolerance: 1e-12,
      "variance")
    let inference = try model.pass(shapes: ["x": [1, 2]])
    try inference.forward(["x": GraphTensor(Tensor(shape: [1, 2], values: [0.3, 4]))])
    let y = try inference.output("y").values
    #expect(
      y[0].magnitude < 1e-12 && (y[1] - 1 / (0.9 + 140.0 / 3 + 1e-5).squareRoot()).magnitude < 1e-12
    )
  }
}
