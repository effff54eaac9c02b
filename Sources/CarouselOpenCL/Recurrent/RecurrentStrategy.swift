import CarouselModel
import OpenCLDriver

/// What computes the steps of a recurrent layer, as the plan of the pass says.
protocol RecurrentStrategy {
  /// From the inputs, or their products in `reserve.gates`, to `y` and the final states.
  ///
  /// With `reserve.training` what the backward pass needs is kept in the reserve.
  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws

  /// Memory for what `backward` packs, where the plan says so.
  func packedGradients(_ pass: RecurrentPass) throws -> PackedGradients?

  /// From what the forward pass kept to the gradients of the sums in its place, and the others that are
  /// wanted.
  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws
}

extension RecurrentStrategy {
  func packedGradients(_ pass: RecurrentPass) throws -> PackedGradients? { nil }
}

/// What the steps back are given and asked for.
struct RecurrentGradients {
  /// The gradients of y, and of the final states.
  let y: Buffer
  let final: RecurrentState<Buffer>?
  /// Receive those of the initial states, and of the inputs.
  let initial: RecurrentState<Buffer>?
  let x: Buffer?
  /// Receives what the gradients of weights are made from.
  let packed: PackedGradients?
}

/// What forward and backward pass of one layer share.
struct RecurrentPass {
  let work: RecurrentWork<OpenCLBackend>
  let plan: LayerPlan

  var layer: RecurrentLayer { work.layer }
  var sequenceLength: Int { work.sequenceLength }
  var batchSize: Int { work.batchSize }
  var lengths: Buffer? { work.lengths?.memory }
  var parameters: RecurrentParameters<Buffer> { work.parameters }
  var initial: RecurrentState<Buffer>? { work.initial }
  var y: Buffer { work.y }
  var reserve: OpenCLReserve { work.reserve }
  var hiddenSize: Int { layer.hiddenSize }
  var stateSize: Int { layer.stateSize }
  var isReverse: Bool { layer.isReverse }
  /// N·P, N·H and N·M·H, the elements of a hidden state, of a value for each unit, and of the states beside
  /// the hidden one.
  var stateCount: Int { batchSize * stateSize }
  var unitCount: Int { batchSize * hiddenSize }
  var memoryCount: Int { batchSize * layer.memorySize }
  /// T·N, the rows of all matrices over all steps.
  var rows: Int { sequenceLength * batchSize }
  /// The bias of the recurrent product, where it is not added to that of the input.
  var separateBias: Buffer? {
    layer.keepsRecurrentProduct || layer.options.layerNorm ? parameters.biasHH : nil
  }
  /// The recurrent weights as a matrix `[G·H, P]`, or the diagonal, with what DropConnect left.
  ///
  /// Nil in cells without recurrent weights.
  var weightHH: Buffer? { reserve.weightHH ?? parameters.weightHH }
  /// The same where the layer has a matrix.
  var recurrentMatrix: Buffer {
    guard layer.hasRecurrentMatrix, let weight = weightHH else {
      preconditionFailure("the layer has no recurrent matrix")
    }
    return weight
  }
  /// The hidden states and the first of them as the recurrent products read them.
  var recurrentInput: Buffer { reserve.masks?.masked ?? y }
  var recurrentInputRows: StateRows {
    reserve.masks?.masked == nil ? work.stateRows : StateRows(stride: stateSize)
  }
  var initialRecurrentInput: Buffer? {
    reserve.masks?.hidden == nil ? initial?.hidden : reserve.masks?.maskedInitial
  }
  /// Every cell state as the cell made it, before zoneout.
  var cellBeforeZoneout: Buffer? { reserve.cellsBeforeZoneout ?? reserve.cells }

  /// Floating-point operations of the product of all inputs.
  var inputFlops: Double { inputFlops(rows: rows) }
  /// Floating-point operations of the product of so many inputs.
  func inputFlops(rows: Int) -> Double {
    2 * Double(rows * layer.gateRows) * Double(layer.inputSize)
  }
  /// Floating-point operations of the recurrent product of so many states.
  func recurrentFlops(rows: Int) -> Double {
    2 * Double(rows * layer.gateRows) * Double(layer.recurrentFanIn)
  }
  /// Floating-point operations of the projection at all steps, 0 without one.
  var projectionFlops: Double {
    layer.options.projectionSize.map { 2 * Double(rows * $0 * hiddenSize) } ?? 0
  }
  /// The rows that kernels compute which take each sequence for T steps.
  var allRows: ComputedRows {
    ComputedRows(all: rows, first: batchSize, last: batchSize)
  }
  /// The states that meet the recurrent weights on the way forward: none before a sequence's first step
  /// where it begins at zero.
  func statesBefore(_ computed: ComputedRows) -> Int {
    computed.all - (initialRecurrentInput == nil ? computed.first : 0)
  }
  /// Bytes of gates, cell and hidden states of `rows` steps, of all without it, each moved once, and of the
  /// weights, which are packed with `precision`; a diagonal is not.
  func bytes(
    rows: Int? = nil, gatePasses: Int, precision: ProductPrecision = .float32
  ) -> Double {
    let states =
      Double((rows ?? self.rows) * hiddenSize) * Double(layer.slotCount * gatePasses + 2)
    let weightBytes = layer.hasRecurrentMatrix ? precision.packedBytes : 4
    return 4 * states + Double(weightBytes * layer.gateRows * layer.recurrentFanIn)
  }

