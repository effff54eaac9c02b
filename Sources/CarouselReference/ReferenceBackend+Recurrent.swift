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

// Backward through time, each sequence from the step that was computed last to the first, as
// `ReferenceStep` says; then from the gradients ∂a and ∂u of the products of all steps:
//
//     ∂x = ∂a·W_ih    ∂W_ih = Σ ∂aᵀ·x    ∂W_hh = Σ ∂uᵀ·h₋₁

extension ReferenceBackend {
  /// The backward pass of `recurrentForward`; see `Backend`.
  ///
  /// `gradX` is 0 past a sequence's length.
  public func recurrentBackward(
    _ work: RecurrentWork<ReferenceBackend>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradX: Buffer?, gradInitial: RecurrentState<Buffer>?,
    gradParameters: RecurrentParameters<Buffer>
  ) throws {
    let (layer, reserve) = (work.layer, work.reserve)
    try checkRecurrentBackward(
      work, gradY: gradY, gradFinal: gradFinal, gradX: gradX, gradInitial: gradInitial,
      gradParameters: gradParameters)
    let (C, H, P, GH) = (layer.inputSize, layer.hiddenSize, layer.stateSize, layer.gateRows)
    let rowCount = work.sequenceLength * work.batchSize
    try walkBack(
      work, gradY: work.states(in: gradY), gradFinal: gradFinal, gradInitial: gradInitial,
      gradParameters: gradParameters)

    let gradInput = reserve.gradInput.matrix(rowCount, GH)
    let gradRecurrent = reserve.gradRecurrent.matrix(rowCount, GH)
    // Padding takes no part, whatever it holds.
    let rows = (0..<work.batchSize).flatMap(work.rows).sorted()
    if let gradX = gradX?.matrix(rowCount, C) {
      let weightIH = work.parameters.weightIH.matrix(GH, C)
      gradX.fill(with: 0)
      for row in rows {
        gradX.block(row, of: 1).addProduct(gradInput.block(row, of: 1), weightIH)
      }
    }
    let gradWeightIH = gradParameters.weightIH.matrix(GH, C)
    gradWeightIH.fill(with: 0)
    gradWeightIH.addProduct(transposed: gradInput, work.x.matrix(rowCount, C), over: rows)
    let gradWeightHH = RecurrentProduct(gradParameters.weightHH, for: layer)
    for (index, group) in layer.groups.enumerated() {
      let isReset = layer.resetsBefore && index > 0
      gradWeightHH?.sumGradient(
        gradRecurrent,
        factors: isReset ? reserve.reset.matrix(rowCount, H) : reserve.factors.matrix(rowCount, P),
        steps: rows, rows: group)
    }
    RecurrentMasks(work).drop(gradParameters.weightHH, count: gradWeightHH?.count ?? 0)
  }

  /// Leaves the gradients of the products of every step in the reserve, and writes those of h₀, c₀ and
  /// of all parameters but the weights of the products.
  private func walkBack(
    _ work: RecurrentWork<ReferenceBackend>, gradY: StateMatrix, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?, gradParameters: RecurrentParameters<Buffer>
  ) throws {
    let reserve = work.reserve
    let (N, P, MH) = (work.batchSize, work.layer.stateSize, work.layer.memorySize)
    try clear(gradParameters, of: work.layer)
    let step = try ReferenceStep(work, gradients: gradParameters, rounding: rounding)
    let y = work.states(in: work.y)
    for n in 0..<N {
      let rows = work.rows(of: n)
      step.gradHidden.load(gradFinal?.hidden.matrix(N, P)[n])
      step.gradMemory.load(gradFinal?.memory?.matrix(N, MH)[n])
      for (index, row) in rows.enumerated().reversed() {
        let before = index > 0 ? rows[index - 1] : nil
        step.hidden.load(before.map { y[$0] } ?? work.initial?.hidden.matrix(N, P)[n])
        step.memory.load(
          before.map { reserve.row($0, of: reserve.cells, MH)[0] }
            ?? work.initial?.memory?.matrix(N, MH)[n])
        addMultiple(1, of: gradY[row], to: step.gradHidden[0], count: P)
        step.backward(row: row, sequence: n)
      }
      gradInitial?.hidden.matrix(N, P).block(n, of: 1).copy(step.gradHidden)
      gradInitial?.memory?.matrix(N, MH).block(n, of: 1).copy(step.gradMemory)
    }
  }

  /// Sets to 0 what the steps add to.
  private func clear(_ gradients: RecurrentParameters<Buffer>, of layer: RecurrentLayer) throws {
    let (H, GH) = (layer.hiddenSize, layer.gateRows)
    for (buffer, count) in [
      (gradients.biasIH, GH), (gradients.biasHH, GH), (gradients.peepholeInput, H),
      (gradients.peepholeForget, H), (gradients.peepholeOutput, H),
      (gradients.weightHR, layer.stateSize * H), (gradients.normIH, GH), (gradients.normHH, GH),
      (gradients.normCell, H), (gradients.normCellBias, H),
    ] {
      if let buffer { try fill(buffer, count: count, with: 0) }
    }
  }
}
