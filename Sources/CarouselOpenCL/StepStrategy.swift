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

  init(_ launcher: Launcher, cell: CellVariant) throws {
    self.launcher = launcher
    let files = [
      "vector.cl", "activation.cl", cell.file, "states.cl", "layer.cl", "recurrent_step.cl",
    ]
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: files, options: cell.kernelOptions)
    }
    forward = try kernel("step_forward")
    backward = try kernel("step_backward")
    initial = try kernel("step_initial")
  }

  private func global(_ pass: RecurrentPass) -> [Int] {
    [roundUp(pass.hiddenSize, to: Self.units), roundUp(pass.batchSize, to: Self.batch)]
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    let (reserve, T) = (pass.reserve, pass.steps)
    let arguments = pass.arguments(weights: pass.weightHH)
    for step in 0..<T {
      try launcher.launch(
        forward, global: global(pass), local: [Self.units, Self.batch],
        flops: pass.flops / Double(T),
        bytes: pass.bytes(gatePasses: reserve.training ? 2 : 1) / Double(T),
        arguments + ["t": .int(pass.isReverse ? T - 1 - step : step)])
    }
    try launcher.finishSteps(pass, final: final)
  }

  func backward(
    _ pass: RecurrentPass, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradInitial: RecurrentState<Buffer>?
  ) throws {
    let (T, gradCell) = (
      pass.steps, try launcher.carriedCellGradient(pass, gradFinal, gradInitial)
    )
    let gradHidden = try launcher.carriedHiddenGradient(pass, gradFinal)
    let arguments = pass.arguments(weights: pass.weightHH)
    for step in (0..<T).reversed() {
      try launcher.launch(
        backward, global: global(pass), local: [Self.units, Self.batch],
        flops: step == T - 1 ? 0 : pass.flops / Double(T),
        bytes: pass.bytes(gatePasses: 2) / Double(T),
        arguments + [
          "grad_y": .buffer(gradY), "grad_h_n": .optional(gradFinal?.hidden),
          "dh": .optional(gradHidden), "dc": .optional(gradCell),
          "t": .int(pass.isReverse ? T - 1 - step : step),
        ])
    }
    guard let gradInitialHidden = gradInitial?.hidden else { return }
    try launcher.launch(
      initial, global: global(pass), local: [Self.units, Self.batch],
      flops: pass.flops / Double(T), bytes: pass.bytes(gatePasses: 1) / Double(T),
      arguments + [
        "dh": .optional(gradHidden), "grad_h_0": .buffer(gradInitialHidden),
        "t": .int(pass.isReverse ? T - 1 : 0),
      ])
  }
}
