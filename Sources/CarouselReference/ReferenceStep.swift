import CarouselModel

/// One step of one sequence of a layer, forward and backward.
///
/// With h₋₁, c₋₁ the states before:
///
///     h^ = h₋₁ ⊙ mask           a = [LN](x·W_ihᵀ) + b_ih       u = [LN](h^·W_hhᵀ) + b_hh
///     h~, c~ from a, u, h₋₁, c₋₁, each unit by itself, as its cell says
///     h~ = o ⊙ tanh([LN] c~)    h~ = h~·W_hrᵀ with a projection
///     h = k ⊙ h₋₁ + (1 − k) ⊙ h~, and c likewise, with zoneout
///
/// where a GRU that resets before the product has `u_n = [LN]((r ⊙ h^)·W_hh_nᵀ) + b_hh_n`. What is in
/// brackets belongs to layers with normalisation.
struct ReferenceStep {
  let work: RecurrentWork<ReferenceBackend>
  let gradients: RecurrentParameters<ReferenceBackend.Buffer>?
  let rounding: Rounding?
  let masks: RecurrentMasks
  let cell: any UnitCell
  let weightIH: Matrix
  /// Nil where the cell has no recurrent weights; u is 0 then.
  let weightHH: RecurrentProduct?
  let normIH: ProductNormalization?
  let normHH: ProductNormalization?
  /// Of the step that a pass is at: a and u `[1, G·H]`.
  let a: Matrix, u: Matrix
  /// The states `[1, P]` and `[1, M·H]` that a sequence has reached, backward those before the step, and
  /// their gradients.
  let hidden: Matrix, memory: Matrix, gradHidden: Matrix, gradMemory: Matrix
  /// What keeps the memory of the matrices.
  private let owned: [Buffer]
  private typealias Buffer = ReferenceBackend.Buffer

  var layer: RecurrentLayer { work.layer }
  var reserve: ReferenceReserve { work.reserve }
  /// H and P.
  var sizes: (units: Int, states: Int) { (layer.hiddenSize, layer.stateSize) }

  init(
    _ work: RecurrentWork<ReferenceBackend>,
    gradients: RecurrentParameters<ReferenceBackend.Buffer>? = nil, rounding: Rounding?
  ) throws {
    let (layer, parameters) = (work.layer, work.parameters)
    let gateRows = layer.gateRows
    self.work = work
    self.gradients = gradients
    self.rounding = rounding
    masks = RecurrentMasks(work)
    cell = layer.unitCell(parameters, gradients: gradients)
    weightIH = parameters.weightIH.matrix(gateRows, layer.inputSize)
    let count = RecurrentProduct(parameters.weightHH, for: layer)?.count ?? 0
    let dropped = try masks.dropped(parameters.weightHH, count: count)
    weightHH = RecurrentProduct(dropped, for: layer)
    normIH = ProductNormalization(
      parameters.normIH, gradient: gradients?.normIH, for: layer, rounding: rounding)
    normHH = ProductNormalization(
      parameters.normHH, gradient: gradients?.normHH, for: layer, rounding: rounding)
    let (P, MH) = (layer.stateSize, layer.memorySize)
    let scratch = try [gateRows, gateRows, P, MH, P, MH].map { try Buffer(count: $0) }
    (a, u) = (scratch[0].matrix(1, gateRows), scratch[1].matrix(1, gateRows))
    (hidden, memory) = (scratch[2].matrix(1, P), scratch[3].matrix(1, MH))
    (gradHidden, gradMemory) = (scratch[4].matrix(1, P), scratch[5].matrix(1, MH))
    owned = scratch + [dropped].compactMap(\.self)
  }

  /// Adds a bias to a group of gates of `row`.
  private func add(_ bias: ReferenceBackend.Buffer?, to row: Matrix, _ group: Range<Int>) {
    guard let bias = bias?.vector(layer.gateRows) else { return }
    for i in group { row[0][i] += bias[i] }
  }

  /// What the normalised cell state is shifted by.
  var cellShift: UnsafeMutablePointer<Double>? { work.parameters.normCellBias?.vector(sizes.units) }

