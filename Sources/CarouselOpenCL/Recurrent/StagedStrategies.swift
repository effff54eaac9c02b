import CarouselModel
import OpenCLDriver

// The twins of recurrent/staged.cl: layers whose steps have stages that wait for each other.

/// The arguments GRADIENT_PARAMETERS of `recurrent/staged_backward.cl`.
struct StagedGradients {
  let gradY: Buffer
  let hidden: Buffer
  let cell: Buffer?
  let products: Buffer
  let normedCell: Buffer?
  let states: Buffer
  let projected: Buffer
  let reset: Buffer?
  let back: Buffer
  private let gradInitialHidden: Buffer?

  init(_ launcher: Launcher, _ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    guard let staged = pass.reserve.staged else {
      preconditionFailure("a reserve of another layer")
    }
    gradY = gradients.y
    gradInitialHidden = gradients.initial?.hidden
    hidden = try gradients.initial?.hidden ?? launcher.scratch(count: pass.stateCount)
    try launcher.begin(hidden, with: gradients.final?.hidden, count: pass.stateCount)
    cell = launcher.carriedCellGradient(pass, gradients)
    try launcher.begin(cell, with: gradients.final?.memory, count: pass.memoryCount)
    products = staged.gradients ?? pass.reserve.gates
    normedCell = staged.gradCell
    let units = try launcher.scratch(count: pass.unitCount)
    states = staged.gradStates ?? units
    projected = units
    reset = pass.layer.resetsBefore ? try launcher.scratch(count: pass.unitCount) : nil
    back = try launcher.scratch(count: pass.stateCount)
  }

  var arguments: KernelArguments {
    [
      "grad_y": .buffer(gradY), "dh": .buffer(hidden), "dc": .optional(cell),
      "gradients": .buffer(products), "grad_c": .optional(normedCell),
      "grad_states": .buffer(states), "grad_hidden": .buffer(projected),
      "grad_reset": .optional(reset), "back": .buffer(back),
    ]
  }
}

/// The twin of `recurrent/staged_sequence.cl`: one launch computes all steps.
struct StagedSequenceStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let products: PanelProducts
  private let forward: Kernel
  private let backward: Kernel

  init(_ launcher: Launcher, cell: CellVariant, products: PanelProducts) throws {
    self.launcher = launcher
    self.products = products
    let files = [cell.file, "recurrent/staged_sequence.cl"]
    let options = cell.kernelOptions + launcher.precision.panelOptions
    forward = try launcher.kernel("staged_forward", in: files, options: options)
    backward = try launcher.kernel("staged_backward", in: files, options: options)
  }

  /// The slices of the batch.
  private func slices(_ pass: RecurrentPass) -> Int {
    guard case .stagedSequence(let slices) = pass.plan.strategy.value else {
      preconditionFailure("a plan for another strategy")
    }
    return slices
  }

  /// STAGED_PARAMETERS with the weights packed for the products of one direction.
  private func arguments(_ pass: RecurrentPass, transposed: Bool) throws -> KernelArguments {
    let (layer, H, P) = (pass.layer, pass.hiddenSize, pass.stateSize)
    func pack(_ weight: Buffer, offset: Int = 0, rows: Int, columns: Int) throws -> Buffer {
      try products.packed(
        weight, offset: offset, transposed: transposed, depth: transposed ? columns : rows,
        columns: transposed ? rows : columns)
    }
    let projection = try pass.parameters.weightHR.map { try pack($0, rows: P, columns: H) }
    guard layer.hasRecurrentMatrix else {
      return pass.stagedArguments(weights: pass.weightHH, projection: projection)
    }
    let first = layer.firstGates * H
    return pass.stagedArguments(
      weights: try pack(pass.recurrentMatrix, rows: first, columns: P),
      new: layer.resetsBefore
        ? try pack(pass.recurrentMatrix, offset: first * P, rows: H, columns: P) : nil,
      projection: projection)
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    try launcher.launch(
      forward, global: [slices(pass)], local: [1],
      flops: pass.recurrentFlops(rows: pass.statesBefore(pass.allRows)) + pass.projectionFlops,
      bytes: pass.bytes(gatePasses: 3, precision: launcher.precision),
      arguments(pass, transposed: true) + [
        "h_n": .optional(final?.hidden), "c_n": .optional(final?.memory),
      ])
  }

  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    let gradients = try StagedGradients(launcher, pass, gradients)
    try launcher.launch(
      backward, global: [slices(pass)], local: [1],
      flops: pass.recurrentFlops(rows: pass.rows) + pass.projectionFlops,
      bytes: pass.bytes(gatePasses: 3, precision: launcher.precision),
      arguments(pass, transposed: false) + gradients.arguments)
  }
}

