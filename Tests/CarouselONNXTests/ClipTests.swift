import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselONNX

/// Recurrent nodes whose activations' inputs are bounded.
@Suite struct ClipTests {
  private static let (T, N, C, H) = (5, 2, 3, 4)

  private func numbers(_ count: Int, _ stream: Int) -> [Double] {
    let random = Philox(seed: 11, stream: RandomStream.input(stream))
    return (0..<count).map { Double(Float(random.normal($0))) }
  }

  /// A node with weights, biases, initial states and, of an LSTM, peepholes.
  private func model(
    _ type: String, gates: Int, directions: Int, _ attributes: [ONNXAttributeProto],
    lengths: [Int32]? = nil
  ) -> TestModel {
    var model = TestModel()
    let (D, G) = (directions, gates * Self.H)
    model.input("x")
    func add(_ name: String, _ shape: [Int], _ stream: Int) -> String {
      let values = numbers(shape.reduce(1, *), stream).map { Float($0) }
      model.initializer(name, shape.map { Int64($0) }, values)
      return name
    }
    var inputs = [
      "x", add("W", [D, G, Self.C], 1), add("R", [D, G, Self.H], 2), add("B", [D, 2 * G], 3), "",
      add("h0", [D, Self.N, Self.H], 4),
    ]
    if let lengths {
      var proto = ONNXTensorProto()
      (proto.name, proto.dataType, proto.dims) = ("lengths", 6, [Int64(lengths.count)])
      proto.int32Data = lengths
      model.proto.graph.initializer.append(proto)
      inputs[4] = "lengths"
    }
    if type == "LSTM" {
      inputs += [add("c0", [D, Self.N, Self.H], 5), add("P", [D, 3 * Self.H], 6)]
    }
    model.node(
      type, inputs, ["y", "hn"] + (type == "LSTM" ? ["cn"] : []),
      [.int("hidden_size", Self.H)] + attributes)
    for name in ["y", "hn"] { model.output(name) }
    return model
  }

  private func outputs(_ model: TestModel) throws -> [String: [Double]] {
    let read = try model.read()
    let bound = try GraphModel(read.graph, backend: ReferenceBackend())
    try bound.load(read.parameters, source: "test")
    let x = GraphTensor(Tensor([Self.T, Self.N, Self.C], numbers(Self.T * Self.N * Self.C, 9)))
    let pass = try bound.pass(
      shapes: ["x": x.shape], training: true, gradientsOf: ["y"], inputGradients: ["x"])
    try pass.forward(["x": x])
    var result = Dictionary(
      uniqueKeysWithValues: try pass.outputs().map { ($0.name, $0.tensor.values) })
    let y = try #require(pass.program.outputs.first { $0.name == "y" })
    try pass.backward(["y": Tensor(y.shape, numbers(y.shape.count, 10))])
    result["grad_x"] = try pass.inputGradient("x")?.values
    return result
  }

  @Test(arguments: [
    ("RNN", 1, [ONNXAttributeProto]()), ("LSTM", 4, []), ("LSTM", 4, [.int("input_forget", 1)]),
    ("GRU", 3, []), ("GRU", 3, [.int("linear_before_reset", 1)]),
    ("RNN", 1, [.texts("activations", ["ScaledTanh", "LeakyRelu"])]),
  ])
  func boundThatNothingReachesChangesNothing(
    type: String, gates: Int, attributes: [ONNXAttributeProto]
  ) throws {
    let both = attributes + [.text("direction", "bidirectional")]
    let plain = try outputs(model(type, gates: gates, directions: 2, both))
    let clipped = try outputs(model(type, gates: gates, directions: 2, both + [.float("clip", 99)]))
    #expect(plain.count == 3)
    for (name, values) in plain {
      let others = try #require(clipped[name])
      #expect(values.count == others.count)
      #expect(zip(values, others).allSatisfy { abs($0 - $1) < 1e-12 }, "\(name)")
    }
  }

