import CarouselModel
import OpenCLDriver

/// How the steps of a recurrent layer are walked, once the products of all inputs are there.
protocol RecurrentStrategy {
  /// From `reserve.gates` holding x·Wᵀ + b to `y` and the final states.
  ///
  /// With `reserve.training` what the backward pass needs is kept in the reserve.
  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws

  /// From what the forward pass kept to the gradients of the sums in its place, and the gradients of
  /// the initial states where wanted.
  func backward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?) throws
}

/// What forward and backward pass of one layer share.
struct RecurrentPass {
  let work: RecurrentWork<OpenCLBackend>

  var layer: RecurrentLayer { work.layer }
  var steps: Int { work.steps }
  var batchSize: Int { work.batchSize }
  var lengths: Buffer? { work.lengths }
  var parameters: RecurrentParameters<Buffer> { work.parameters }
  var initial: RecurrentState<Buffer>? { work.initial }
  var y: Buffer { work.y }
  var reserve: OpenCLReserve { work.reserve }
  var hiddenSize: Int { layer.hiddenSize }
  var isReverse: Bool { layer.isReverse }
  /// N·H, the elements of a state.
  var stateCount: Int { batchSize * hiddenSize }
  /// T·N, the rows of all matrices over all steps.
  var rows: Int { steps * batchSize }
  /// The bias of the recurrent product, where the cell keeps that product apart.
  var separateBias: Buffer? { layer.keepsRecurrentProduct ? parameters.biasHH : nil }

  /// Floating-point operations of the recurrent product over all steps.
  var flops: Double { 2 * Double(steps * stateCount) * Double(layer.recurrentRows) }
  /// Bytes of gates, cell and hidden states of all steps, each moved once, and of the weights.
  func bytes(gatePasses: Int) -> Double {
    let states = Double(steps * stateCount) * Double(layer.slotCount * gatePasses + 2)
    return 4 * (states + Double(layer.hiddenSize * layer.recurrentRows))
  }
}

/// What a recurrent layer's forward pass keeps for its backward pass, in device memory.
public final class OpenCLReserve {
  /// `[T, N, SLOTS, H]`: x·Wᵀ + b, then what the backward pass needs, then the gradients of the sums.
  let gates: Buffer
  /// Every cell state `[T, N, H]`, or without `training` the last one `[N, H]`.
  let cells: Buffer?
  /// The gradient of the cell state, carried from step to step, `[N, H]`.
  let gradCell: Buffer?
  let training: Bool

  init(_ launcher: Launcher, _ layer: RecurrentLayer, steps: Int, batchSize: Int, training: Bool)
    throws
  {
    let state = batchSize * layer.hiddenSize
    let hasCell = layer.cell.hasCellState
    gates = try launcher.scratch(count: steps * layer.slotCount * state)
    cells = hasCell ? try launcher.scratch(count: training ? steps * state : state) : nil
    gradCell = hasCell && training ? try launcher.scratch(count: state) : nil
    self.training = training
  }
}

extension Launcher {
  /// The buffer in which the gradient of the cell state travels back.
  ///
  /// It begins as that of the last cell state and ends as that of the first, in the caller's buffer
  /// where the caller wants it; nil for cells without one.
  func carriedCellGradient(
    _ pass: RecurrentPass, _ gradFinal: RecurrentState<Buffer>?,
    _ gradInitial: RecurrentState<Buffer>?
  ) throws -> Buffer? {
    guard pass.layer.cell.hasCellState else { return nil }
    guard let carried = gradInitial?.cell ?? pass.reserve.gradCell else {
      preconditionFailure("the reserve was not made for training")
    }
    try begin(carried, with: gradFinal?.cell, pass)
    return carried
  }

  /// The buffer in which the gradient of the hidden state travels back beside the products.
  ///
  /// It begins as that of the last hidden state. Nil where there is no such way: the cell has no direct
  /// path and all sequences have the same length.
  func carriedHiddenGradient(
    _ pass: RecurrentPass, _ gradFinal: RecurrentState<Buffer>?
  ) throws -> Buffer? {
    guard pass.layer.cell == .gru || pass.lengths != nil else { return nil }
    let carried = try scratch(count: pass.stateCount)
    try begin(carried, with: gradFinal?.hidden, pass)
    return carried
  }

  private func begin(_ carried: Buffer, with value: Buffer?, _ pass: RecurrentPass) throws {
    let byteCount = pass.stateCount * MemoryLayout<Float>.stride
    if let value {
      try queue.copy(value, to: carried, byteCount: byteCount)
    } else {
      try queue.fill(carried, with: Float(0), byteCount: byteCount)
    }
  }
}
