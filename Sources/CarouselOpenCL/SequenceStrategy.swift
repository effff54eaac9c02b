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
      "vector.cl", "activation.cl", cell.file, "states.cl", "panel.cl", "recurrent_sequence.cl",
    ]
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: files, options: cell.kernelOptions)
    }
    packGates = try kernel("pack_gates")
    forward = try kernel("sequence_forward")
    backward = try kernel("sequence_backward")
  }

  /// One slice of the batch for each core.
  private func slices(_ pass: RecurrentPass) -> Int {
    min(pass.batchSize, launcher.device.computeUnits)
  }

  /// The recurrent weights in panels in which the gates of the same units stand together; a diagonal
  /// as it is.
  private func packGates(_ pass: RecurrentPass) throws -> Buffer {
    guard pass.layer.options.recurrence == .dense else { return pass.parameters.weightHH }
    let (H, gates) = (pass.hiddenSize, pass.layer.gateCount)
    // UNIT_VECTORS of the kernels: a tile's gates fill whole panels.
    let unitVectors = gates.isMultiple(of: 2) ? 1 : 2
    let tiles = ceilDivide(H, unitVectors * launcher.parameters.width)
    let count = tiles * unitVectors * launcher.parameters.width * gates * H
    let panels = try launcher.scratch(count: count)
    try launcher.launch(
      packGates, global: [tiles], local: [1], bytes: 4 * Double(gates * H * H + count),
      ["weight": .buffer(pass.parameters.weightHH), "panels": .buffer(panels), "H": .int(H)])
    return panels
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    let (parameters, reserve) = (pass.parameters, pass.reserve)
    try launcher.launch(
      forward, global: [slices(pass)], local: [1], flops: pass.flops,
      bytes: pass.bytes(gatePasses: reserve.training ? 2 : 1),
      [
        "weights": .buffer(packGates(pass)), "bias_hh": .optional(pass.separateBias),
        "peephole_i": .optional(parameters.peepholeInput),
        "peephole_f": .optional(parameters.peepholeForget),
        "peephole_o": .optional(parameters.peepholeOutput),
        "h_0": .optional(pass.initial?.hidden), "c_0": .optional(pass.initial?.cell),
        "lengths": .optional(pass.lengths), "gates": .buffer(reserve.gates),
        "cells": .optional(reserve.cells), "y": .buffer(pass.y), "h_n": .optional(final?.hidden),
        "c_n": .optional(final?.cell), "T": .int(pass.steps), "N": .int(pass.batchSize),
        "H": .int(pass.hiddenSize), "training": .int(reserve.training),
        "reverse": .int(pass.isReverse),
      ])
  }

  func backward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?
  ) throws {
    let (parameters, reserve) = (pass.parameters, pass.reserve)
    let gradCell = try launcher.carriedCellGradient(pass, gradFinal, gradInitial)
    let gradHidden = try launcher.carriedHiddenGradient(pass, gradFinal)
    try launcher.launch(
      backward, global: [slices(pass)], local: [1], flops: pass.flops,
      bytes: pass.bytes(gatePasses: 2),
      [
        "weights": .buffer(packRows(pass)), "peephole_i": .optional(parameters.peepholeInput),
        "peephole_f": .optional(parameters.peepholeForget),
        "peephole_o": .optional(parameters.peepholeOutput),
        "h_0": .optional(pass.initial?.hidden), "c_0": .optional(pass.initial?.cell),
        "lengths": .optional(pass.lengths), "y": .buffer(pass.y),
        "cells": .optional(reserve.cells), "grad_y": .buffer(gradY),
        "grad_h_n": .optional(gradFinal?.hidden), "gates": .buffer(reserve.gates),
        "dh": .optional(gradHidden), "dc": .optional(gradCell),
        "grad_h_0": .optional(gradInitial?.hidden), "T": .int(pass.steps),
        "N": .int(pass.batchSize), "H": .int(pass.hiddenSize), "reverse": .int(pass.isReverse),
      ])
  }

  /// The recurrent weights in panels for the product of the backward pass; a diagonal as it is.
  private func packRows(_ pass: RecurrentPass) throws -> Buffer {
    guard pass.layer.options.recurrence == .dense else { return pass.parameters.weightHH }
    let (depth, columns) = (pass.layer.gateRows, pass.hiddenSize)
    let panels = try launcher.scratch(count: products.panelCount(depth: depth, columns: columns))
    try products.pack(
      pass.parameters.weightHH, transposed: false, into: panels, depth: depth, columns: columns)
    return panels
  }
}
