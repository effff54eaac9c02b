import CarouselModel
import OpenCLDriver

extension OpenCLBackend {
  /// Allocates the reserve of one layer in device memory: `(SLOTS + 1)·T·N·H` floats with `training`,
  /// `3·G·T·N·H` more with layer normalisation, and 16 for each row of gates that `rowStride` sets apart.
  public func makeReserve(
    for layer: RecurrentLayer, sequenceLength: Int, batchSize: Int, training: Bool
  ) throws -> OpenCLReserve {
    try checkReserve(for: layer, sequenceLength: sequenceLength, batchSize: batchSize)
    return try OpenCLReserve(
      launcher, layer, sequenceLength: sequenceLength, batchSize: batchSize, training: training)
  }

  /// Queues one product of all inputs, where the strategy does not do it on the way, then the steps as
  /// the form's strategy walks them.
  public func recurrentForward(
    _ work: RecurrentWork<OpenCLBackend>, final: RecurrentState<Buffer>?
  ) throws {
    try checkRecurrent(work, final: final)
    try tuned(work.layer, batchSize: work.batchSize) { try queueForward(work, final: final) }
  }

  private func queueForward(
    _ work: RecurrentWork<OpenCLBackend>, final: RecurrentState<Buffer>?
  ) throws {
    let pass = RecurrentPass(work: work, plan: launcher.plan(work))
    let strategy = try strategy(for: pass)
    // The other strategies count their launches, and one that is queued again would not be counted.
    if !(strategy is SequenceStrategy) { launcher.recording?.refuse() }
    work.reserve.weightHH = try launcher.recurrentWeights(pass)
    work.reserve.masks = try launcher.drawMasks(pass)
    let multipliesBefore = pass.plan.inputs.value == .before
    // Products of all steps read the inputs of steps that sequences do not have.
    work.reserve.x =
      work.reserve.training && !pass.plan.packsGradients.value || multipliesBefore
      ? try launcher.activeInputs(pass) : nil
    if multipliesBefore { try multiplyInputs(pass) }
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
      yStride: pass.reserve.gatesStride, rows: pass.rows, columns: layer.gateRows,
      depth: layer.inputSize)
    if isNormed { try launcher.normalizeInputs(pass) }
  }

  /// Queues the steps backward, then the products that make the gradients of weights and inputs.
  public func recurrentBackward(
    _ work: RecurrentWork<OpenCLBackend>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradX: Buffer?, gradInitial: RecurrentState<Buffer>?,
    gradParameters: RecurrentParameters<Buffer>
  ) throws {
    try checkRecurrentBackward(
      work, gradY: gradY, gradFinal: gradFinal, gradX: gradX, gradInitial: gradInitial,
      gradParameters: gradParameters)
    try tuned(work.layer, batchSize: work.batchSize) {
      try queueBackward(
        RecurrentPass(work: work, plan: launcher.plan(work)), gradY: gradY, gradFinal: gradFinal,
        gradX: gradX,
        gradInitial: gradInitial, gradParameters: gradParameters)
    }
  }

  private func queueBackward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?, gradX: Buffer?,
    gradInitial: RecurrentState<Buffer>?, gradParameters: RecurrentParameters<Buffer>
  ) throws {
    let layer = pass.layer
    let strategy = try strategy(for: pass)
    let multipliesInputs = pass.plan.inputGradientsDuringSteps.value
    let packed = try strategy.packedGradients(pass)
    try strategy.backward(
      pass,
      RecurrentGradients(
        y: gradY, final: gradFinal, initial: gradInitial, x: multipliesInputs ? gradX : nil,
        packed: packed))
    let inputs = try inputGradients(pass, gradParameters)
    try queueWeightGradients(pass, inputs, packed, gradParameters)
    if layer.options.peepholes { try queuePeepholeGradients(pass, gradParameters) }
    if let gradWeight = gradParameters.weightHR { try queueProjectionGradient(pass, gradWeight) }
    guard let gradX, !multipliesInputs else { return }
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
      return (pass.reserve.gates, pass.reserve.gatesStride)
    }
    return (try launcher.normGradients(pass, gradients), pass.layer.gateRows)
  }

  /// The gradients of `weight_ih`, `weight_hh` and, but behind a normalisation, of the biases.
  private func queueWeightGradients(
    _ pass: RecurrentPass, _ inputGradients: (buffer: Buffer, stride: Int),
    _ packed: PackedGradients?, _ gradients: RecurrentParameters<Buffer>
  ) throws {
    let (layer, H, rows) = (pass.layer, pass.hiddenSize, pass.layer.gateRows)
    let gates = layer.gateCount
    let weightHH: Buffer? =
      switch layer.recurrence {
      case .dense: gradients.weightHH
      case .diagonal, .absent: nil
      case .blocks: try launcher.scratch(count: rows * layer.stateSize)
      }
    let normed = pass.reserve.staged?.gradients
    let isNormed = normed != nil
    var inputs = WeightGradient(
      source: .matrix(pass.reserve.x ?? pass.work.x), columns: layer.inputSize,
      weight: gradients.weightIH, bias: isNormed ? nil : gradients.biasIH)
    var states = WeightGradient(
      source: .statesBefore(pass), columns: pass.stateSize, weight: weightHH,
      bias: isNormed ? nil : gradients.biasHH)
    // The last gate of a GRU: its recurrent product has a slot of its own, and so another gradient, or
    // with the reset gate before it other factors.
    let hasOwnSlot = layer.keepsRecurrentProduct && !isNormed
    var columns = GradientColumns(
      buffer: inputGradients.buffer, stride: inputGradients.stride,
      slots: hasOwnSlot ? gates + 1 : gates, width: H, depth: pass.rows, packed: packed)
    if hasOwnSlot { inputs.skippedSlot = gates }
    if hasOwnSlot || layer.resetsBefore { states.skippedSlot = gates - 1 }
    if let normed {
      try products.gradients(columns, [inputs])
      columns = GradientColumns(
        buffer: normed, stride: rows, slots: gates, width: H, depth: pass.rows)
      if weightHH != nil { try products.gradients(columns, [states]) }
    } else {
      try products.gradients(columns, [inputs, states])
    }
    if layer.resetsBefore, let reset = pass.reserve.staged?.reset, weightHH != nil || !isNormed {
      columns = GradientColumns(
        buffer: columns.buffer, stride: columns.stride, offset: rows - H, width: H,
        depth: pass.rows)
      try products.gradients(
        columns,
        [
          WeightGradient(
            source: .matrix(reset), columns: pass.stateSize, weight: weightHH,
            bias: states.bias, first: rows - H)
        ])
    }
    guard let gradient = gradients.weightHH else { return }
    if layer.recurrence == .diagonal {
      try queueDiagonalGradients(pass, columns, gradient, lastSlot: hasOwnSlot ? gates : nil)
    }
    try launcher.recurrentWeightGradient(pass, from: weightHH ?? gradient, into: gradient)
  }

  /// The gradient of a diagonal `weight_hh`: for each gate a sum of products.
  private func queueDiagonalGradients(
    _ pass: RecurrentPass, _ columns: GradientColumns, _ gradient: Buffer, lastSlot: Int?
  ) throws {
    let (H, gateCount) = (pass.hiddenSize, pass.layer.gateCount)
    for gate in 0..<gateCount {
      let isLast = gate == gateCount - 1
      let reset = isLast ? pass.reserve.staged?.reset : nil
      try launcher.sumStates(
        pass, gates: columns.buffer, gatesStride: columns.stride,
        slot: isLast ? lastSlot ?? gate : gate, states: reset ?? pass.recurrentInput,
        rows: reset == nil ? pass.recurrentInputRows : nil, initial: pass.initialRecurrentInput,
        lengths: pass.lengths, isCurrent: reset != nil, into: gradient, offset: gate * H)
    }
  }

  /// The gradients of the peepholes: i and f saw the cell state before each step, o the one that the
  /// step made.
  private func queuePeepholeGradients(
    _ pass: RecurrentPass, _ gradients: RecurrentParameters<Buffer>
  ) throws {
    guard let cells = pass.reserve.cells, let made = pass.cellBeforeZoneout else {
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
        pass, gates: pass.reserve.gates, gatesStride: pass.reserve.gatesStride, slot: slot,
        states: isOutput ? made : cells, initial: pass.initial?.memory, lengths: pass.lengths,
        isCurrent: isOutput, into: gradient)
    }
  }

  /// The gradient of `weight_hr`, from those of what the projection made.
  private func queueProjectionGradient(_ pass: RecurrentPass, _ gradWeight: Buffer) throws {
    guard let hidden = pass.reserve.staged?.hidden, let states = pass.reserve.staged?.gradStates
    else {
      preconditionFailure("a reserve of another layer")
    }
    try products.gradients(
      GradientColumns(
        buffer: states, stride: pass.stateSize, width: pass.stateSize, depth: pass.rows),
      [WeightGradient(source: .matrix(hidden), columns: pass.hiddenSize, weight: gradWeight)])
  }

  /// Queues one product.
  public func linearForward(
    x: Buffer, weight: Buffer, bias: Buffer?, y: Buffer, rows: Int, inputSize: Int,
    outputSize: Int
  ) throws {
    try checkLinear(
      x: x, weight: weight, bias: bias, y: y, rows: rows, inputSize: inputSize,
      outputSize: outputSize)
    try products.forward(
      x: x, weight: weight, bias: bias, bias2: nil, y: y, yStride: nil, rows: rows,
      columns: outputSize, depth: inputSize)
  }

  /// Queues one or two products; the bias's gradient is summed on the way.
  public func linearBackward(
    x: Buffer, weight: Buffer, gradY: Buffer, gradX: Buffer?, gradWeight: Buffer,
    gradBias: Buffer?, rows: Int, inputSize: Int, outputSize: Int
  ) throws {
    try checkLinearBackward(
      x: x, weight: weight, gradY: gradY, gradX: gradX, gradWeight: gradWeight,
      gradBias: gradBias, rows: rows, inputSize: inputSize, outputSize: outputSize)
    try products.gradients(
      GradientColumns(buffer: gradY, stride: outputSize, width: outputSize, depth: rows),
      [
        WeightGradient(
          source: .matrix(x), columns: inputSize, weight: gradWeight, bias: gradBias)
      ])
    guard let gradX else { return }
    try products.backward(
      gradY: gradY, gradYStride: nil, weight: weight, gradX: gradX, rows: rows,
      columns: inputSize, depth: outputSize)
  }
}

