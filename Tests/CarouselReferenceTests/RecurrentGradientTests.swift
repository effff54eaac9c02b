import CarouselModel
import CarouselReference
import Testing

/// A stack whose gradients are checked.
struct StackCase: CustomTestStringConvertible {
  var testDescription: String
  var configuration: RecurrentConfiguration
  var steps: Int
  var batchSize: Int
  var lengths: [Int32]?
  var states: Bool
  /// Parameters on which nothing depends.
  var idle: Set<String>

  init(
    _ name: String, _ cell: Cell = .lstm, _ options: CellOptions = CellOptions(), layers: Int = 1,
    direction: Direction = .forward, merge: Merge = .concatenate, dropout: Double = 0,
    steps: Int = 3, lengths: [Int32]? = nil, batchSize: Int = 2, inputSize: Int = 3,
    hiddenSize: Int = 3, states: Bool = true, idle: Set<String> = []
  ) {
    testDescription = "\(cell.rawValue) \(name)"
    configuration = RecurrentConfiguration(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layers: layers,
      direction: direction, merge: merge, options: options, dropout: dropout)
    self.steps = steps
    self.batchSize = lengths?.count ?? batchSize
    self.lengths = lengths
    self.states = states
    self.idle = idle
  }
}

extension StackCase {
  /// Every cell in every size, direction and bias.
  static let shapes = Cell.allCases.flatMap { cell in
    [
      StackCase("plain", cell),
      StackCase("without bias or states", cell, CellOptions(bias: .none), states: false),
      StackCase("one bias", cell, CellOptions(bias: .single), layers: 2),
      StackCase("smallest", cell, steps: 1, batchSize: 1, inputSize: 1, hiddenSize: 1),
      StackCase("one step", cell, steps: 1, batchSize: 3, inputSize: 2, hiddenSize: 5),
      StackCase("three layers", cell, layers: 3, steps: 4, batchSize: 1, hiddenSize: 4),
      StackCase("dropout", cell, layers: 2, direction: .bidirectional, dropout: 0.5),
      StackCase("reverse", cell, layers: 2, direction: .reverse),
      StackCase("lengths", cell, steps: 4, lengths: [2, 0, 4, 1]),
      StackCase("reverse lengths", cell, direction: .reverse, steps: 4, lengths: [4, 3, 0]),
      StackCase("diagonal", cell, CellOptions(recurrence: .diagonal), layers: 2),
      StackCase(
        "diagonal with lengths", cell, CellOptions(bias: .single, recurrence: .diagonal),
        direction: .bidirectional, lengths: [3, 1], states: false),
    ]
      + Merge.allCases.map {
        StackCase(
          "two layers, \($0.rawValue), lengths", cell, layers: 2, direction: .bidirectional,
          merge: $0, lengths: [2, 0, 3])
      }
  }

  static let lstmOptions = [
    StackCase("coupled", .lstm, CellOptions(forgetGate: .coupled)),
    StackCase("forget = input", .lstm, CellOptions(forgetGate: .input)),
    StackCase("forget = output", .lstm, CellOptions(forgetGate: .output), layers: 2),
    StackCase("constant forget gate", .lstm, CellOptions(forgetGate: .constant(0.75))),
    StackCase("peepholes", .lstm, CellOptions(peepholes: true)),
    StackCase(
      "coupled, peepholes, lengths, without bias", .lstm,
      CellOptions(bias: .none, forgetGate: .coupled, peepholes: true), direction: .bidirectional,
      lengths: [3, 0, 2]),
    StackCase("forget = input, peepholes", .lstm, CellOptions(forgetGate: .input, peepholes: true)),
    StackCase(
      "constant forget gate, peepholes, one bias", .lstm,
      CellOptions(bias: .single, forgetGate: .constant(0.5), peepholes: true)),
    StackCase("clip", .lstm, CellOptions(cellClip: 0.5), steps: 5),
    StackCase(
      "clip, peepholes, diagonal", .lstm,
      CellOptions(peepholes: true, cellClip: 0.5, recurrence: .diagonal), layers: 2, steps: 5),
    StackCase(
      "clip, forget = output, lengths", .lstm,
      CellOptions(forgetGate: .output, cellClip: 0.375), steps: 4, lengths: [4, 2]),
    StackCase(
      "activations, coupled, clip", .lstm,
      CellOptions(
        activations: [
          "input": Activation(.hardSigmoid), "cell": Activation(.softsign),
          "output": Activation(.softplus), "hidden": Activation(.scaledTanh, alpha: 1.5, beta: 0.5),
        ], forgetGate: .coupled, cellClip: 0.5), layers: 2),
  ]

