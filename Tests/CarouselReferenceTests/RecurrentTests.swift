import CarouselModel
import CarouselReference
import Testing

/// One layer with random parameters, and what its forward pass leaves.
private struct Layer {
  let backend = ReferenceBackend()
  let layer: RecurrentLayer
  let store: ParameterStore<ReferenceBackend>

  init(
    _ cell: Cell = .lstm, _ options: CellOptions = CellOptions(), inputSize: Int, hiddenSize: Int,
    isReverse: Bool = false
  ) throws {
    layer = RecurrentLayer(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, options: options,
      isReverse: isReverse)
    store = try ParameterStore(
      layer.parameterDescriptions(suffix: "_l0"), backend: backend, seed: 9)
  }

  func zeroState(batchSize: Int) throws -> State {
    State(
      hidden: try backend.makeBuffer(count: batchSize * layer.hiddenSize),
      memory: try backend.makeBuffer(count: batchSize * layer.memorySize))
  }

  /// Sets the bias of one gate, which is known by its name.
  func setBias(of gate: String, to value: Double) throws {
    let index = try #require(layer.cell.gateNames.firstIndex(of: gate))
    let bias = try store.value("bias_ih_l0")
    var values = backend.values(bias)
    for unit in 0..<layer.hiddenSize { values[index * layer.hiddenSize + unit] = value }
    try backend.write(values, to: bias)
  }

  func forward(
    _ x: Buffer, sequenceLength: Int, batchSize: Int, lengths: [Int32]? = nil, initial: State?,
    final: State?, training: Bool = false
  ) throws -> [Double] {
    let y = try backend.makeBuffer(count: sequenceLength * batchSize * layer.hiddenSize)
    let work = RecurrentWork<ReferenceBackend>(
      layer: layer, sequenceLength: sequenceLength, batchSize: batchSize,
      lengths: try lengths.map(backend.indices),
      parameters: try store.recurrent(prefix: "", suffix: "_l0"), x: x, initial: initial, y: y,
      reserve: try backend.makeReserve(
        for: layer, sequenceLength: sequenceLength, batchSize: batchSize, training: training))
    try backend.recurrentForward(work, final: final)
    return backend.values(y)
  }
}

/// Sequence n of `[T, N, width]`: `[T, width]`.
private func column(_ n: Int, of values: [Double], rows: Int, width: Int) -> [Double] {
  stride(from: n * width, to: values.count, by: rows * width).flatMap { values[$0..<$0 + width] }
}

@Suite struct RecurrentTests {
  @Test func carriedStatesContinueASequence() throws {
    let layer = try Layer(inputSize: 3, hiddenSize: 5)
    let (T, N, C) = (6, 2, 3)
    let x = try layer.backend.random(T * N * C, stream: 1)
    let whole = try layer.forward(x, sequenceLength: T, batchSize: N, initial: nil, final: nil)
    let state = try layer.zeroState(batchSize: N)
    var parts: [Double] = []
    for part in 0..<3 {
      let window = try layer.backend.slice(x, offset: part * 2 * N * C, count: 2 * N * C)
      parts += try layer.forward(
        window, sequenceLength: 2, batchSize: N, initial: state, final: state)
    }
    #expect(parts == whole)
  }