  /// Row t·N + n forward, of sequence n: `hidden` and `memory` hold the states before and receive those
  /// after.
  func forward(row: Int, sequence n: Int) {
    let (H, P) = sizes
    let gateRows = layer.gateRows
    let kept = UnitRow(
      elements: reserve.row(row, of: reserve.kept, layer.keptCount * H)[0], hiddenSize: H)
    let factors = reserve.row(row, of: reserve.factors, P)
    let inputProducts = reserve.row(row, of: reserve.inputProducts, gateRows)
    inputProducts.fill(with: 0)
    inputProducts.addProduct(
      work.x.matrix(work.sequenceLength * work.batchSize, layer.inputSize).block(row, of: 1),
      transposed: weightIH)
    rounding?.round(inputProducts[0], count: gateRows)
    a.copy(inputProducts)
    for group in layer.groups {
      normIH?.apply(to: a, group: group)
      add(work.parameters.biasIH, to: a, group)
    }
    for j in 0..<P { factors[0][j] = hidden[0][j] * masks.factor(sequence: n, j) }
    let (input, recurrent) = (
      UnitRow(elements: a[0], hiddenSize: H), UnitRow(elements: u[0], hiddenSize: H)
    )
    for (index, group) in layer.groups.enumerated() {
      let isReset = layer.resetsBefore && index > 0
      if isReset, let gru = cell as? GRU {
        let reset = reserve.row(row, of: reserve.reset, H)
        for unit in 0..<H {
          reset[0][unit] =
            gru.reset(unit, input: input, recurrent: recurrent) * factors[0][unit]
        }
      }
      sums(row, of: isReset ? reserve.row(row, of: reserve.reset, H) : factors, group)
    }
    let fresh = reserve.row(row, of: reserve.fresh, layer.memorySize)
    let outputs = reserve.row(row, of: reserve.outputs, H)
    for unit in 0..<H {
      let state = cell.forward(
        unit, input: input, recurrent: recurrent, previous: previous(unit), kept: kept)
      outputs[0][unit] = state.hidden
      store(state.memory, unit, in: fresh)
    }
    rounding?.round(kept.elements, count: layer.keptCount * H)
    rounding?.round(fresh[0], count: layer.memorySize)
    if let normalized = normalizedCell(row) {
      for unit in 0..<H { outputs[0][unit] = cell.output(unit, kept: kept, cell: normalized[unit]) }
    }
    finish(row)
  }

  /// The states before of a unit; without a projection there is one h to each unit.
  func previous(_ unit: Int) -> UnitState {
    let (H, P) = sizes
    return UnitState(hidden: P == H ? hidden[0][unit] : 0, memory: states(unit, of: memory))
  }

  /// What a row `[1, M·H]` holds of a unit.
  func states(_ unit: Int, of row: Matrix) -> UnitMemory {
    var result = UnitMemory.zero
    for index in 0..<layer.memoryCount { result[index] = row[0][index * sizes.units + unit] }
    return result
  }

  /// The way back.
  func store(_ states: UnitMemory, _ unit: Int, in row: Matrix) {
    for index in 0..<layer.memoryCount { row[0][index * sizes.units + unit] = states[index] }
  }

  /// u of a group of gates from what their product reads.
  private func sums(_ row: Int, of factors: Matrix, _ group: Range<Int>) {
    let products = reserve.row(row, of: reserve.recurrentProducts, layer.gateRows)
    for i in group { products[0][i] = 0 }
    weightHH?.add(factors, to: products, rows: group)
    rounding?.round(products[0] + group.lowerBound, count: group.count)
    for i in group { u[0][i] = products[0][i] }
    normHH?.apply(to: u, group: group)
    add(work.parameters.biasHH, to: u, group)
  }

  /// LN(c~) of the row, in layers that have it.
  func normalizedCell(_ row: Int) -> [Double]? {
    let (H, _) = sizes
    guard let gain = work.parameters.normCell?.vector(H) else { return nil }
    let norm = LayerNormalization(
      reserve.row(row, of: reserve.fresh, layer.memorySize)[0], count: H, rounding: rounding)
    return norm.normalized.enumerated().map { $1 * gain[$0] + (cellShift?[$0] ?? 0) }
  }

  /// From the cell's output to h, and from c~ to c and what stands beside it.
  private func finish(_ row: Int) {
    let (H, P) = sizes
    let outputs = reserve.row(row, of: reserve.outputs, H)
    let fresh = reserve.row(row, of: reserve.fresh, layer.memorySize)
    let weightHR = work.parameters.weightHR?.matrix(P, H)
    for j in 0..<P {
      let new = weightHR.map { dot(outputs[0], $0[j], count: H) } ?? outputs[0][j]
      let kept = masks.keptHidden(row: row, j)
      hidden[0][j] = kept * hidden[0][j] + (1 - kept) * new
    }
    for index in 0..<layer.memorySize {
      let kept = masks.keptCell(row: row, index % H)
      memory[0][index] = kept * memory[0][index] + (1 - kept) * fresh[0][index]
    }
    rounding?.round(hidden[0], count: P)
  }
}

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

  /// Replaces ∂a and ∂u by the gradients of the products, and adds to that of h₋₁.
  ///
  /// The gradients of the biases are summed here too.
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