  static let overrides = [
    StackCase("input held", .lstm, CellOptions(overrides: ["input": 1])),
    StackCase("forget held", .lstm, CellOptions(overrides: ["forget": 0.5])),
    StackCase("cell held", .lstm, CellOptions(overrides: ["cell": -0.5])),
    StackCase("output held", .lstm, CellOptions(overrides: ["output": 0.75])),
    StackCase("reset held", .gru, CellOptions(overrides: ["reset": 0.5])),
    StackCase("update held", .gru, CellOptions(overrides: ["update": 0.25]), layers: 2),
    StackCase("new held", .gru, CellOptions(overrides: ["new": 0.5])),
    StackCase(
      "two held, lengths", .lstm, CellOptions(overrides: ["input": 1, "forget": 0.5]),
      lengths: [3, 0, 1]),
    StackCase(
      "coupled, input held", .lstm,
      CellOptions(forgetGate: .coupled, overrides: ["input": 0.25])),
    StackCase(
      "forget = input, forget held", .lstm,
      CellOptions(forgetGate: .input, overrides: ["forget": 0.75])),
    StackCase(
      "forget = output, output held", .lstm,
      CellOptions(forgetGate: .output, overrides: ["output": 0.75])),
    StackCase(
      "peepholes, forget held", .lstm, CellOptions(peepholes: true, overrides: ["forget": 0.5]),
      idle: ["weight_cf_l0"]),
    StackCase(
      "coupled, peepholes, output held", .lstm,
      CellOptions(forgetGate: .coupled, peepholes: true, overrides: ["output": 0.5]),
      idle: ["weight_co_l0"]),
  ]

  /// Every function as every activation of every cell.
  static let activations = Cell.allCases.flatMap { cell in
    cell.activationNames.flatMap { gate in
      Activation.Function.allCases.filter { $0 != .constant }.map { function in
        let alpha: Double? =
          switch function {
          case .leakyRelu, .thresholdedRelu: 0.25
          case .elu, .affine, .scaledTanh: 0.75
          default: nil
          }
        let beta: Double? = function == .scaledTanh || function == .affine ? 0.5 : nil
        return StackCase(
          "\(gate) \(function.rawValue)", cell,
          CellOptions(activations: [gate: Activation(function, alpha: alpha, beta: beta)]))
      }
    }
  }
}

@Suite struct RecurrentGradientTests {
  private let backend = ReferenceBackend(sliceAlignment: 8)

  @Test(
    arguments: StackCase.shapes + StackCase.lstmOptions + StackCase.overrides
      + StackCase.activations)
  func everyGradientOfAStackIsTheDerivativeOfTheLoss(_ test: StackCase) throws {
    let configuration = test.configuration
    try configuration.validate()
    let (T, N, H) = (test.steps, test.batchSize, configuration.hiddenSize)
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: 5)
    let stack = try RecurrentStack(
      configuration, store: store, prefix: "", steps: T, batchSize: N, training: true)
    let seed: (seed: UInt64, step: Int)? = configuration.dropout > 0 ? (3, 1) : nil
    func states(stream: Int) throws -> [State] {
      try configuration.units.indices.map {
        State(
          hidden: try backend.random(N * H, stream: stream + 2 * $0),
          cell: configuration.cell.hasCellState
            ? try backend.random(N * H, stream: stream + 2 * $0 + 1) : nil)
      }
    }
    let lengths = try test.lengths.map(backend.indices)
    // Nothing that the padding holds may be read.
    let x = try padded(test, width: configuration.inputSize, with: .nan, stream: 0)
    let gradY = try padded(test, width: configuration.outputSize, with: .nan, stream: 1)
    let weights = try padded(test, width: configuration.outputSize, with: 0, stream: 1)
    let initial = test.states ? try states(stream: 10) : nil
    let gradFinal = test.states ? try states(stream: 30) : nil
    let final = try stack.makeStates()
    let gradInitial = try stack.makeStates()
    let gradX = try backend.makeBuffer(count: x.count)

