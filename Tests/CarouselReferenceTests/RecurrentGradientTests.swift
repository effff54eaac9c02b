import CarouselModel
import CarouselReference
import Testing

@Suite struct RecurrentGradientTests {
  private let backend = ReferenceBackend(sliceAlignment: 8)

  @Test(
    arguments: StackCase.shapes + StackCase.lstmOptions + StackCase.overrides
      + StackCase.activations + StackCase.newOptions + StackCase.commonOptions
      + StackCase.mixes)
  func everyGradientOfAStackIsTheDerivativeOfTheLoss(_ test: StackCase) throws {
    let configuration = test.configuration
    try configuration.validate()
    let (T, N) = (test.sequenceLength, test.batchSize)
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: 5)
    try moveConstants(store)
    let stack = try RecurrentStack(
      configuration, store: store, prefix: "", sequenceLength: T, batchSize: N, training: true)
    let seed: (seed: UInt64, step: Int)? = test.isNoisy ? (3, 1) : nil
    func states(stream: Int) throws -> [State] {
      try configuration.units.indices.map {
        State(
          hidden: try backend.random(N * configuration.stateSize, stream: stream + 2 * $0),
          memory: try memory(configuration, count: N, stream: stream + 2 * $0 + 1))
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
        if let memory = state.memory, let gradMemory = grad.memory {
          sum += dot(backend.values(gradMemory), backend.values(memory))
        }
      }
      return sum
    }
    // A norm is steep where a product hardly varies.
    let step = configuration.options.layerNorm ? 0x1p-14 : 0x1p-10
    func expectDerivative(_ gradient: [Double], of buffer: Buffer, _ name: String) throws {
      try expectGradient(gradient, of: buffer, in: backend, name, step: step, loss: loss)
    }
    _ = try loss()
    try stack.backward(
      x: x, lengths: lengths, initial: initial, gradY: gradY, gradFinal: gradFinal, gradX: gradX,
      gradInitial: gradInitial, dropoutSeed: seed)

    try expectDerivative(backend.values(gradX), of: x, "x")
    for (index, (state, grad)) in zip(initial ?? [], gradInitial).enumerated() {
      try expectDerivative(backend.values(grad.hidden), of: state.hidden, "h_0[\(index)]")
      if let memory = state.memory {
        try expectDerivative(
          backend.values(try #require(grad.memory)), of: memory, "states beside h[\(index)]")
      }
    }
    for (name, gradient) in try store.gradientTensors() {
      if test.idle.contains(name) {
        #expect(gradient.values.allSatisfy { $0 == 0 }, "\(name)")
      } else {
        try expectDerivative(gradient.values, of: store.value(name), name)
      }
    }
  }

  /// Random states beside h of N sequences; nil for a cell without them.
  private func memory(
    _ configuration: RecurrentConfiguration, count: Int, stream: Int
  ) throws -> Buffer? {
    guard configuration.memorySize > 0 else { return nil }
    return try backend.buffer(
      configuration.cell.traits.memory(
        from: normal(count * configuration.memorySize, stream: stream),
        hiddenSize: configuration.hiddenSize))
  }

  /// Draws what begins as 1 or 0: the gains and shifts of norms.
  private func moveConstants(_ store: ParameterStore<ReferenceBackend>) throws {
    for (index, description) in store.descriptions.enumerated() {
      guard case .constant(let value) = description.initializer else { continue }
      let moves = normal(description.shape.count, stream: 60 + index)
      try backend.write(moves.map { value + 0.25 * $0 }, to: store.value(description.name))
    }
  }

  /// Random `[T, N, width]`, `value` past each sequence's length.
  private func padded(
    _ test: StackCase, width: Int, with value: Double, stream: Int
  ) throws -> Buffer {
    var values = normal(test.sequenceLength * test.batchSize * width, stream: stream)
    for t in 0..<test.sequenceLength {
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
    (.gru, "new", 0.25, ["new", "reset"]), (.mingru, "update", 0.5, ["update"]),
    // From states of 0 an sLSTM's c/n is z, where z is always the same, whatever i and f are.
    (.slstm, "cell", 0.5, ["input", "forget", "cell"]),
  ])
  func theWeightsOfAGateHeldAtAConstantGetNoGradient(
    cell: Cell, gate: String, value: Double, still: [String]
  ) throws {
    let configuration = RecurrentConfiguration(
      cell: cell, inputSize: 3, hiddenSize: 4, options: CellOptions(overrides: [gate: value]))
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: 5)
    let stack = try RecurrentStack(
      configuration, store: store, prefix: "", sequenceLength: 3, batchSize: 2, training: true)
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
