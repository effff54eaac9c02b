import CarouselModel
import OpenCLDriver

extension OpenCLBackend {
  /// Allocates the reserve of one layer in device memory: `(SLOTS + 1)·T·N·H` floats with `training`,
  /// and `3·G·T·N·H` more with layer normalisation.
  public func makeReserve(
    for layer: RecurrentLayer, steps: Int, batchSize: Int, training: Bool
  ) throws -> OpenCLReserve {
    try OpenCLReserve(launcher, layer, steps: steps, batchSize: batchSize, training: training)
  }

  /// Queues one product of all inputs, where the strategy does not do it on the way, then the steps as
  /// the form's strategy walks them.
  public func recurrentForward(
    _ work: RecurrentWork<OpenCLBackend>, final: RecurrentState<Buffer>?
  ) throws {
    try tuned(work.layer, batchSize: work.batchSize) { try queueForward(work, final: final) }
  }

  private func queueForward(
    _ work: RecurrentWork<OpenCLBackend>, final: RecurrentState<Buffer>?
  ) throws {
    let pass = RecurrentPass(work: work)
    let strategy = try strategy(for: pass)
    work.reserve.weightHH = try launcher.recurrentWeights(pass)
    work.reserve.masks = try launcher.drawMasks(pass)
    let multipliesInputs = strategy.multipliesInputs(pass)
    // The gradients' products read the inputs of every step.
    work.reserve.x =
      work.reserve.training || !multipliesInputs ? try launcher.activeInputs(pass) : nil
    if !multipliesInputs { try multiplyInputs(pass) }
    try strategy.forward(pass, final: final)
    if !work.reserve.training { work.reserve.x = nil }
  }

  private func multiplyInputs(_ pass: RecurrentPass) throws {
    let (layer, parameters) = (pass.layer, pass.parameters)
    let isNormed = layer.options.layerNorm
    try products.forward(
      x: pass.reserve.x ?? pass.work.x, weight: parameters.weightIH,
      bias: isNormed ? nil : parameters.biasIH,
      bias2: pass.separateBias == nil ? parameters.biasHH : nil, y: pass.reserve.gates,
      yStride: layer.slotCount * layer.hiddenSize, rows: pass.rows, columns: layer.gateRows,
      depth: layer.inputSize)
    if isNormed { try launcher.normalizeInputs(pass) }
  }

  /// Queues the steps backward, then the products that make the gradients of weights and inputs.
  public func recurrentBackward(
    _ work: RecurrentWork<OpenCLBackend>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradX: Buffer?, gradInitial: RecurrentState<Buffer>?,
    gradParameters: RecurrentParameters<Buffer>
  ) throws {
    try tuned(work.layer, batchSize: work.batchSize) {
      try queueBackward(
        RecurrentPass(work: work), gradY: gradY, gradFinal: gradFinal, gradX: gradX,
        gradInitial: gradInitial, gradParameters: gradParameters)
    }
  }

