import CarouselModel
import OpenCLDriver

/// The twin of `sequence.cl`, `sequence_backward.cl`, `slices.cl` and `row_order.cl`: one launch computes
/// all steps.
struct SequenceStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let products: PanelProducts
  private let packGates: Kernel
  private let forward: Kernel
  /// Built when they are first wanted: few layers have lengths or fetch ahead, and inference does without the
  /// steps back.
  private let orderRows: () throws -> Kernel
  private let fetchingForward: () throws -> Kernel
  private let backward: (_ fetchesAhead: Bool) throws -> Kernel
  private let parts: Parts

  init(_ launcher: Launcher, cell: CellVariant, products: PanelProducts) throws {
    self.launcher = launcher
    self.products = products
    let steps = [cell.file, "recurrent/sequence.cl"]
    let stepsBack = [cell.file, "recurrent/sequence_backward.cl"]
    let options = cell.kernelOptions + launcher.precision.panelOptions
    let fetching = options + ["-D FETCH_AHEAD=1"]
    func kernel(_ name: String, in files: [String], fetchesAhead: Bool = false) throws -> Kernel {
      try launcher.kernel(name, in: files, options: fetchesAhead ? fetching : options)
    }
    packGates = try kernel("pack_gates", in: steps)
    orderRows = {
      try launcher.kernel("order_rows", in: ["recurrent/row_order.cl"])
    }
    forward = try kernel("sequence_forward", in: steps)
    fetchingForward = { try kernel("sequence_forward", in: steps, fetchesAhead: true) }
    backward = { try kernel("sequence_backward", in: stepsBack, fetchesAhead: $0) }
    parts = Parts(launcher)
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    let (layer, plan) = (pass.layer, pass.plan.sequence)
    let isFused = pass.plan.inputs.value != .before
    let isBefore = pass.plan.inputs.value == .beforeFirstStep
    let isPlain = pass.separateBias == nil
    // A sequence of a reverse layer may begin at any step.
    let needsZeros = pass.lengths != nil && layer.isReverse && pass.initialRecurrentInput == nil
    let zeros = needsZeros ? try launcher.scratch(count: pass.stateCount) : nil
    try launcher.begin(zeros, with: nil, count: pass.stateCount)
    let computed = try launcher.computedRows(pass)
    let inputRows = isFused ? computed.all : 0
    try walk(
      pass, plan.forward.value, plan.fetchesAhead.value ? fetchingForward() : forward,
      steps: pass.sequenceLength + (isBefore ? 1 : 0),
      flops: pass.recurrentFlops(rows: zeros == nil ? pass.statesBefore(computed) : computed.all)
        + pass.inputFlops(rows: inputRows),
      bytes: pass.bytes(
        rows: computed.all, gatePasses: pass.reserve.training && !isFused ? 2 : 1,
        precision: launcher.precision)
        + inputBytes(pass, rows: inputRows),
      pass.arguments(
        weights: layer.hasRecurrentMatrix
          ? packGates(pass.recurrentMatrix, pass, depth: pass.hiddenSize) : pass.weightHH,
        zeros: zeros) + [
          "h_n": .optional(final?.hidden), "c_n": .optional(final?.memory),
          "x": isFused ? .buffer(pass.work.x) : .nullBuffer,
          "weights_ih": isFused
            ? .buffer(packGates(pass.parameters.weightIH, pass, depth: layer.inputSize))
            : .nullBuffer,
          "bias_ih": isFused ? .optional(pass.parameters.biasIH) : .nullBuffer,
          "bias_ih2": isFused && isPlain ? .optional(pass.parameters.biasHH) : .nullBuffer,
          "C": .int(layer.inputSize), "inputs_before": .int(isBefore),
          "copies": .optional(copies(pass, plan)), "copy_stride": .int(plan.copyStride),
        ])
  }

  /// Bytes of so many inputs and of their weights, each moved once.
  private func inputBytes(_ pass: RecurrentPass, rows: Int) -> Double {
    guard rows > 0 else { return 0 }
    let (layer, weightBytes) = (pass.layer, launcher.precision.packedBytes)
    return Double((4 * rows + weightBytes * layer.gateRows) * layer.inputSize)
  }

  /// Memory for the states that a step of each core multiplies; nil where they are read where they are.
  private func copies(_ pass: RecurrentPass, _ plan: SequencePlan) throws -> Buffer? {
    guard plan.copiesStates.value else { return nil }
    let rowsTogether = min(pass.batchSize, Self.rowsTogether)
    return try launcher.scratch(count: plan.forward.value.count * rowsTogether * plan.copyStride)
  }

  /// ROWS_TOGETHER of the kernels.
  private static let rowsTogether = 64

  func packedGradients(_ pass: RecurrentPass) throws -> PackedGradients? {
    guard pass.plan.packsGradients.value else { return nil }
    let layer = pass.layer
    return try products.packedGradients(
      slots: layer.slotCount, width: pass.hiddenSize, inputs: layer.inputSize,
      states: layer.hasRecurrentMatrix ? pass.hiddenSize : 0, depth: pass.rows,
      lengths: pass.lengths)
  }

  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    guard let packed = gradients.packed else { preconditionFailure("nowhere to pack gradients") }
    let (layer, plan, hasInputs) = (pass.layer, pass.plan.sequence, gradients.x != nil)
    let columns = layer.inputSize + pass.hiddenSize * (1 + layer.slotCount)
    let computed = try launcher.computedRows(pass)
    let inputRows = hasInputs ? computed.all : 0
    let gradientRows = computed.gradientsAfter(
      batchSize: pass.batchSize, initial: gradients.initial != nil)
    try walk(
      pass, plan.backward.value, backward(plan.fetchesAhead.value),
      steps: pass.sequenceLength + (gradients.initial == nil && !hasInputs ? 0 : 1),
      flops: pass.recurrentFlops(rows: gradientRows) + pass.inputFlops(rows: inputRows),
      bytes: pass.bytes(rows: computed.all, gatePasses: 2, precision: launcher.precision)
        + 4 * Double(computed.all * columns) + inputBytes(pass, rows: inputRows),
      pass.arguments(weights: packRows(pass)) + [
        "grad_y": .buffer(gradients.y), "grad_h_n": .optional(gradients.final?.hidden),
        "grad_c_n": .optional(gradients.final?.memory),
        "dh": .optional(launcher.carriedHiddenGradient(pass)),
        "dc": .optional(launcher.carriedCellGradient(pass, gradients)),
        "grad_h_0": .optional(gradients.initial?.hidden), "x": .buffer(pass.work.x),
        "C": .int(layer.inputSize),
        "weights_ih": hasInputs
          ? .buffer(
            products.packed(
              pass.parameters.weightIH, transposed: false, depth: layer.gateRows,
              columns: layer.inputSize)) : .nullBuffer,
        "grad_x": .optional(gradients.x), "gradient_tiles": .buffer(packed.tiles),
        "panels": .buffer(packed.panels),
      ])
  }

  /// Launches a kernel over slices of the batch, or over splits of the hidden units.
  private func walk(
    _ pass: RecurrentPass, _ division: SequencePlan.Division, _ kernel: Kernel, steps: Int,
    flops: Double, bytes: Double, _ arguments: KernelArguments
  ) throws {
    let splits = division.splits
    let sync = splits > 0 ? try parts.sync(count: splits) : nil
    let arguments =
      arguments + [
        "order": .optional(try order(pass, slices: division.slices)), "sync": .optional(sync),
        "step_base": .int32(parts.stepBase), "polls": .int(launcher.splitPolls),
        "fetches": .int(pass.plan.sequence.fetchesRows.value),
      ]
    try launcher.launch(
      kernel, global: [division.count], local: [1], flops: flops, bytes: bytes, arguments,
      changing: sync.map { parts.stepBase(steps, in: $0) })
    if sync != nil { parts.advance(steps: steps) }
  }

  /// The order in which slices hold sequences of different lengths, and in which their steps are summed,
  /// until the lengths change.
  private func order(_ pass: RecurrentPass, slices: Int) throws -> Buffer? {
    let (N, T) = (pass.batchSize, pass.sequenceLength)
    guard let lengths = pass.lengths else { return nil }
    let key = RowOrder(batchSize: N, steps: T, slices: slices)
    return try launcher.derived(lengths, key) { stale in
      let order = try stale ?? launcher.scratch(count: N + T * N)
      try launcher.launch(
        orderRows(), global: [1], local: [1], bytes: Double(8 * N + 4 * T * N),
        [
          "lengths": .optional(pass.lengths), "order": .buffer(order),
          "counts": .buffer(launcher.scratch(count: T + 2 + N)), "N": .int(N), "T": .int(T),
          "slices": .int(slices),
        ])
      return order
    }
  }

  /// A weight `[G·H, K]` in panels in which the gates of the same units stand together.
  private func packGates(_ weight: Buffer, _ pass: RecurrentPass, depth: Int) throws -> Buffer {
    let (H, gates, units) = (pass.hiddenSize, pass.layer.gateCount, pass.plan.sequence.tileUnits)
    let tiles = ceilDivide(H, units)
    let bytes = tiles * units * gates * depth * launcher.precision.packedBytes
    let key = PackedGates(gates: gates, hiddenSize: H, depth: depth)
    return try launcher.derived(weight, key) { stale in
      let panels = try stale ?? launcher.scratch(bytes: bytes)
      try launcher.launch(
        packGates, global: [tiles], local: [1], bytes: Double(4 * gates * H * depth + bytes),
        ["weight": .buffer(weight), "panels": .buffer(panels), "H": .int(H), "K": .int(depth)])
      return panels
    }
  }

  /// The recurrent weights in panels for the product of the backward pass; a diagonal as it is.
  private func packRows(_ pass: RecurrentPass) throws -> Buffer? {
    guard pass.layer.hasRecurrentMatrix else { return pass.weightHH }
    return try products.packed(
      pass.recurrentMatrix, transposed: false, depth: pass.layer.gateRows, columns: pass.hiddenSize)
  }
}

