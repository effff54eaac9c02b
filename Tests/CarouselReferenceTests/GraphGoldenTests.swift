import CarouselModel
import CarouselReference
import Testing

private struct OperatorCase: Decodable {
  var name: String
  var inputs: [GoldenValues]
  /// nil where PyTorch has no gradient of an input.
  var gradients: [GoldenValues?]
  var gradY: GoldenValues
  var y: GoldenValues

  /// The operator that PyTorch's function is here.
  var operation: GraphOperator? {
    func window(
      _ strides: [Int], _ padding: [Int], _ dilations: [Int], _ groups: Int, _ extra: [Int]? = nil
    ) -> Convolution {
      Convolution(
        strides: strides, dilations: dilations,
        padding: .explicit(before: padding, after: padding), groups: groups, outputPadding: extra)
    }
    switch name {
    case "conv1d": return .convolution(window([2], [3], [2], 2))
    case "conv2d": return .convolution(window([2, 1], [1, 2], [1, 2], 3))
    case "conv_transpose1d": return .convolutionTransposed(window([3], [1], [2], 2, [2]))
    case "conv_transpose2d":
      return .convolutionTransposed(window([2, 1], [1, 0], [1, 2], 1, [1, 0]))
    case "max_pool2d":
      var pool = window([2, 2], [1, 0], [1, 2], 1)
      pool.kernel = [3, 2]
      pool.roundsUp = true
      return .maximumPool(pool)
    case "avg_pool2d", "avg_pool2d_inner":
      var pool = window([2, 1], [1, 1], [1, 1], 1)
      pool.kernel = [3, 2]
      pool.roundsUp = true
      return .averagePool(pool, countsPadding: name == "avg_pool2d")
    case "batch_norm":
      return .batchNormalization(axis: 1, epsilon: 1e-5, momentum: 0.1, isFrozen: false)
    case "batch_norm_eval":
      return .batchNormalization(axis: 1, epsilon: 1e-5, momentum: 0.1, isFrozen: true)
    case "layer_norm": return .layerNormalization(axis: -2, epsilon: 1e-5)
    case "group_norm": return .groupNormalization(groups: 2, epsilon: 1e-5)
    case "softmax": return .softmax(axis: 1)
    case "log_softmax": return .logSoftmax(axis: -1)
    case "logsumexp":
      return .reduce(.logSumExponential, axes: [0, 2], keepsDimensions: false)
    case "gelu": return .unary(.gelu)
    case "selu": return .unary(.selu(alpha: 1.6732632423543772, gamma: 1.0507009873554805))
    case "einsum": return .einsum("btgi,gih->btgh")
    case "matmul": return .matMul
    case "reflect": return .pad(.reflect)
    default: return nil
    }
  }
}

/// Operators of graphs against PyTorch in Float64.
@Suite struct GraphGoldenTests {
  @Test func operatorsAgreeWithTorch() throws {
    let golden = try Golden<OperatorCase>.load("operators")
    for item in golden.cases {
      let operation = try #require(item.operation, "\(item.name)")
      var graph = Graph()
      var inputs: [String: GraphTensor] = [:]
      var names: [String?] = []
      for (index, values) in item.inputs.enumerated() {
        let name = "x\(index)"
        let tensor = GraphTensor(
          try Tensor(shape: Shape(dimensions: values.shape), values: values.values))
        inputs[name] = tensor
        names.append(graph.input(name, values.shape.map { .fixed($0) }))
      }
      if item.name == "reflect" {
        names.append(graph.constant(GraphTensor(wholeNumbers: [0, 2, 0, 0, 1, 0])))
      }
      graph.nodes = [GraphNode(item.name, operation, inputs: names, outputs: ["y"])]
      graph.outputs = ["y"]
      let wanted = item.gradients.indices.filter { item.gradients[$0] != nil }.map { "x\($0)" }
      let model = try GraphModel(graph, backend: ReferenceBackend(sliceAlignment: 32))
      let pass = try model.pass(
        shapes: inputs.mapValues(\.shape), training: true, gradientsOf: ["y"],
        inputGradients: wanted)
      try pass.forward(inputs)
      #expect(try pass.output("y").shape.dimensions == item.y.shape, "\(item.name)")
      expectClose(
        try pass.output("y").values, item.y.values, tolerance: golden.tolerance, item.name)
      try pass.backward([
        "y": Tensor(shape: Shape(dimensions: item.gradY.shape), values: item.gradY.values)
      ])
      for (index, gradient) in item.gradients.enumerated() {
        guard let gradient else { continue }
        expectClose(
          try #require(try pass.inputGradient("x\(index)")).values, gradient.values,
          tolerance: golden.tolerance, "\(item.name) gradient \(index)")
      }
    }
  }
}
