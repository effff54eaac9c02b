import CarouselModel

// Backward through time, each sequence from the step that was computed last to the first:
//
//     ∂h = gradY + ∂h of the step after      ∂a, ∂u, ∂h₋₁, ∂c₋₁ from ∂h, ∂c, as the cell says
//     ∂h₋₁ += ∂u·W_hh
//
// and from the ∂a and ∂u of all steps: ∂x = ∂a·W_ih, ∂W_ih = Σ ∂aᵀ·x, ∂W_hh = Σ ∂uᵀ·h₋₁,
// ∂b_ih = Σ ∂a, ∂b_hh = Σ ∂u.

extension ReferenceBackend {
  /// The backward pass of `recurrentForward`; see `Backend`.
  ///
  /// `gradX` is 0 past a sequence's length.
  public func recurrentBackward(
    _ work: RecurrentWork<ReferenceBackend>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradX: Buffer?, gradInitial: RecurrentState<Buffer>?,
    gradParameters: RecurrentParameters<Buffer>
  ) {
    let (layer, reserve) = (work.layer, work.reserve)
    reserve.check(work)
    precondition(reserve.training, "this reserve keeps nothing for a backward pass")
    let (T, N, C) = (work.steps, work.batchSize, layer.inputSize)
    let (H, GH) = (layer.hiddenSize, layer.gateRows)
    walkBack(
      work, gradY: gradY.matrix(T * N, H), gradFinal: gradFinal, gradInitial: gradInitial,
      gradParameters: gradParameters)

    let gradInput = reserve.gradInput.matrix(T * N, GH)
    let gradRecurrent = reserve.gradRecurrent.matrix(T * N, GH)
    // Padding takes no part, whatever it holds.
    let rows = (0..<N).flatMap(work.rows).sorted()
    if let gradX = gradX?.matrix(T * N, C) {
      let weightIH = work.parameters.weightIH.matrix(GH, C)
      gradX.fill(with: 0)
      for row in rows {
        gradX.block(row, of: 1).addProduct(gradInput.block(row, of: 1), weightIH)
      }
    }
    let gradWeightIH = gradParameters.weightIH.matrix(GH, C)
    gradWeightIH.fill(with: 0)
    gradWeightIH.addProduct(transposed: gradInput, work.x.matrix(T * N, C), over: rows)
    RecurrentProduct(gradParameters.weightHH, for: layer).sumGradient(
      gradRecurrent, previousHidden: reserve.previousHidden.matrix(T * N, H), rows: rows)
    if let gradBias = gradParameters.biasIH { gradInput.sumRows(into: gradBias.vector(GH)) }
    if let gradBias = gradParameters.biasHH { gradRecurrent.sumRows(into: gradBias.vector(GH)) }
  }

  /// Leaves ∂a, ∂u and h₋₁ of every step in the reserve, zeros in the padding, and writes the gradients
  /// of h₀, c₀ and the peepholes.
  private func walkBack(
    _ work: RecurrentWork<ReferenceBackend>, gradY: Matrix, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?, gradParameters: RecurrentParameters<Buffer>
  ) {
    let (layer, reserve, rowCount) = (work.layer, work.reserve, work.steps * work.batchSize)
    let (N, H, GH) = (work.batchSize, layer.hiddenSize, layer.gateRows)
    let weightHH = RecurrentProduct(work.parameters.weightHH, for: layer)
    let cell = layer.unitCell(work.parameters, gradients: gradParameters)
    let y = work.y.matrix(rowCount, H)
    let cells = reserve.cells.matrix(rowCount, H)
    let kept = reserve.kept.matrix(rowCount, layer.keptCount * H)
    let previousHidden = reserve.previousHidden.matrix(rowCount, H)
    let gradInput = reserve.gradInput.matrix(rowCount, GH)
    let gradRecurrent = reserve.gradRecurrent.matrix(rowCount, GH)
    let previousCell = reserve.cell.matrix(1, H)
    let gradHidden = reserve.gradHidden.matrix(1, H)
    let gradCell = reserve.gradCell.matrix(1, H)
    Peepholes(gradParameters, for: layer)?.clear(count: H)
    gradInput.fill(with: 0)
    gradRecurrent.fill(with: 0)
    for n in 0..<N {
      let rows = work.rows(of: n)
      gradHidden.load(gradFinal?.hidden.matrix(N, H)[n])
      gradCell.load(gradFinal?.cell?.matrix(N, H)[n])
      for (index, row) in rows.enumerated().reversed() {
        let before = index > 0 ? rows[index - 1] : nil
        previousHidden.block(row, of: 1).load(
          before.map { y[$0] } ?? work.initial?.hidden.matrix(N, H)[n])
        previousCell.load(before.map { cells[$0] } ?? work.initial?.cell?.matrix(N, H)[n])
        for unit in 0..<H {
          let gradient = cell.backward(
            unit, kept: UnitRow(elements: kept[row], hiddenSize: H),
            previous: UnitState(
              hidden: previousHidden[row][unit], cell: previousCell[0][unit]),
            state: UnitState(hidden: y[row][unit], cell: cells[row][unit]),
            gradient: UnitState(
              hidden: gradY[row][unit] + gradHidden[0][unit], cell: gradCell[0][unit]),
            gradInput: UnitRow(elements: gradInput[row], hiddenSize: H),
            gradRecurrent: UnitRow(elements: gradRecurrent[row], hiddenSize: H))
          (gradHidden[0][unit], gradCell[0][unit]) = (gradient.hidden, gradient.cell)
        }
        weightHH.addGradient(gradRecurrent.block(row, of: 1), to: gradHidden)
      }
      gradInitial?.hidden.matrix(N, H).block(n, of: 1).copy(gradHidden)
      gradInitial?.cell?.matrix(N, H).block(n, of: 1).copy(gradCell)
    }
  }
}
