import CarouselModel

// Each sequence by itself, from its first step to its last, or from its last to its first; what a step
// computes is in `ReferenceStep`.

extension ReferenceBackend {
  /// Allocates the reserve of one layer: memory is T·N·(4·G·H + (K + 4)·H + P) elements with
  /// `training`, K as the cell says.
  public func makeReserve(
    for layer: RecurrentLayer, sequenceLength: Int, batchSize: Int, training: Bool
  ) throws -> ReferenceReserve {
    try checkReserve(for: layer, sequenceLength: sequenceLength, batchSize: batchSize)
    return try ReferenceReserve(
      layer: layer, sequenceLength: sequenceLength, batchSize: batchSize, training: training)
  }

  /// One layer over all its steps; see `Backend` for shapes and aliasing.
  public func recurrentForward(
    _ work: RecurrentWork<ReferenceBackend>, final: RecurrentState<Buffer>?
  ) throws {
    try checkRecurrent(work, final: final)
    let step = try ReferenceStep(work, rounding: rounding)
    let (N, P, MH) = (work.batchSize, work.layer.stateSize, work.layer.memorySize)
    let y = work.states(in: work.y)
    for row in 0..<work.sequenceLength * N { y[row].update(repeating: 0, count: P) }
    for n in 0..<N {
      step.hidden.load(work.initial?.hidden.matrix(N, P)[n])
      step.memory.load(work.initial?.memory?.matrix(N, MH)[n])
      for row in work.rows(of: n) {
        step.forward(row: row, sequence: n)
        y[row].update(from: step.hidden[0], count: P)
        work.reserve.row(row, of: work.reserve.cells, MH).copy(step.memory)
      }
      final?.hidden.matrix(N, P).block(n, of: 1).copy(step.hidden)
      final?.memory?.matrix(N, MH).block(n, of: 1).copy(step.memory)
    }
  }
}
