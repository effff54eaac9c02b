import CarouselModel

/// The last layer of a stack as a chain of single steps, whose states are all known and which hands a
/// gradient from step to step.
final class GradientChain<B: Backend> {
  private let backend: B
  /// N·P and N·M·H, the elements of a hidden state and of those beside it.
  private let stateCount: Int, memoryCount: Int
  /// Whether the gradient of c is measured.
  private let hasCell: Bool
  private let steps: [Step]
  /// One step with f = 1 and no input: c' is c₋₁, so that ∂h'/∂c₋₁ is the way from c to h of the same
  /// step.
  ///
  /// Nil for a cell without c.
  private let readout: (layer: RecurrentLayer, reserve: B.RecurrentReserve)?
  private let y: B.Buffer
  private let gradients: RecurrentParameters<B.Buffer>

  private struct Step {
    let work: RecurrentWork<B>
    let final: RecurrentState<B.Buffer>
  }

  /// Runs the layer over `inputs`, which hold `[N, C]` for each step in the order in which it reads them;
  /// its parameters' names end with `suffix`.
  init(
    _ configuration: RecurrentConfiguration, suffix: String, store: ParameterStore<B>,
    inputs: [[Double]], batchSize: Int, measuresCell: Bool
  ) throws {
    let backend = store.backend
    let layer = configuration.layer(configuration.layers - 1, isReverse: false)
    let parameters = try store.recurrent(prefix: "", suffix: suffix)
    let (stateCount, memoryCount) = (
      batchSize * configuration.stateSize, batchSize * configuration.memorySize
    )
    let hasMemory = layer.memoryCount > 0
    func makeState() throws -> RecurrentState<B.Buffer> {
      RecurrentState(
        hidden: try backend.makeBuffer(count: stateCount),
        memory: hasMemory ? try backend.makeBuffer(count: memoryCount) : nil)
    }
    func makeReserve(_ layer: RecurrentLayer) throws -> B.RecurrentReserve {
      try backend.makeReserve(for: layer, sequenceLength: 1, batchSize: batchSize, training: true)
    }
    let y = try backend.makeBuffer(count: stateCount)
    var state = try makeState()
    steps = try inputs.map { values in
      let x = try backend.makeBuffer(Tensor([batchSize, layer.inputSize], values))
      let work = RecurrentWork<B>(
        layer: layer, sequenceLength: 1, batchSize: batchSize, parameters: parameters, x: x,
        initial: state,
        y: try backend.makeBuffer(count: stateCount), reserve: try makeReserve(layer))
      state = try makeState()
      try backend.recurrentForward(work, final: state)
      return Step(work: work, final: state)
    }
    // With zoneout on c the way from c to h begins before it, and no h sees the c of its step.
    hasCell = measuresCell && layer.cell.traits.measuresMemory
    if hasCell, layer.options.zoneoutCell == 0 {
      var readout = layer
      readout.options.overrides.merge(["forget": 1, "input": 0]) { $1 }
      // c has been clipped, and its gradient is wanted behind the clip.
      readout.options.cellClip = nil
      self.readout = (readout, try makeReserve(readout))
    } else {
      readout = nil
    }
    self.backend = backend
    (self.stateCount, self.memoryCount) = (stateCount, memoryCount)
    self.y = y
    gradients = try store.recurrentGradients(prefix: "", suffix: suffix)
  }

  /// The norms at every step, from ∂loss/∂h_T `[N, P]` on.
  func norms(gradHidden values: [Double]) throws -> [GradientNorm] {
    let hasMemory = memoryCount > 0
    let zeros = try backend.makeBuffer(count: stateCount)
    func makeState() throws -> RecurrentState<B.Buffer> {
      RecurrentState(
        hidden: try backend.makeBuffer(count: stateCount),
        memory: hasMemory ? try backend.makeBuffer(count: memoryCount) : nil)
    }
    var (gradient, earlier) = (try makeState(), try makeState())
    try backend.write(values, to: gradient.hidden)
    var result: [GradientNorm] = []
    for index in steps.indices.reversed() {
      let step = steps[index]
      result.append(
        GradientNorm(
          step: index + 1,
          hidden: try backend.read(gradient.hidden, count: stateCount).euclideanNorm,
          cell: try gradCell(at: step, gradient)?.euclideanNorm))
      try backend.recurrentBackward(
        step.work, gradY: zeros, gradFinal: gradient, gradX: nil, gradInitial: earlier,
        gradParameters: gradients)
      swap(&gradient, &earlier)
    }
    return result.reversed()
  }

  /// ∂loss/∂c_t: what the next step handed back, and what comes through h_t.
  private func gradCell(
    at step: Step, _ gradient: RecurrentState<B.Buffer>
  ) throws -> [Double]? {
    guard hasCell, let handed = gradient.memory else { return nil }
    guard let readout else { return try backend.read(handed, count: memoryCount) }
    var work = step.work
    work.layer = readout.layer
    work.reserve = readout.reserve
    work.y = y
    work.initial?.memory = step.final.memory
    let through = RecurrentState(
      hidden: try backend.makeBuffer(count: stateCount),
      memory: try backend.makeBuffer(count: memoryCount))
    try backend.recurrentForward(work, final: nil)
    try backend.recurrentBackward(
      work, gradY: gradient.hidden, gradFinal: nil, gradX: nil, gradInitial: through,
      gradParameters: gradients)
    guard let throughCell = through.memory else { return nil }
    return zip(
      try backend.read(handed, count: memoryCount),
      try backend.read(throughCell, count: memoryCount)
    ).map(+)
  }
}