  /// A bound that nothing reaches leaves what the layers do with lengths: outputs past a sequence's end are
  /// 0, its state stands still, and the reverse direction begins at its last step.
  @Test(arguments: [("RNN", 1), ("LSTM", 4), ("GRU", 3)], [[Int32(2), 5], [0, 3]])
  func lengthsStayWithABound(_ node: (type: String, gates: Int), lengths: [Int32]) throws {
    let both = [ONNXAttributeProto.text("direction", "bidirectional")]
    func found(_ attributes: [ONNXAttributeProto]) throws -> [String: [Double]] {
      try outputs(
        model(node.type, gates: node.gates, directions: 2, both + attributes, lengths: lengths))
    }
    let (plain, clipped) = (try found([]), try found([.float("clip", 99)]))
    #expect(plain["y"]?.contains(0) == true)
    for (name, values) in plain {
      let others = try #require(clipped[name])
      #expect(values.count == others.count)
      #expect(zip(values, others).allSatisfy { abs($0 - $1) < 1e-12 }, "\(name)")
    }
    let bounded = try found([.float("clip", 0.2)])
    #expect(bounded["y"] != plain["y"])
  }

  @Test func sumsOfAnRNNAreKeptWithinTheBound() throws {
    let clip = 0.3
    let found = try outputs(model("RNN", gates: 1, directions: 1, [.float("clip", clip)]))
    let (W, R, B) = (
      numbers(Self.H * Self.C, 1), numbers(Self.H * Self.H, 2), numbers(2 * Self.H, 3)
    )
    let x = numbers(Self.T * Self.N * Self.C, 9)
    var h = numbers(Self.N * Self.H, 4)
    var y: [Double] = []
    for t in 0..<Self.T {
      var next = h
      for n in 0..<Self.N {
        for unit in 0..<Self.H {
          var sum = B[unit] + B[Self.H + unit]
          for c in 0..<Self.C { sum += W[unit * Self.C + c] * x[(t * Self.N + n) * Self.C + c] }
          for k in 0..<Self.H { sum += R[unit * Self.H + k] * h[n * Self.H + k] }
          let bound = Double(Float(clip))
          next[n * Self.H + unit] = tanh(min(max(sum, -bound), bound))
        }
      }
      h = next
      y += h
    }
    #expect(zip(found["y"] ?? [], y).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(found["y"]?.count == y.count)
    #expect(found["y"] != (try outputs(model("RNN", gates: 1, directions: 1, []))["y"]))
  }

  /// The gates' sums, but not the cell state on its way to h, as ONNX Runtime has it.
  @Test func gatesOfAnLSTMAreKeptWithinTheBound() throws {
    let (H, C, N) = (Self.H, Self.C, Self.N)
    let found = try outputs(model("LSTM", gates: 4, directions: 1, [.float("clip", 0.5)]))
    let (W, R) = (numbers(4 * H * C, 1), numbers(4 * H * H, 2))
    let (B, P) = (numbers(8 * H, 3), numbers(3 * H, 6))
    let x = numbers(Self.T * N * C, 9)
    var (h, c) = (numbers(N * H, 4), numbers(N * H, 5))
    var y: [Double] = []
    func bounded(_ sum: Double) -> Double { min(max(sum, -0.5), 0.5) }
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    for t in 0..<Self.T {
      let before = h
      for n in 0..<N {
        for unit in 0..<H {
          // In the file's order: i, o, f, c.
          let sums = (0..<4).map { gate in
            let row = gate * H + unit
            var sum = B[row] + B[4 * H + row]
            for k in 0..<C { sum += W[row * C + k] * x[(t * N + n) * C + k] }
            for k in 0..<H { sum += R[row * H + k] * before[n * H + k] }
            return sum
          }
          let place = n * H + unit
          let i = sigmoid(bounded(sums[0] + P[unit] * c[place]))
          let f = sigmoid(bounded(sums[2] + P[2 * H + unit] * c[place]))
          c[place] = f * c[place] + i * tanh(bounded(sums[3]))
          let o = sigmoid(bounded(sums[1] + P[H + unit] * c[place]))
          h[place] = o * tanh(c[place])
        }
      }
      y += h
    }
    #expect(found["y"]?.count == y.count)
    #expect(zip(found["y"] ?? [], y).allSatisfy { abs($0 - $1) < 1e-12 })
  }
}
