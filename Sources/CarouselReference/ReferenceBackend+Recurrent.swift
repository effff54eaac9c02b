import CarouselModel

// Each sequence by itself, from its first step to its last, or from its last to its first. A step reads
// h₋₁ and c₋₁ and computes
//
//     a = b_ih + x·W_ihᵀ        u = b_hh + h₋₁·W_hhᵀ
//
// then each unit by itself, as its cell says: h, c from a, u, h₋₁, c₋₁.

extension ReferenceBackend {
  /// Allocates the reserve of one layer: memory is T·N·H·(2·G + K + 2) elements with `training`, K as
  /// the cell says.
  public func makeReserve(
    for layer: RecurrentLayer, steps: Int, batchSize: Int, training: Bool
  ) throws -> ReferenceReserve {
    precondition(steps > 0 && batchSize > 0)
    return try ReferenceReserve(
      layer: layer, steps: steps, batchSize: batchSize, training: training)
  }

  /// One layer over all its steps; see `Backend` for shapes and aliasing.
  public func recurrentForward(
    _ work: RecurrentWork<ReferenceBackend>, final: RecurrentState<Buffer>?
  ) {
    let (layer, reserve) = (work.layer, work.reserve)
    reserve.check(work)
    let (T, N) = (work.steps, work.batchSize)
    let (C, H, GH) = (layer.inputSize, layer.hiddenSize, layer.gateRows)
    let weightIH = work.parameters.weightIH.matrix(GH, C)
    let weightHH = RecurrentProduct(work.parameters.weightHH, for: layer)
    let cell = layer.unitCell(work.parameters)
    let x = work.x.matrix(T * N, C)
    let y = work.y.matrix(T * N, H)
    let slots = reserve.training ? T * N : 1
    let kept = reserve.kept.matrix(slots, layer.keptCount * H)
    let cells = reserve.cells.matrix(slots, H)
    let (a, u) = (reserve.input.matrix(1, GH), reserve.recurrent.matrix(1, GH))
    let (hidden, memory) = (reserve.hidden.matrix(1, H), reserve.cell.matrix(1, H))
    y.fill(with: 0)
    for n in 0..<N {
      hidden.load(work.initial?.hidden.matrix(N, H)[n])
      memory.load(work.initial?.cell?.matrix(N, H)[n])
      for row in work.rows(of: n) {
        // Without training, each step overwrites what the one before kept.
        let slot = reserve.training ? row : 0
        a.load(work.parameters.biasIH?.vector(GH))
        a.addProduct(x.block(row, of: 1), transposed: weightIH)
        u.load(work.parameters.biasHH?.vector(GH))
        weightHH.add(hidden, to: u)
        for unit in 0..<H {
          let state = cell.forward(
            unit, input: UnitRow(elements: a[0], hiddenSize: H),
            recurrent: UnitRow(elements: u[0], hiddenSize: H),
            previous: UnitState(hidden: hidden[0][unit], cell: memory[0][unit]),
            kept: UnitRow(elements: kept[slot], hiddenSize: H))
          (hidden[0][unit], memory[0][unit]) = (state.hidden, state.cell)
        }
        y.block(row, of: 1).copy(hidden)
        cells.block(slot, of: 1).copy(memory)
      }
      final?.hidden.matrix(N, H).block(n, of: 1).copy(hidden)
      final?.cell?.matrix(N, H).block(n, of: 1).copy(memory)
    }
  }
}
