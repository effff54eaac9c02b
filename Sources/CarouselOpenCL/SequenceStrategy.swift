import CarouselModel
import OpenCLDriver

/// The twin of `recurrent_sequence.cl`: one launch walks all steps.
struct SequenceStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let products: PanelProducts
  private let packGates: Kernel
  private let forward: Kernel
  private let backward: Kernel

  init(_ launcher: Launcher, cell: CellVariant, products: PanelProducts) throws {
    self.launcher = launcher
    self.products = products
    let files = [
      "vector.cl", "activation.cl", cell.file, "states.cl", "layer.cl", "panel.cl",
      "recurrent_sequence.cl",
    ]
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: files, options: cell.kernelOptions)
    }
    packGates = try kernel("pack_gates")
    forward = try kernel("sequence_forward")
    backward = try kernel("sequence_backward")
  }

  /// The recurrent weights in panels in which the gates of the same units stand together; a diagonal
  /// as it is.
  private func packGates(_ pass: RecurrentPass) throws -> Buffer {
    guard pass.layer.options.recurrence != .diagonal else { return pass.weightHH }
    let (H, gates) = (pass.hiddenSize, pass.layer.gateCount)
    // UNIT_VECTORS of the kernels: a tile's gates fill whole panels.
    let unitVectors = gates.isMultiple(of: 2) ? 1 : 2
    let tiles = ceilDivide(H, unitVectors * launcher.parameters.width)
    let count = tiles * unitVectors * launcher.parameters.width * gates * H
    return try pass.weightHH.derived(PackedGates(gates: gates, hiddenSize: H)) { stale in
      let panels = try stale ?? launcher.scratch(count: count)
      try launcher.launch(
        packGates, global: [tiles], local: [1], bytes: 4 * Double(gates * H * H + count),
        ["weight": .buffer(pass.weightHH), "panels": .buffer(panels), "H": .int(H)])
      return panels
    }
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    try launcher.launch(
      forward, global: [launcher.slices(pass)], local: [1], flops: pass.flops,
      bytes: pass.bytes(gatePasses: pass.reserve.training ? 2 : 1),
      pass.arguments(weights: packGates(pass)) + [
        "h_n": .optional(final?.hidden), "c_n": .optional(final?.cell),
      ])
  }

  func backward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?
  ) throws {
    let gradCell = try launcher.carriedCellGradient(pass, gradFinal, gradInitial)
    let gradHidden = try launcher.carriedHiddenGradient(pass, gradFinal)
    try launcher.launch(
      backward, global: [launcher.slices(pass)], local: [1], flops: pass.flops,
      bytes: pass.bytes(gatePasses: 2),
      pass.arguments(weights: packRows(pass)) + [
        "grad_y": .buffer(gradY), "grad_h_n": .optional(gradFinal?.hidden),
        "dh": .optional(gradHidden), "dc": .optional(gradCell),
        "grad_h_0": .optional(gradInitial?.hidden),
      ])
  }

  /// The recurrent weights in panels for the product of the backward pass; a diagonal as it is.
  private func packRows(_ pass: RecurrentPass) throws -> Buffer {
    guard pass.layer.options.recurrence != .diagonal else { return pass.weightHH }
    return try products.packed(
      pass.weightHH, transposed: false, depth: pass.layer.gateRows, columns: pass.hiddenSize)
  }
}

/// How `pack_gates` packs a weight.
private struct PackedGates: Hashable {
  let gates: Int, hiddenSize: Int
}

extension Launcher {
  /// One slice of the batch for each core.
  func slices(_ pass: RecurrentPass) -> Int { min(pass.batchSize, device.computeUnits) }
}
