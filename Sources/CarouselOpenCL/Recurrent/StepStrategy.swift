import CarouselModel
import OpenCLDriver

/// The twin of `recurrent/step.cl`: a launch per step.
struct StepStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let cell: CellVariant

  init(_ launcher: Launcher, cell: CellVariant) {
    self.launcher = launcher
    self.cell = cell
  }

  /// UNITS and BATCH of `recurrent/step.cl`.
  private typealias Group = (units: Int, batch: Int)

  private func group(_ pass: RecurrentPass) -> Group {
    let plan = pass.plan.persistent
    return (plan.stepUnits, plan.stepBatch)
  }

  private func kernel(_ name: String, _ group: Group) throws -> Kernel {
    try launcher.kernel(
      name,
      in: [cell.file, "recurrent/step.cl"],
      options: cell.kernelOptions + ["-DUNITS=\(group.units)", "-DBATCH=\(group.batch)"])
  }

  private func global(_ pass: RecurrentPass, _ group: Group) -> [Int] {
    [roundUp(pass.hiddenSize, to: group.units), roundUp(pass.batchSize, to: group.batch)]
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    let (reserve, T) = (pass.reserve, pass.sequenceLength)
    let group = group(pass)
    let forward = try kernel("step_forward", group)
    let arguments = pass.arguments(weights: pass.weightHH)
    for step in 0..<T {
      try launcher.launch(
        forward, global: global(pass, group), local: [group.units, group.batch],
        flops: step == 0 && pass.initialRecurrentInput == nil
          ? 0 : pass.recurrentFlops(rows: pass.batchSize),
        bytes: pass.bytes(gatePasses: reserve.training ? 2 : 1) / Double(T),
        arguments + ["t": .int(pass.isReverse ? T - 1 - step : step)])
    }
    try launcher.finishSteps(pass, final: final)
  }

  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    let (T, gradCell) = (pass.sequenceLength, launcher.carriedCellGradient(pass, gradients))
    try launcher.begin(gradCell, with: gradients.final?.memory, count: pass.memoryCount)
    let gradHidden = try launcher.carriedHiddenGradient(pass)
    try launcher.begin(gradHidden, with: gradients.final?.hidden, count: pass.stateCount)
    let arguments = pass.arguments(weights: pass.weightHH)
    let group = group(pass)
    let backward = try kernel("step_backward", group)
    for step in (0..<T).reversed() {
      try launcher.launch(
        backward, global: global(pass, group), local: [group.units, group.batch],
        flops: step == T - 1 ? 0 : pass.recurrentFlops(rows: pass.batchSize),
        bytes: pass.bytes(gatePasses: 2) / Double(T),
        arguments + [
          "grad_y": .buffer(gradients.y), "grad_h_n": .optional(gradients.final?.hidden),
          "dh": .optional(gradHidden), "dc": .optional(gradCell),
          "t": .int(pass.isReverse ? T - 1 - step : step),
        ])
    }
    guard let gradInitialHidden = gradients.initial?.hidden else { return }
    try launcher.launch(
      kernel("step_initial", group), global: global(pass, group),
      local: [group.units, group.batch],
      flops: pass.recurrentFlops(rows: pass.batchSize),
      bytes: pass.bytes(gatePasses: 1) / Double(T),
      arguments + [
        "dh": .optional(gradHidden), "grad_h_0": .buffer(gradInitialHidden),
        "t": .int(pass.isReverse ? T - 1 : 0),
      ])
  }
}