// The twin of merge.cl.
extension OpenCLBackend {
  private func vectors(_ count: Int) -> Int { ceilDivide(count, launcher.parameters.width) }

  /// Queues one launch.
  public func add(_ y: Buffer, to x: Buffer, count: Int) throws {
    try check(x, "x", count)
    try check(y, "y", count)
    try launcher.launch(
      launcher.kernel("add", in: Launcher.mergeFiles), items: vectors(count),
      flops: Double(count),
      bytes: 12 * Double(count), ["x": .buffer(x), "y": .buffer(y), "count": .int(count)])
  }

  /// Queues one launch.
  public func mergeForward(
    _ merge: Merge, _ a: Buffer, _ b: Buffer, into y: Buffer, rows: Int, width: Int
  ) throws {
    try checkMerge(merge, a, b, y, rows: rows, width: width)
    try launcher.merge(merge, a, b, into: y, rows: rows, width: width)
  }

  /// Queues one launch.
  public func mergeBackward(
    _ merge: Merge, gradY: Buffer, _ a: Buffer, _ b: Buffer, gradA: Buffer, gradB: Buffer,
    rows: Int, width: Int
  ) throws {
    try checkMerge(merge, gradY, a, b, gradA, gradB, rows: rows, width: width)
    try launcher.launch(
      launcher.kernel("merge_backward", in: Launcher.mergeFiles), global: [vectors(width), rows],
      bytes: 16 * Double(rows * width),
      [
        "grad_y": .buffer(gradY), "a": .buffer(a), "b": .buffer(b), "grad_a": .buffer(gradA),
        "grad_b": .buffer(gradB), "width": .int(width), "mode": .int(merge.kernelNumber),
      ])
  }
}

extension Launcher {
  static let mergeFiles = ["ops/merge.cl"]

  func merge(
    _ merge: Merge, _ a: Buffer, _ b: Buffer, into y: Buffer, rows: Int, width: Int
  ) throws {
    try launch(
      kernel("merge_forward", in: Self.mergeFiles),
      global: [ceilDivide(width, parameters.width), rows], bytes: 16 * Double(rows * width),
      [
        "a": .buffer(a), "b": .buffer(b), "y": .buffer(y), "width": .int(width),
        "mode": .int(merge.kernelNumber),
      ])
  }

  /// `y[i] = a[i] b[i]`.
  func multiply(_ a: Buffer, _ b: Buffer, into y: Buffer, count: Int) throws {
    try merge(.multiply, a, b, into: y, rows: 1, width: count)
  }
}

extension Merge {
  /// The number of the merge in `ops/merge.cl`.
  fileprivate var kernelNumber: Int {
    switch self {
    case .concatenate: preconditionFailure("the directions do it themselves")
    case .sum: 0
    case .average: 1
    case .multiply: 2
    }
  }
}