/// The twin of `recurrent/staged_step.cl`: launches for each step, and products between them.
struct StagedStepStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let products: TiledProducts
  private let gates: Kernel
  private let new: Kernel?
  private let finish: Kernel
  private let begin: Kernel
  private let backward: Kernel
  private let reset: Kernel?
  private let carry: Kernel

  init(_ launcher: Launcher, cell: CellVariant, products: TiledProducts) throws {
    self.launcher = launcher
    self.products = products
    let files = [cell.file, "recurrent/staged_step.cl"]
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: files, options: cell.kernelOptions)
    }
    gates = try kernel("staged_gates")
    new = cell.resetsBefore ? try kernel("staged_new_gate") : nil
    finish = try kernel("staged_finish")
    begin = try kernel("staged_begin")
    backward = try kernel("staged_backward")
    reset = cell.resetsBefore ? try kernel("staged_reset") : nil
    carry = try kernel("staged_carry")
  }

  private func launch(
    _ kernel: Kernel, _ pass: RecurrentPass, _ arguments: KernelArguments, step t: Int
  ) throws {
    try launcher.launch(
      kernel, global: [launcher.parameters.lanes, pass.batchSize],
      local: [launcher.parameters.lanes, 1], flops: 10 * Double(pass.unitCount),
      bytes: pass.bytes(gatePasses: 1) / Double(pass.sequenceLength), arguments + ["t": .int(t)])
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    guard let staged = pass.reserve.staged else {
      preconditionFailure("a reserve of another layer")
    }
    let (layer, T, N) = (pass.layer, pass.sequenceLength, pass.batchSize)
    let (H, P, GH) = (pass.hiddenSize, pass.stateSize, layer.gateRows)
    let (arguments, y) = (
      pass.stagedArguments(weights: pass.weightHH), pass.work.stateRows
    )
    let isDense = layer.hasRecurrentMatrix
    for step in 0..<T {
      let t = pass.isReverse ? T - 1 - step : step
      let kept = pass.reserve.training ? t * N : 0
      if step > 0 {
        let before = (pass.isReverse ? t + 1 : t - 1) * N
        let recurrentInputRows = pass.recurrentInputRows
        let input = TiledProducts.Operand(
          pass.recurrentInput, recurrentInputRows.stride, 1,
          offset: recurrentInputRows.offset + before * recurrentInputRows.stride)
        try sums(pass, input, into: staged.sums, at: kept * GH)
      } else if let initial = pass.initialRecurrentInput {
        try sums(pass, .init(initial, P, 1), into: staged.sums, at: kept * GH)
      } else {
        try launcher.queue.fill(
          staged.sums, with: Float(0), byteOffset: 4 * kept * GH, byteCount: 4 * N * GH)
      }
      try launch(gates, pass, arguments, step: t)
      if let new, let reset = staged.reset {
        if isDense {
          let first = layer.firstGates * H
          try products.multiply(
            .init(reset, H, 1, offset: kept * H),
            .init(pass.recurrentMatrix, 1, P, offset: first * P),
            into: staged.sums, rows: N, columns: H, depth: P, cOffset: kept * GH + first,
            cStride: GH)
        }
        try launch(new, pass, arguments, step: t)
      }
      if let hidden = staged.hidden, let weight = pass.parameters.weightHR {
        try products.multiply(
          .init(hidden, H, 1, offset: kept * H), .init(weight, 1, H), into: pass.y, rows: N,
          columns: P, depth: H, cOffset: y.offset + t * N * y.stride, cStride: y.stride)
      }
      try launch(finish, pass, arguments, step: t)
    }
    try launcher.finishSteps(pass, final: final)
  }

  /// The recurrent products of the first gates from the states of a step, `input`.
  private func sums(
    _ pass: RecurrentPass, _ input: TiledProducts.Operand, into sums: Buffer, at offset: Int
  ) throws {
    guard pass.layer.hasRecurrentMatrix else { return }
    let (P, rows) = (pass.stateSize, pass.batchSize)
    try products.multiply(
      input, .init(pass.recurrentMatrix, 1, P), into: sums,
      rows: rows, columns: pass.layer.firstGates * pass.hiddenSize, depth: P,
      cOffset: offset, cStride: pass.layer.gateRows)
  }

  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    let gradients = try StagedGradients(launcher, pass, gradients)
    let (layer, T, N) = (pass.layer, pass.sequenceLength, pass.batchSize)
    let (H, P, GH) = (pass.hiddenSize, pass.stateSize, layer.gateRows)
    let arguments = pass.stagedArguments(weights: pass.weightHH) + gradients.arguments
    let isDense = layer.hasRecurrentMatrix
    let first = layer.firstGates * H
    for step in (0..<T).reversed() {
      let t = pass.isReverse ? T - 1 - step : step
      try launch(begin, pass, arguments, step: t)
      if let weight = pass.parameters.weightHR {
        try products.multiply(
          .init(gradients.states, P, 1, offset: t * N * P), .init(weight, H, 1),
          into: gradients.projected, rows: N, columns: H, depth: P)
      }
      try launch(backward, pass, arguments, step: t)
      if let reset, let gradReset = gradients.reset {
        if isDense {
          try products.multiply(
            .init(gradients.products, GH, 1, offset: t * N * GH + first),
            .init(pass.recurrentMatrix, P, 1, offset: first * P), into: gradReset, rows: N,
            columns: P,
            depth: H)
        }
        try launch(reset, pass, arguments, step: t)
      }
      if isDense {
        try products.multiply(
          .init(gradients.products, GH, 1, offset: t * N * GH), .init(pass.recurrentMatrix, P, 1),
          into: gradients.back, rows: N, columns: P, depth: first)
      }
      try launch(carry, pass, arguments, step: t)
    }
  }
}

extension RecurrentPass {
  /// The arguments STAGED_PARAMETERS of `recurrent/staged.cl`; the weights as the strategy packs them.
  fileprivate func stagedArguments(
    weights: Buffer?, new: Buffer? = nil, projection: Buffer? = nil
  ) -> KernelArguments {
    let staged = reserve.staged
    return arguments(weights: weights) + [
      "weights_n": .optional(new), "weights_p": .optional(projection),
      "gain_hh": .optional(parameters.normHH), "gain_c": .optional(parameters.normCell),
      "bias_c": .optional(parameters.normCellBias), "sums": .optional(staged?.sums),
      "rstd": .optional(staged?.rstd), "normalized_c": .optional(staged?.normalizedCell),
      "rstd_c": .optional(staged?.cellRstd), "reset": .optional(staged?.reset),
      "hidden": .optional(staged?.hidden),
    ]
  }
}