/// How `pack_gates` packs a weight.
private struct PackedGates: Hashable {
  let gates: Int, hiddenSize: Int, depth: Int
}

/// What `order_rows` orders.
private struct RowOrder: Hashable {
  let batchSize: Int, steps: Int, slices: Int
}

/// Where the parts of a layer's units tell each other what they do, from launch to launch.
private final class Parts {
  private let launcher: Launcher
  private var buffer: Buffer?
  private var count = 0
  /// The last step of any part before the next launch.
  private(set) var stepBase: Int32 = 0

  init(_ launcher: Launcher) { self.launcher = launcher }

  /// Two steps for each of at least `count` parts, as the kernels lay them out.
  func sync(count: Int) throws -> Buffer {
    if let buffer, count <= self.count { return buffer }
    let line = 16
    let sync = try launcher.scratch(count: 2 * count * line)
    try launcher.queue.fill(sync, with: Int32(0))
    (buffer, self.count, stepBase) = (sync, count, 0)
    return sync
  }

  func advance(steps: Int) { stepBase &+= Int32(truncatingIfNeeded: steps) }

  /// `step_base` of a launch of so many steps that is queued again.
  func stepBase(_ steps: Int, in sync: Buffer) -> ChangingArgument {
    ChangingArgument(
      name: "step_base", isCurrent: { self.buffer === sync },
      next: {
        defer { self.advance(steps: steps) }
        return .int32(self.stepBase)
      })
  }
}
