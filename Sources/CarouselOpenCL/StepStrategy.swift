import CarouselModel
import OpenCLDriver

/// The twin of `recurrent_step.cl`: a launch per step.
struct StepStrategy: RecurrentStrategy {
  let launcher: Launcher
  /// UNITS and BATCH of `recurrent_step.cl`.
  private static let units = 16
  private static let batch = 16
  private let forward: Kernel
  private let backward: Kernel
  private let initial: Kernel
  private let clear: Kernel

  init(_ launcher: Launcher, cell: CellVariant) throws {
    self.launcher = launcher
    let files = ["vector.cl", "activation.cl", cell.file, "states.cl", "recurrent_step.cl"]
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: files, options: cell.kernelOptions)
    }
    forward = try kernel("step_forward")
    backward = try kernel("step_backward")
    initial = try kernel("step_initial")
    clear = try kernel("step_clear")
  }

  private func global(_ pass: RecurrentPass) -> [Int] {
    [roundUp(pass.hiddenSize, to: Self.units), roundUp(pass.batchSize, to: Self.batch)]
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    let (parameters, reserve, T) = (pass.parameters, pass.reserve, pass.steps)
    for step in 0..<T {
      try launcher.launch(
        forward, global: global(pass), local: [Self.units, Self.batch],
        flops: pass.flops / Double(T),
        bytes: pass.bytes(gatePasses: reserve.training ? 2 : 1) / Double(T),
        [
          "weight": .buffer(parameters.weightHH), "bias_hh": .optional(pass.separateBias),
          "peephole_i": .optional(parameters.peepholeInput),
          "peephole_f": .optional(parameters.peepholeForget),
          "peephole_o": .optional(parameters.peepholeOutput),
          "h_0": .optional(pass.initial?.hidden), "c_0": .optional(pass.initial?.cell),
          "lengths": .optional(pass.lengths), "gates": .buffer(reserve.gates),
          "cells": .optional(reserve.cells), "y": .buffer(pass.y),
          "t": .int(pass.isReverse ? T - 1 - step : step), "T": .int(T),
          "N": .int(pass.batchSize), "H": .int(pass.hiddenSize),
          "training": .int(reserve.training), "reverse": .int(pass.isReverse),
        ])
    }
    if let final { try copyLastStates(pass, to: final) }
    guard let lengths = pass.lengths else { return }
    try launcher.launch(
      clear, global: [pass.hiddenSize, pass.batchSize, T],
      bytes: 4 * Double(pass.rows * pass.hiddenSize),
      [
        "y": .buffer(pass.y), "lengths": .buffer(lengths), "N": .int(pass.batchSize),
        "H": .int(pass.hiddenSize),
      ])
  }

  private func copyLastStates(_ pass: RecurrentPass, to final: RecurrentState<Buffer>) throws {
    let byteCount = pass.stateCount * MemoryLayout<Float>.stride
    let last = pass.isReverse ? 0 : (pass.steps - 1) * byteCount
    try launcher.queue.copy(pass.y, byteOffset: last, to: final.hidden, byteCount: byteCount)
    if let cell = final.cell, let cells = pass.reserve.cells {
      try launcher.queue.copy(
        cells, byteOffset: pass.reserve.training ? last : 0, to: cell, byteCount: byteCount)
    }
  }

  func backward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?
  ) throws {
    let (parameters, reserve, T) = (pass.parameters, pass.reserve, pass.steps)
    let gradCell = try launcher.carriedCellGradient(pass, gradFinal, gradInitial)
    let gradHidden = try launcher.carriedHiddenGradient(pass, gradFinal)
    for step in (0..<T).reversed() {
      try launcher.launch(
        backward, global: global(pass), local: [Self.units, Self.batch],
        flops: step == T - 1 ? 0 : pass.flops / Double(T),
        bytes: pass.bytes(gatePasses: 2) / Double(T),
        [
          "weight": .buffer(parameters.weightHH),
          "peephole_i": .optional(parameters.peepholeInput),
          "peephole_f": .optional(parameters.peepholeForget),
          "peephole_o": .optional(parameters.peepholeOutput),
          "h_0": .optional(pass.initial?.hidden), "c_0": .optional(pass.initial?.cell),
          "lengths": .optional(pass.lengths), "y": .buffer(pass.y),
          "cells": .optional(reserve.cells), "grad_y": .buffer(gradY),
          "grad_h_n": .optional(gradFinal?.hidden), "gates": .buffer(reserve.gates),
          "dh": .optional(gradHidden), "dc": .optional(gradCell),
          "t": .int(pass.isReverse ? T - 1 - step : step), "T": .int(T),
          "N": .int(pass.batchSize), "H": .int(pass.hiddenSize),
          "reverse": .int(pass.isReverse),
        ])
    }
    guard let gradInitialHidden = gradInitial?.hidden else { return }
    try launcher.launch(
      initial, global: global(pass), local: [Self.units, Self.batch],
      flops: pass.flops / Double(T), bytes: pass.bytes(gatePasses: 1) / Double(T),
      [
        "weight": .buffer(parameters.weightHH), "gates": .buffer(reserve.gates),
        "dh": .optional(gradHidden), "grad_h_0": .buffer(gradInitialHidden),
        "t": .int(pass.isReverse ? T - 1 : 0), "N": .int(pass.batchSize),
        "H": .int(pass.hiddenSize),
      ])
  }
}