    func loss() throws -> Double {
      try stack.forward(
        x: x, lengths: lengths, initial: initial, final: final, dropoutSeed: seed)
      var sum = dot(backend.values(weights), backend.values(stack.y))
      for (state, grad) in zip(final, gradFinal ?? []) {
        sum += dot(backend.values(grad.hidden), backend.values(state.hidden))
        if let cell = state.cell, let gradCell = grad.cell {
          sum += dot(backend.values(gradCell), backend.values(cell))
        }
      }
      return sum
    }
    _ = try loss()
    try stack.backward(
      x: x, lengths: lengths, initial: initial, gradY: gradY, gradFinal: gradFinal, gradX: gradX,
      gradInitial: gradInitial, dropoutSeed: seed)

    try expectGradient(backend.values(gradX), of: x, in: backend, "x", loss: loss)
    for (index, (state, grad)) in zip(initial ?? [], gradInitial).enumerated() {
      try expectGradient(
        backend.values(grad.hidden), of: state.hidden, in: backend, "h_0[\(index)]", loss: loss)
      if let cell = state.cell {
        try expectGradient(
          backend.values(try #require(grad.cell)), of: cell, in: backend, "c_0[\(index)]",
          loss: loss)
      }
    }
    for (name, gradient) in try store.gradientTensors() {
      if test.idle.contains(name) {
        #expect(gradient.values.allSatisfy { $0 == 0 }, "\(name)")
      } else {
        try expectGradient(gradient.values, of: store.value(name), in: backend, name, loss: loss)
      }
    }
  }

  /// Random `[T, N, width]`, `value` past each sequence's length.
  private func padded(
    _ test: StackCase, width: Int, with value: Double, stream: Int
  ) throws -> Buffer {
    var values = normal(test.steps * test.batchSize * width, stream: stream)
    for t in 0..<test.steps {
      for (n, length) in (test.lengths ?? []).enumerated() where t >= length {
        for i in 0..<width { values[(t * test.batchSize + n) * width + i] = value }
      }
    }
    return try backend.buffer(values)
  }

  /// Without weights that reach the loss is the gate that is held, and what works through it alone.
  @Test(arguments: [
    (Cell.lstm, "input", 1.0, ["input"]), (.lstm, "forget", 0.5, ["forget"]),
    (.lstm, "cell", 0.5, ["cell"]), (.lstm, "output", 1, ["output"]),
    (.gru, "reset", 1, ["reset"]), (.gru, "update", 0.5, ["update"]),
    (.gru, "new", 0.25, ["new", "reset"]),
  ])
  func theWeightsOfAGateHeldAtAConstantGetNoGradient(
    cell: Cell, gate: String, value: Double, still: [String]
  ) throws {
    let configuration = RecurrentConfiguration(
      cell: cell, inputSize: 3, hiddenSize: 4, options: CellOptions(overrides: [gate: value]))
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: 5)
    let stack = try RecurrentStack(
      configuration, store: store, prefix: "", steps: 3, batchSize: 2, training: true)
    let x = try backend.random(3 * 2 * 3, stream: 0)
    try stack.forward(x: x, initial: nil, final: nil)
    try stack.backward(x: x, initial: nil, gradY: try backend.random(3 * 2 * 4, stream: 1))
    for (name, gradient) in try store.gradientTensors() {
      let size = gradient.values.count / cell.gateNames.count
      for (index, other) in cell.gateNames.enumerated() {
        let rows = gradient.values[index * size..<(index + 1) * size]
        #expect(rows.allSatisfy { ($0 == 0) == still.contains(other) }, "\(name) of \(other)")
      }
    }
  }
}
