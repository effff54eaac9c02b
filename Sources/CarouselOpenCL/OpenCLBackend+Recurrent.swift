import CarouselModel
import OpenCLDriver

extension OpenCLBackend {
  /// Allocates the reserve of one layer in device memory: `(SLOTS + 1)·T·N·H` floats with `training`.
  public func makeReserve(
    for layer: RecurrentLayer, steps: Int, batchSize: Int, training: Bool
  ) throws -> OpenCLReserve {
    try OpenCLReserve(launcher, layer, steps: steps, batchSize: batchSize, training: training)
  }

  /// Queues one product of all inputs, then the steps as the form's strategy walks them.
  public func recurrentForward(
    _ work: RecurrentWork<OpenCLBackend>, final: RecurrentState<Buffer>?
  ) throws {
    let (layer, parameters) = (work.layer, work.parameters)
    let pass = RecurrentPass(work: work)
    try products.forward(
      x: work.x, weight: parameters.weightIH, bias: parameters.biasIH,
      bias2: layer.keepsRecurrentProduct ? nil : parameters.biasHH, y: work.reserve.gates,
      yStride: layer.slotCount * layer.hiddenSize, rows: pass.rows, columns: layer.gateRows,
      depth: layer.inputSize)
    try strategy(for: layer).forward(pass, final: final)
  }

  /// Queues the steps backward, then the products that make the gradients of weights and inputs.
  public func recurrentBackward(
    _ work: RecurrentWork<OpenCLBackend>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradX: Buffer?, gradInitial: RecurrentState<Buffer>?,
    gradParameters: RecurrentParameters<Buffer>
  ) throws {
    let layer = work.layer
    let pass = RecurrentPass(work: work)
    try strategy(for: layer).backward(
      pass, gradY: gradY, gradFinal: gradFinal, gradInitial: gradInitial)
    try queueWeightGradients(pass, gradParameters)
    if layer.options.peepholes { try queuePeepholeGradients(pass, gradParameters) }
    guard let gradX else { return }
    try products.backward(
      gradY: work.reserve.gates, gradYStride: layer.slotCount * layer.hiddenSize,
      weight: work.parameters.weightIH, gradX: gradX, rows: pass.rows, columns: layer.inputSize,
      depth: layer.gateRows)
  }

  /// The gradients of `weight_ih`, `weight_hh` and the biases, from those of the sums.
  private func queueWeightGradients(
    _ pass: RecurrentPass, _ gradients: RecurrentParameters<Buffer>
  ) throws {
    let (layer, H) = (pass.layer, pass.hiddenSize)
    // The gates whose recurrent product shares its slot with the input's.
    let shared = layer.keepsRecurrentProduct ? layer.gateRows - H : layer.gateRows
    let isDense = layer.options.recurrence == .dense
    let stride = layer.slotCount * H
    func states(rows: Int, offset: Int = 0) -> [ProductInput] {
      guard isDense else { return [] }
      return [
        ProductInput(
          source: .statesBefore(pass), columns: H, gradWeight: gradients.weightHH, rows: rows,
          offset: offset)
      ]
    }
    let inputs = [
      ProductInput(
        source: .matrix(pass.work.x), columns: layer.inputSize, gradWeight: gradients.weightIH,
        rows: layer.gateRows)
    ]
    try products.gradients(
      GradientColumns(
        buffer: pass.reserve.gates, stride: stride, rows: layer.gateRows, depth: pass.rows,
        sums: gradients.biasIH, sums2: gradients.biasHH, sums2Count: shared),
      inputs: inputs + states(rows: shared))
    if layer.keepsRecurrentProduct {
      try products.gradients(
        GradientColumns(
          buffer: pass.reserve.gates, stride: stride, offset: layer.gateRows, rows: H,
          depth: pass.rows, sums2: gradients.biasHH, sums2Offset: shared, sums2Count: H),
        inputs: states(rows: H, offset: shared * H))
    }
    guard !isDense else { return }
    for gate in 0..<layer.gateCount {
      let isSeparate = layer.keepsRecurrentProduct && gate == layer.gateCount - 1
      try launcher.sumStates(
        pass, slot: isSeparate ? gate + 1 : gate, states: pass.y, initial: pass.initial?.hidden,
        lengths: pass.lengths, into: gradients.weightHH, offset: gate * H)
    }
  }

  /// The gradients of the peepholes: i and f saw the cell state before each step, o the one after.
  private func queuePeepholeGradients(
    _ pass: RecurrentPass, _ gradients: RecurrentParameters<Buffer>
  ) throws {
    guard let cells = pass.reserve.cells else { preconditionFailure("peepholes without cells") }
    let gates = pass.layer.options.weightGates(of: pass.layer.cell)
    for (name, gradient) in [
      ("input", gradients.peepholeInput), ("forget", gradients.peepholeForget),
      ("output", gradients.peepholeOutput),
    ] {
      guard let gradient, let slot = gates.firstIndex(of: name) else { continue }
      try launcher.sumStates(
        pass, slot: slot, states: cells, initial: pass.initial?.cell, lengths: nil,
        isCurrent: name == "output", into: gradient)
    }
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
