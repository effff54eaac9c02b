import CarouselModel

extension ReferenceStep {
  /// Row t·N + n backward, of sequence n.
  ///
  /// `gradHidden` and `gradMemory` hold the gradients of this step's states and receive those of the
  /// states before, which are in `hidden` and `memory`. Leaves the gradients of the products in the
  /// reserve, and adds to those of biases, peepholes, projection and normalisations.
  func backward(row: Int, sequence n: Int) {
    let (H, P) = sizes
    let kept = UnitRow(
      elements: reserve.row(row, of: reserve.kept, layer.keptCount * H)[0], hiddenSize: H)
    let fresh = reserve.row(row, of: reserve.fresh, layer.memorySize)
    let gradInput = reserve.row(row, of: reserve.gradInput, layer.gateRows)
    let gradRecurrent = reserve.row(row, of: reserve.gradRecurrent, layer.gateRows)
    let (input, recurrent) = (
      UnitRow(elements: gradInput[0], hiddenSize: H),
      UnitRow(elements: gradRecurrent[0], hiddenSize: H)
    )
    // Zoneout: what is kept passes by the cell.
    var gradNew = [Double](repeating: 0, count: P)
    for j in 0..<P {
      let share = masks.keptHidden(row: row, j)
      gradNew[j] = (1 - share) * gradHidden[0][j]
      gradHidden[0][j] *= share
    }
    var gradFresh = [Double](repeating: 0, count: layer.memorySize)
    for index in gradFresh.indices {
      let share = masks.keptCell(row: row, index % H)
      gradFresh[index] = (1 - share) * gradMemory[0][index]
      gradMemory[0][index] *= share
    }
    let gradOutput = projectionBackward(row, gradNew)
    let gates = outputsBackward(row, gradOutput, kept: kept, gradFresh: &gradFresh)
    for unit in 0..<H {
      var later = UnitMemory.zero
      for index in 0..<layer.memoryCount { later[index] = gradFresh[index * H + unit] }
      let gradient = cell.backward(
        unit, kept: kept, previous: previous(unit), memory: states(unit, of: fresh),
        gradient: UnitGradient(output: gates[unit], memory: later),
        gradInput: input, gradRecurrent: recurrent)
      if P == H { gradHidden[0][unit] += gradient.hidden }
      store(states(unit, of: gradMemory) + gradient.memory, unit, in: gradMemory)
    }
    rounding?.round(gradInput[0], count: layer.gateRows)
    rounding?.round(gradRecurrent[0], count: layer.gateRows)
    productsBackward(row, sequence: n, kept: kept, input: input, recurrent: recurrent)
    rounding?.round(gradHidden[0], count: P)
    rounding?.round(gradMemory[0], count: layer.memorySize)
  }

  /// ∂ of the cell's output from ∂h~.
  private func projectionBackward(_ row: Int, _ gradNew: [Double]) -> [Double] {
    let (H, P) = sizes
    guard let weight = work.parameters.weightHR?.matrix(P, H),
      let gradWeight = gradients?.weightHR?.matrix(P, H)
    else { return gradNew }
    let outputs = reserve.row(row, of: reserve.outputs, H)
    var result = [Double](repeating: 0, count: H)
    for j in 0..<P {
      for unit in 0..<H {
        result[unit] += gradNew[j] * weight[j][unit]
        gradWeight[j][unit] += gradNew[j] * outputs[0][unit]
      }
    }
    return result
  }

  /// Of each unit what reaches the output gate, or h itself; adds to `gradFresh` what reaches c~.
  private func outputsBackward(
    _ row: Int, _ gradOutput: [Double], kept: UnitRow, gradFresh: inout [Double]
  ) -> [Double] {
    let (H, _) = sizes
    let fresh = reserve.row(row, of: reserve.fresh, layer.memorySize)
    let normalized = normalizedCell(row)
    let results = (0..<H).map { unit in
      cell.outputBackward(
        unit, kept: kept, cell: normalized?[unit] ?? states(unit, of: fresh).cell,
        gradHidden: gradOutput[unit])
    }
    var gradCell = results.map(\.cell)
    if let gain = work.parameters.normCell?.vector(H) {
      let norm = LayerNormalization(fresh[0], count: H, rounding: rounding)
      let (gradGain, gradShift) = (
        gradients?.normCell?.vector(H), gradients?.normCellBias?.vector(H)
      )
      for unit in 0..<H {
        gradGain?[unit] += gradCell[unit] * norm.normalized[unit]
        gradShift?[unit] += gradCell[unit]
      }
      gradCell = norm.backward(gradCell.enumerated().map { $1 * gain[$0] })
    }
    for unit in gradFresh.indices.prefix(H) { gradFresh[unit] += gradCell[unit] }
    return results.map(\.gate)
  }

  /// From ∂a and ∂u to the gradients of the products in their place, and to that of h₋₁, to which it
  /// adds; the gradients of the biases are summed on the way.
  private func productsBackward(
    _ row: Int, sequence n: Int, kept: UnitRow, input: UnitRow, recurrent: UnitRow
  ) {
    let (H, P) = sizes
    let gateRows = layer.gateRows
    let gradInput = reserve.row(row, of: reserve.gradInput, gateRows)
    let gradRecurrent = reserve.row(row, of: reserve.gradRecurrent, gateRows)
    let factors = reserve.row(row, of: reserve.factors, P)
    a.fill(with: 0)
    let gradFactors = Matrix(elements: a[0], rows: 1, columns: P)
    for (index, group) in layer.groups.enumerated().reversed() {
      if let gradBias = gradients?.biasHH?.vector(gateRows) {
        for i in group { gradBias[i] += gradRecurrent[0][i] }
      }
      normHH?.backward(
        gradRecurrent, products: reserve.row(row, of: reserve.recurrentProducts, gateRows),
        group: group)
      if layer.resetsBefore, index > 0, let gru = cell as? GRU {
        u.fill(with: 0)
        let gradReset = Matrix(elements: u[0], rows: 1, columns: H)
        weightHH?.addGradient(gradRecurrent, to: gradReset, rows: group)
        for unit in 0..<H {
          gradFactors[0][unit] += gru.resetBackward(
            unit, kept: kept, factor: factors[0][unit], gradient: gradReset[0][unit],
            gradInput: input, gradRecurrent: recurrent)
        }
      } else {
        weightHH?.addGradient(gradRecurrent, to: gradFactors, rows: group)
      }
    }
    for j in 0..<P { gradHidden[0][j] += gradFactors[0][j] * masks.factor(sequence: n, j) }
    for group in layer.groups {
      if let gradBias = gradients?.biasIH?.vector(gateRows) {
        for i in group { gradBias[i] += gradInput[0][i] }
      }
      normIH?.backward(
        gradInput, products: reserve.row(row, of: reserve.inputProducts, gateRows), group: group)
    }
  }
}
