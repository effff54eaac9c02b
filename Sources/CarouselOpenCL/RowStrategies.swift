import CarouselModel
import OpenCLDriver

// The twins of rows.cl: layers whose units wait for each other within a step.

/// Where the gradients of a layer of `recurrent/staged.cl` travel; see GRADIENT_PARAMETERS.
struct RowGradients {
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
    guard let rows = pass.reserve.rows else { preconditionFailure("a reserve of another layer") }
    gradY = gradients.y
    gradInitialHidden = gradients.initial?.hidden
    hidden = try gradients.initial?.hidden ?? launcher.scratch(count: pass.stateCount)
    try launcher.begin(hidden, with: gradients.final?.hidden, count: pass.stateCount)
    cell = launcher.carriedCellGradient(pass, gradients)
    try launcher.begin(cell, with: gradients.final?.memory, count: pass.memoryCount)
    products = rows.gradients ?? pass.reserve.gates
    normedCell = rows.gradCell
    let units = try launcher.scratch(count: pass.unitCount)
    states = rows.gradStates ?? units
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

/// The twin of `recurrent/staged_sequence.cl`: one launch walks all steps.
struct SequenceRowsStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let products: PanelProducts
  private let forward: Kernel
  private let backward: Kernel

  init(_ launcher: Launcher, cell: CellVariant, products: PanelProducts) throws {
    self.launcher = launcher
    self.products = products
    let files = [cell.file, "recurrent/staged_sequence.cl"]
    let options = cell.kernelOptions + launcher.precision.panelOptions
    forward = try launcher.kernel("rows_forward", in: files, options: options)
    backward = try launcher.kernel("rows_backward", in: files, options: options)
  }

  /// The slices of the batch.
  private func slices(_ pass: RecurrentPass) -> Int {
    guard case .stagedSequence(let slices) = pass.plan.strategy.value else {
      preconditionFailure("a plan for another strategy")
    }
    return slices
  }

  /// LAYER_PARAMETERS with the weights packed for the products of one way.
  private func arguments(_ pass: RecurrentPass, transposed: Bool) throws -> KernelArguments {
    let (layer, H, P) = (pass.layer, pass.hiddenSize, pass.stateSize)
    func pack(_ weight: Buffer, offset: Int = 0, rows: Int, columns: Int) throws -> Buffer {
      try products.packed(
        weight, offset: offset, transposed: transposed, depth: transposed ? columns : rows,
        columns: transposed ? rows : columns)
    }
    let projection = try pass.parameters.weightHR.map { try pack($0, rows: P, columns: H) }
    guard layer.hasRecurrentMatrix else {
      return pass.arguments(weights: pass.weightHH, projection: projection)
    }
    let first = layer.firstGates * H
    return pass.arguments(
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
    let gradients = try RowGradients(launcher, pass, gradients)
    try launcher.launch(
      backward, global: [slices(pass)], local: [1],
      flops: pass.recurrentFlops(rows: pass.rows) + pass.projectionFlops,
      bytes: pass.bytes(gatePasses: 3, precision: launcher.precision),
      arguments(pass, transposed: false) + gradients.arguments)
  }
}

/// The twin of `recurrent/staged_step.cl`: launches for each step, and products between them.
struct StepRowsStrategy: RecurrentStrategy {
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
    gates = try kernel("rows_gates")
    new = cell.resetsBefore ? try kernel("rows_new") : nil
    finish = try kernel("rows_finish")
    begin = try kernel("rows_begin")
    backward = try kernel("rows_backward")
    reset = cell.resetsBefore ? try kernel("rows_reset") : nil
    carry = try kernel("rows_carry")
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
    guard let rows = pass.reserve.rows else { preconditionFailure("a reserve of another layer") }
    let (layer, T, N) = (pass.layer, pass.sequenceLength, pass.batchSize)
    let (H, P, GH) = (pass.hiddenSize, pass.stateSize, layer.gateRows)
    let (arguments, y) = (pass.arguments(weights: pass.weightHH), pass.work.stateRows)
    let isDense = layer.hasRecurrentMatrix
    for step in 0..<T {
      let t = pass.isReverse ? T - 1 - step : step
      let kept = pass.reserve.training ? t * N : 0
      if step > 0 {
        let before = (pass.isReverse ? t + 1 : t - 1) * N
        let factorRows = pass.factorRows
        let factors = TiledProducts.Operand(
          pass.factors, factorRows.stride, 1,
          offset: factorRows.offset + before * factorRows.stride)
        try sums(pass, factors, into: rows.sums, at: kept * GH)
      } else if let initial = pass.initialFactors {
        try sums(pass, .init(initial, P, 1), into: rows.sums, at: kept * GH)
      } else {
        try launcher.queue.fill(
          rows.sums, with: Float(0), byteOffset: 4 * kept * GH, byteCount: 4 * N * GH)
      }
      try launch(gates, pass, arguments, step: t)
      if let new, let reset = rows.reset {
        if isDense {
          let first = layer.firstGates * H
          try products.multiply(
            .init(reset, H, 1, offset: kept * H),
            .init(pass.recurrentMatrix, 1, P, offset: first * P),
            into: rows.sums, rows: N, columns: H, depth: P, cOffset: kept * GH + first, cStride: GH)
        }
        try launch(new, pass, arguments, step: t)
      }
      if let hidden = rows.hidden, let weight = pass.parameters.weightHR {
        try products.multiply(
          .init(hidden, H, 1, offset: kept * H), .init(weight, 1, H), into: pass.y, rows: N,
          columns: P, depth: H, cOffset: y.offset + t * N * y.stride, cStride: y.stride)
      }
      try launch(finish, pass, arguments, step: t)
    }
    try launcher.finishSteps(pass, final: final)
  }

  /// The recurrent products of the first gates from the states of a step, `factors`.
  private func sums(
    _ pass: RecurrentPass, _ factors: TiledProducts.Operand, into sums: Buffer, at place: Int
  ) throws {
    guard pass.layer.hasRecurrentMatrix else { return }
    let (P, rows) = (pass.stateSize, pass.batchSize)
    try products.multiply(
      factors, .init(pass.recurrentMatrix, 1, P), into: sums,
      rows: rows, columns: pass.layer.firstGates * pass.hiddenSize, depth: P,
      cOffset: place, cStride: pass.layer.gateRows)
  }

  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    let gradients = try RowGradients(launcher, pass, gradients)
    let (layer, T, N) = (pass.layer, pass.sequenceLength, pass.batchSize)
    let (H, P, GH) = (pass.hiddenSize, pass.stateSize, layer.gateRows)
    let arguments = pass.arguments(weights: pass.weightHH) + gradients.arguments
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