  /// The arguments LAYER_PARAMETERS of `recurrent/layer.cl`: the weights as the strategy packs them, and
  /// zeros `[N, P]` in place of an absent h₀ where the strategy needs them.
  func arguments(
    weights: Buffer?, zeros: Buffer? = nil
  ) -> KernelArguments {
    let masks = reserve.masks
    return [
      "weights": .optional(weights),
      "bias_hh": .optional(separateBias), "peephole_i": .optional(parameters.peepholeInput),
      "peephole_f": .optional(parameters.peepholeForget),
      "peephole_o": .optional(parameters.peepholeOutput),
      "h_0": .optional(initial?.hidden ?? zeros), "c_0": .optional(initial?.memory),
      "lengths": .optional(lengths), "gates": .buffer(reserve.gates),
      "cells": .optional(reserve.cells),
      "cells_before_zoneout": .optional(reserve.cellsBeforeZoneout), "y": .buffer(y),
      "mask": .optional(masks?.hidden), "masked_0": .optional(masks?.maskedInitial ?? zeros),
      "masked": .optional(masks?.masked), "keep_h": .optional(masks?.keepHidden),
      "keep_c": .optional(masks?.keepCell), "zoneout_h": .float(Float(layer.options.zoneoutHidden)),
      "zoneout_c": .float(Float(layer.options.zoneoutCell)), "T": .int(sequenceLength),
      "N": .int(batchSize),
      "H": .int(hiddenSize), "P": .int(stateSize),
      "gates_stride": .int(reserve.gatesStride), "y_stride": .int(work.stateRows.stride),
      "y_offset": .int(work.stateRows.offset), "block_units": .int(layer.block.units),
      "block_states": .int(layer.block.states), "training": .int(reserve.training),
      "reverse": .int(isReverse),
    ]
  }
}

extension PlannedWork {
  /// What a plan has to know of a layer's work.
  init(_ work: RecurrentWork<OpenCLBackend>) {
    self.init(
      layer: work.layer, sequenceLength: work.sequenceLength, batchSize: work.batchSize,
      hasLengths: work.lengths != nil, recurrentInputStride: Self.recurrentInputStride(work))
  }

  fileprivate static func recurrentInputStride(_ work: RecurrentWork<OpenCLBackend>) -> Int {
    // Recurrent dropout makes masked states, one behind the other.
    let isMasked = work.noise != nil && work.layer.options.recurrentDropout > 0
    return isMasked ? work.layer.stateSize : work.stateRows.stride
  }
}

/// What the plan of a reserve depends on beside its layer and sizes.
struct PlanBasis: Equatable {
  let hasLengths: Bool
  let recurrentInputStride: Int
  let device: PlanDevice
  let tuning: LayerTuning

  init(_ work: RecurrentWork<OpenCLBackend>, device: PlanDevice, tuning: LayerTuning) {
    hasLengths = work.lengths != nil
    recurrentInputStride = PlannedWork.recurrentInputStride(work)
    (self.device, self.tuning) = (device, tuning)
  }
}

/// The steps of all sequences that a kernel computes, and those of them that are its first and its last in
/// the layer's direction.
struct ComputedRows {
  let all: Int, first: Int, last: Int

  /// The gradients that meet the recurrent weights on the way back: those of all steps but the last, and
  /// with `initial` of one step more.
  func gradientsAfter(batchSize: Int, initial: Bool) -> Int {
    all - last + (initial ? batchSize : 0)
  }
}

extension Launcher {
  /// The rows that a kernel computes which leaves out the steps that sequences do not have.
  ///
  /// Only a profile asks: the lengths are read from the device once, until they change.
  func computedRows(_ pass: RecurrentPass) throws -> ComputedRows {
    guard let lengths = pass.lengths, queue.profiling else { return pass.allRows }
    let (T, N) = (pass.sequenceLength, pass.batchSize)
    let counts = try lengths.counted("rows of \(T) steps of \(N)") {
      let lengths = try queue.read(lengths, as: Int32.self, count: N).map { min(Int($0), T) }
      return [lengths.reduce(0, +), lengths.count { $0 > 0 }, lengths.count { $0 == T }]
    }
    return ComputedRows(
      all: counts[0], first: counts[pass.isReverse ? 2 : 1], last: counts[pass.isReverse ? 1 : 2])
  }

  /// The buffer in which the gradient of the cell state travels back and ends as that of the first, in
  /// the caller's buffer where the caller wants it; nil for cells without one.
  func carriedCellGradient(_ pass: RecurrentPass, _ gradients: RecurrentGradients) -> Buffer? {
    guard pass.layer.memoryCount > 0 else { return nil }
    guard let carried = gradients.initial?.memory ?? pass.reserve.gradCell else {
      preconditionFailure("the reserve was not made for training")
    }
    return carried
  }

  /// The buffer in which the gradient of the hidden state travels back beside the products.
  ///
  /// Nil where there is no such way: the cell has no direct path, no state is kept as it was and all
  /// sequences have the same length.
  func carriedHiddenGradient(_ pass: RecurrentPass) throws -> Buffer? {
    let hasDirectPath = pass.layer.cell.traits.hasDirectPath || pass.layer.hasZoneout
    guard hasDirectPath || pass.lengths != nil else { return nil }
    return try scratch(count: pass.stateCount)
  }

  /// `value`, or zeros, into a buffer that is carried through the steps, if there is one.
  func begin(_ carried: Buffer?, with value: Buffer?, count: Int) throws {
    guard let carried else { return }
    let byteCount = count * MemoryLayout<Float>.stride
    if let value {
      try queue.copy(value, to: carried, byteCount: byteCount)
    } else {
      try queue.fill(carried, with: Float(0), byteCount: byteCount)
    }
  }
}
