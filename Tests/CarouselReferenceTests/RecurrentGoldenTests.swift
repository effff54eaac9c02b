import CarouselModel
import CarouselReference
import Testing

/// A stack of layers that PyTorch or ONNX Runtime computed.
private struct RecurrentCase: Decodable {
  struct Function: Decodable {
    var function: Activation.Function
    var alpha: Double?
    var beta: Double?
  }
  struct Noise: Decodable {
    var seed: UInt64
    var step: Int
  }

  var cell: Cell
  var activations: [String: Function]
  var forgetGate: String?
  var peepholes: Bool?
  var bias: Bool
  var layers: Int
  var direction: Direction
  var lengths: [Int32]?
  var hiddenSize: Int?
  /// What else departs from the plain cell.
  var options: CellOptions?
  /// What the masks are drawn from.
  var noise: Noise?
  var tensors: [String: GoldenValues]

  func tensor(_ name: String) throws -> GoldenValues {
    try #require(tensors[name], "\(name)")
  }

  func configuration() throws -> RecurrentConfiguration {
    var options = options ?? CellOptions()
    if !bias { options.bias = .none }
    options.activations = activations.mapValues {
      Activation($0.function, alpha: $0.alpha, beta: $0.beta)
    }
    if forgetGate == "coupled" { options.forgetGate = .coupled }
    if let peepholes { options.peepholes = peepholes }
    return RecurrentConfiguration(
      cell: cell, inputSize: try tensor("x").shape[2],
      hiddenSize: try hiddenSize ?? tensor("weight_hh_l0").shape[1],
      layers: layers, direction: direction, options: options)
  }

  var name: String {
    let functions = activations.map { "\($0)=\($1.function)" }.sorted()
    return "\(cell) \(layers) \(direction) \(lengths ?? []) \(functions) \(forgetGate ?? "") "
      + "\(options ?? CellOptions())"
  }
}

/// The reference against PyTorch in Float64, where nothing but the order of sums may differ, and
/// against ONNX Runtime in Float32; for what both lack, against `Tools/recurrent_layers.py`.
@Suite struct RecurrentGoldenTests {
  private let backend = ReferenceBackend(sliceAlignment: 32)

  @Test(arguments: ["recurrent", "recurrent-options", "recurrent-cells", "recurrent-onnx"])
  func stacksAgree(file: String) throws {
    let golden = try Golden<RecurrentCase>.load(file)
    for test in golden.cases { try check(test, tolerance: golden.tolerance) }
  }

  /// The states of each layer and direction from `prefix_h_suffix [L·D, N, P]` and the others; nil where
  /// the file has none.
  private func states(
    _ test: RecurrentCase, _ prefix: String, _ suffix: String
  ) throws -> [State]? {
    guard let hidden = test.tensors[prefix + "h" + suffix] else { return nil }
    let memory = try test.cell.traits.memory.map {
      try test.tensor(prefix + $0.name + suffix)
    }
    func part(_ index: Int, of states: GoldenValues) -> [Double] {
      let count = states.shape[1] * states.shape[2]
      return Array(states.values[index * count..<(index + 1) * count])
    }
    return try (0..<hidden.shape[0]).map { index in
      let parts = memory.map { part(index, of: $0) }
      let width = memory.first?.shape[2] ?? 0
      let rows = (0..<hidden.shape[1]).flatMap { n in
        parts.flatMap { $0[n * width..<(n + 1) * width] }
      }
      return State(
        hidden: try backend.buffer(part(index, of: hidden)),
        memory: rows.isEmpty ? nil : try backend.buffer(rows))
    }
  }

  private func check(_ test: RecurrentCase, tolerance: Double) throws {
    let configuration = try test.configuration()
    try configuration.validate()
    let input = try test.tensor("x")
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: nil)
    try store.load(
      test.tensors.mapValues { Tensor(Shape($0.shape), $0.values) }, source: test.name)
    let stack = try RecurrentStack(
      configuration, store: store, prefix: "", sequenceLength: input.shape[0],
      batchSize: input.shape[1],
      training: true)
    let x = try backend.buffer(input.values)
    let lengths = try test.lengths.map(backend.indices)
    let initial = try states(test, "", "_0")
    let final = try stack.makeStates()
    let seed = test.noise.map { (seed: $0.seed, step: $0.step) }
    try stack.forward(
      x: x, lengths: lengths, initial: initial, final: final, dropoutSeed: seed)
    var actual = [("y", backend.values(stack.y))] + values(final, configuration, "", "_n")

    if let gradY = test.tensors["grad_y"] {
      let gradX = try backend.makeBuffer(count: x.count)
      let gradInitial = try stack.makeStates()
      try stack.backward(
        x: x, lengths: lengths, initial: initial, gradY: try backend.buffer(gradY.values),
        gradFinal: try states(test, "grad_", "_n"), gradX: gradX, gradInitial: gradInitial,
        dropoutSeed: seed)
      actual.append(("grad_x", backend.values(gradX)))
      if initial != nil { actual += values(gradInitial, configuration, "grad_", "_0") }
      actual += try store.gradientTensors().map { ("grad_" + $0.name, $0.tensor.values) }
    }
    for (name, values) in actual {
      expectClose(
        values, try test.tensor(name).values, tolerance: tolerance, "\(test.name), \(name)")
    }
  }

  /// The states of all layers and directions, one behind the other as `prefix_h_suffix`, and the others.
  private func values(
    _ states: [State], _ configuration: RecurrentConfiguration, _ prefix: String, _ suffix: String
  ) -> [(String, [Double])] {
    let (H, MH) = (configuration.hiddenSize, configuration.memorySize)
    let memory = states.compactMap(\.memory).flatMap(backend.values)
    return [(prefix + "h" + suffix, states.flatMap { backend.values($0.hidden) })]
      + configuration.cell.traits.memory.enumerated().map { index, state in
        let values = stride(from: index * H, to: memory.count, by: MH).flatMap {
          memory[$0..<$0 + H]
        }
        return (prefix + state.name + suffix, values)
      }
  }
}