  @Test func aPassWithoutTrainingComputesTheSameBits() throws {
    let layer = try Layer(inputSize: 3, hiddenSize: 5)
    let x = try layer.backend.random(4 * 2 * 3, stream: 1)
    let states = try (0..<2).map { _ in try layer.zeroState(batchSize: 2) }
    let y = try states.enumerated().map {
      try layer.forward(
        x, sequenceLength: 4, batchSize: 2, initial: nil, final: $1, training: $0 == 1)
    }
    #expect(y[0] == y[1])
    #expect(layer.backend.values(states[0].hidden) == layer.backend.values(states[1].hidden))
    #expect(
      layer.backend.values(try #require(states[0].memory))
        == layer.backend.values(try #require(states[1].memory)))
    #expect(Array(y[0].suffix(10)) == layer.backend.values(states[0].hidden))
  }

  @Test func zeroForgetGateClearsTheCell() throws {
    let layer = try Layer(inputSize: 2, hiddenSize: 3)
    try layer.setBias(of: "forget", to: -1000)
    let x = try layer.backend.random(2, stream: 1)
    let cells = try [1.0, 50.0].map { value in
      let state = try layer.zeroState(batchSize: 1)
      let cell = try #require(state.memory)
      try layer.backend.fill(cell, count: 3, with: value)
      _ = try layer.forward(x, sequenceLength: 1, batchSize: 1, initial: state, final: state)
      return layer.backend.values(cell)
    }
    #expect(cells[0] == cells[1])
    #expect(cells[0].allSatisfy { $0 != 0 })
  }

  @Test func openForgetGateAndClosedInputGateKeepTheCell() throws {
    let layer = try Layer(inputSize: 2, hiddenSize: 3)
    try layer.setBias(of: "forget", to: 1000)
    try layer.setBias(of: "input", to: -1000)
    let state = try layer.zeroState(batchSize: 2)
    let cell = try #require(state.memory)
    let before = normal(6, stream: 2)
    try layer.backend.write(before, to: cell)
    let x = try layer.backend.random(4 * 2 * 2, stream: 1)
    _ = try layer.forward(x, sequenceLength: 4, batchSize: 2, initial: state, final: state)
    #expect(layer.backend.values(cell) == before)
  }

  @Test func closedOutputGateHidesTheCell() throws {
    let layer = try Layer(inputSize: 2, hiddenSize: 3)
    try layer.setBias(of: "output", to: -1000)
    let state = try layer.zeroState(batchSize: 1)
    let x = try layer.backend.random(2 * 2, stream: 1)
    let y = try layer.forward(x, sequenceLength: 2, batchSize: 1, initial: nil, final: state)
    #expect(y.allSatisfy { $0 == 0 })
    #expect(layer.backend.values(try #require(state.memory)).allSatisfy { $0 != 0 })
  }

  @Test func notANumberStaysInItsSequenceAndLasts() throws {
    let layer = try Layer(inputSize: 2, hiddenSize: 3)
    let (T, N, C, H) = (3, 2, 2, 3)
    let x = try layer.backend.random(T * N * C, stream: 1)
    var values = layer.backend.values(x)
    values[1 * N * C + 1 * C] = .nan  // step 1, sequence 1
    try layer.backend.write(values, to: x)
    let y = try layer.forward(x, sequenceLength: T, batchSize: N, initial: nil, final: nil)
    for t in 0..<T {
      for n in 0..<N {
        let row = y[((t * N + n) * H)..<((t * N + n + 1) * H)]
        #expect(row.allSatisfy { $0.isNaN == (n == 1 && t >= 1) }, "step \(t), sequence \(n)")
      }
    }
  }

  @Test(arguments: Cell.allCases, [false, true])
  func aSequenceOfItsOwnLengthIsThatSequenceAlone(cell: Cell, isReverse: Bool) throws {
    let layer = try Layer(cell, inputSize: 2, hiddenSize: 3, isReverse: isReverse)
    let (backend, lengths) = (layer.backend, [3, 0, 4, 1])
    let (T, N, C, H) = (4, lengths.count, 2, 3)
    let x = normal(T * N * C, stream: 1)
    let width = layer.layer.memorySize
    let first = (
      hidden: normal(N * H, stream: 2),
      memory: cell.traits.memory(from: normal(N * width, stream: 3), hiddenSize: H)
    )
    let final = try layer.zeroState(batchSize: N)
    let y = try layer.forward(
      try backend.buffer(x), sequenceLength: T, batchSize: N, lengths: lengths.map(Int32.init),
      initial: State(
        hidden: try backend.buffer(first.hidden), memory: try backend.buffer(first.memory)),
      final: final)
    for (n, length) in lengths.enumerated() {
      let units = n * H..<(n + 1) * H
      let alone = State(
        hidden: try backend.buffer(Array(first.hidden[units])),
        memory: try backend.buffer(Array(first.memory[n * width..<(n + 1) * width])))
      var outputs = [Double](repeating: 0, count: T * H)
      if length > 0 {
        let own = Array(column(n, of: x, rows: N, width: C).prefix(length * C))
        let values = try layer.forward(
          try backend.buffer(own), sequenceLength: length, batchSize: 1, initial: alone,
          final: alone)
        outputs.replaceSubrange(0..<length * H, with: values)
      }
      #expect(column(n, of: y, rows: N, width: H) == outputs)
      #expect(Array(backend.values(final.hidden)[units]) == backend.values(alone.hidden))
      let memory = backend.values(try #require(final.memory))
      #expect(
        Array(memory[n * width..<(n + 1) * width]) == backend.values(try #require(alone.memory)))
    }
  }

  @Test func aReverseLayerReadsTheSequenceFromItsEnd() throws {
    let layers = try [false, true].map {
      try Layer(.gru, inputSize: 2, hiddenSize: 3, isReverse: $0)
    }
    let x = normal(4 * 2, stream: 1)
    let turned = stride(from: 6, through: 0, by: -2).flatMap { x[$0..<$0 + 2] }
    let y = try zip(layers, [x, turned]).map { layer, x in
      try layer.forward(
        try layer.backend.buffer(x), sequenceLength: 4, batchSize: 1, initial: nil, final: nil)
    }
    #expect(y[0] == stride(from: 9, through: 0, by: -3).flatMap { y[1][$0..<$0 + 3] })
  }

  @Test func theCellStateKeepsWithinItsBound() throws {
    let layer = try Layer(
      .lstm, CellOptions(cellClip: 0.25, overrides: ["forget": 1]), inputSize: 2, hiddenSize: 8)
    let state = try layer.zeroState(batchSize: 3)
    let x = try layer.backend.random(9 * 3 * 2, stream: 1)
    _ = try layer.forward(x, sequenceLength: 9, batchSize: 3, initial: nil, final: state)
    let cells = layer.backend.values(try #require(state.memory))
    #expect(cells.allSatisfy { $0.magnitude <= 0.25 })
    #expect(cells.contains(0.25) && cells.contains(-0.25))
    #expect(cells.contains { $0.magnitude < 0.25 })
  }

  @Test func aBoundLetsNotANumberThrough() throws {
    let layer = try Layer(.lstm, CellOptions(cellClip: 0.5), inputSize: 1, hiddenSize: 2)
    let state = try layer.zeroState(batchSize: 1)
    let x = try layer.backend.buffer([.nan])
    _ = try layer.forward(x, sequenceLength: 1, batchSize: 1, initial: nil, final: state)
    #expect(layer.backend.values(try #require(state.memory)).allSatisfy(\.isNaN))
  }

  @Test(arguments: Activation.Function.allCases)
  func everyActivationLetsNotANumberThrough(function: Activation.Function) throws {
    let layer = try Layer(
      .rnn, CellOptions(activations: ["hidden": Activation(function)]), inputSize: 1, hiddenSize: 2)
    let x = try layer.backend.buffer([.nan])
    let y = try layer.forward(x, sequenceLength: 1, batchSize: 1, initial: nil, final: nil)
    #expect(y.allSatisfy { $0.isNaN == (function != .constant) })
  }

  @Test func aBackwardPassOverwritesAndCanBeRepeated() throws {
    let layer = try Layer(inputSize: 2, hiddenSize: 3)
    let backend = layer.backend
    let configuration = RecurrentConfiguration(inputSize: 2, hiddenSize: 3)
    let stack = try RecurrentStack(
      configuration, store: layer.store, prefix: "", sequenceLength: 3, batchSize: 2, training: true
    )
    let x = try backend.random(3 * 2 * 2, stream: 1)
    let gradY = try backend.random(3 * 2 * 3, stream: 2)
    try stack.forward(x: x, initial: nil, final: nil)
    let gradients = try (0..<2).map { _ in
      try stack.backward(x: x, initial: nil, gradY: gradY)
      return try layer.store.gradientTensors().map(\.tensor)
    }
    #expect(gradients[0] == gradients[1])
    #expect(gradients[0].allSatisfy { $0.values.contains { $0 != 0 } })
  }
}