  private func queueBackward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?, gradX: Buffer?,
    gradInitial: RecurrentState<Buffer>?, gradParameters: RecurrentParameters<Buffer>
  ) throws {
    let layer = pass.layer
    try strategy(for: pass).backward(
      pass, gradY: gradY, gradFinal: gradFinal, gradInitial: gradInitial)
    let inputs = try inputGradients(pass, gradParameters)
    try queueWeightGradients(pass, inputs, gradParameters)
    if layer.options.peepholes { try queuePeepholeGradients(pass, gradParameters) }
    if let gradWeight = gradParameters.weightHR { try queueProjectionGradient(pass, gradWeight) }
    guard let gradX else { return }
    try products.backward(
      gradY: inputs.buffer, gradYStride: inputs.stride, weight: pass.parameters.weightIH,
      gradX: gradX, rows: pass.rows, columns: layer.inputSize, depth: layer.gateRows)
  }

  /// The gradients of the input products, in the first G·H columns of their rows: those of the sums,
  /// or behind a normalisation, whose own gradients are queued then.
  private func inputGradients(
    _ pass: RecurrentPass, _ gradients: RecurrentParameters<Buffer>
  ) throws -> (buffer: Buffer, stride: Int) {
    guard pass.layer.options.layerNorm else {
      return (pass.reserve.gates, pass.layer.slotCount * pass.hiddenSize)
    }
    return (try launcher.normGradients(pass, gradients), pass.layer.gateRows)
  }

  /// The gradients of `weight_ih`, `weight_hh` and, but behind a normalisation, of the biases.
  private func queueWeightGradients(
    _ pass: RecurrentPass, _ inputGradients: (buffer: Buffer, stride: Int),
    _ gradients: RecurrentParameters<Buffer>
  ) throws {
    let layer = pass.layer
    let weightHH: Buffer? =
      switch layer.options.recurrence {
      case .dense: gradients.weightHH
      case .diagonal: nil
      case .blocks: try launcher.scratch(count: layer.gateRows * layer.stateSize)
      }
    let input = ProductInput(
      source: .matrix(pass.reserve.x ?? pass.work.x), columns: layer.inputSize,
      gradWeight: gradients.weightIH,
      rows: layer.gateRows)
    // The gates whose recurrent product has the same gradient and the same factors as the first.
    let shared = layer.keepsRecurrentProduct || layer.resetsBefore ? 2 : layer.gateCount
    let sharedRows = shared * pass.hiddenSize
    func states(_ source: ProductInput.Source, rows: Int, offset: Int = 0) -> [ProductInput] {
      guard let weightHH else { return [] }
      return [
        ProductInput(
          source: source, columns: pass.stateSize, gradWeight: weightHH, rows: rows,
          offset: offset)
      ]
    }
    var columns = GradientColumns(
      buffer: inputGradients.buffer, stride: inputGradients.stride, rows: layer.gateRows,
      depth: pass.rows)
    let recurrent: (buffer: Buffer, stride: Int)
    if let normed = pass.reserve.rows?.gradients {
      try products.gradients(columns, inputs: [input])
      recurrent = (normed, layer.gateRows)
      columns = GradientColumns(
        buffer: normed, stride: layer.gateRows, rows: sharedRows, depth: pass.rows)
      if weightHH != nil {
        try products.gradients(columns, inputs: states(.statesBefore(pass), rows: sharedRows))
      }
    } else {
      recurrent = inputGradients
      columns.sums = gradients.biasIH
      columns.sums2 = gradients.biasHH
      columns.sums2Count = layer.keepsRecurrentProduct ? sharedRows : layer.gateRows
      try products.gradients(
        columns, inputs: [input] + states(.statesBefore(pass), rows: sharedRows))
    }
    // The last gate of a GRU: another gradient, or other factors.
    let last = layer.keepsRecurrentProduct && pass.reserve.rows == nil ? shared + 1 : shared
    let source: ProductInput.Source =
      pass.reserve.rows?.reset.map { .matrix($0) } ?? .statesBefore(pass)
    let hasBias = pass.reserve.rows == nil && gradients.biasHH != nil
    if shared < layer.gateCount, hasBias || weightHH != nil {
      try products.gradients(
        GradientColumns(
          buffer: recurrent.buffer, stride: recurrent.stride, offset: last * pass.hiddenSize,
          rows: pass.hiddenSize, depth: pass.rows, sums2: hasBias ? gradients.biasHH : nil,
          sums2Offset: sharedRows, sums2Count: pass.hiddenSize),
        inputs: states(source, rows: pass.hiddenSize, offset: sharedRows * pass.stateSize))
    }
    if layer.options.recurrence == .diagonal {
      try queueDiagonalGradients(pass, recurrent, gradients.weightHH, shared: shared, last: last)
    }
    try launcher.recurrentWeightGradient(
      pass, from: weightHH ?? gradients.weightHH, into: gradients.weightHH)
  }

  /// The gradient of a diagonal `weight_hh`: for each gate a sum of products.
  private func queueDiagonalGradients(
    _ pass: RecurrentPass, _ recurrent: (buffer: Buffer, stride: Int), _ gradient: Buffer,
    shared: Int, last: Int
  ) throws {
    let (H, gateCount) = (pass.hiddenSize, pass.layer.gateCount)
    for gate in 0..<gateCount {
      let reset = gate < shared ? nil : pass.reserve.rows?.reset
      try launcher.sumStates(
        pass, gates: recurrent.buffer, slots: recurrent.stride / H,
        slot: gate < shared ? gate : last, states: reset ?? pass.factors,
        initial: pass.initialFactors, lengths: pass.lengths, isCurrent: reset != nil,
        into: gradient, offset: gate * H)
    }
  }

  /// The gradients of the peepholes: i and f saw the cell state before each step, o the one that the
  /// step made.
  private func queuePeepholeGradients(
    _ pass: RecurrentPass, _ gradients: RecurrentParameters<Buffer>
  ) throws {
    guard let cells = pass.reserve.cells, let fresh = pass.freshCells else {
      preconditionFailure("peepholes without cells")
    }
    let gates = pass.layer.options.weightGates(of: pass.layer.cell)
    for (name, gradient) in [
      ("input", gradients.peepholeInput), ("forget", gradients.peepholeForget),
      ("output", gradients.peepholeOutput),
    ] {
      guard let gradient, let slot = gates.firstIndex(of: name) else { continue }
      let isOutput = name == "output"
      try launcher.sumStates(
        pass, gates: pass.reserve.gates, slots: pass.layer.slotCount, slot: slot,
        states: isOutput ? fresh : cells, initial: pass.initial?.cell, lengths: pass.lengths,
        isCurrent: isOutput, into: gradient)
    }
  }

  /// The gradient of `weight_hr`, from those of what the projection made.
  private func queueProjectionGradient(_ pass: RecurrentPass, _ gradWeight: Buffer) throws {
    guard let hidden = pass.reserve.rows?.hidden, let states = pass.reserve.rows?.gradStates else {
      preconditionFailure("a reserve of another layer")
    }
    try products.gradients(
      GradientColumns(
        buffer: states, stride: pass.stateSize, rows: pass.stateSize, depth: pass.rows),
      inputs: [
        ProductInput(
          source: .matrix(hidden), columns: pass.hiddenSize, gradWeight: gradWeight,
          rows: pass.stateSize)
      ])
  }

  /// Queues one product.
  public func linearForward(
    x: Buffer, weight: Buffer, bias: Buffer?, y: Buffer, rows: Int, inputSize: Int,
    outputSize: Int
  ) throws {
    try products.forward(
      x: x, weight: weight, bias: bias, bias2: nil, y: y, yStride: nil, rows: rows,
      columns: outputSize, depth: inputSize)
  }

  /// Queues one or two products; the bias's gradient is summed on the way.
  public func linearBackward(
    x: Buffer, weight: Buffer, gradY: Buffer, gradX: Buffer?, gradWeight: Buffer,
    gradBias: Buffer?, rows: Int, inputSize: Int, outputSize: Int
  ) throws {
    try products.gradients(
      GradientColumns(
        buffer: gradY, stride: outputSize, rows: outputSize, depth: rows, sums: gradBias),
      inputs: [
        ProductInput(
          source: .matrix(x), columns: inputSize, gradWeight: gradWeight, rows: outputSize)
      ])
    guard let gradX else { return }
    try products.backward(
      gradY: gradY, gradYStride: nil, weight: weight, gradX: gradX, rows: rows,
      columns: inputSize, depth: outputSize)
  }
}
