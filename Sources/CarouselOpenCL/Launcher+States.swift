import CarouselModel
import OpenCLDriver

// The twin of state_sums.cl.
extension Launcher {
  private static let files = ["vector.cl", "states.cl", "state_sums.cl"]

  /// `result[offset + unit]` = Σ over steps and sequences of the gradient in `slot` times the state
  /// before the step, or with `isCurrent` the state at it.
  func sumStates(
    _ pass: RecurrentPass, slot: Int, states: Buffer, initial: Buffer?, lengths: Buffer?,
    isCurrent: Bool = false, into result: Buffer, offset: Int = 0
  ) throws {
    let elements = Double(pass.rows * pass.hiddenSize)
    try launch(
      kernel("state_sums", in: Self.files), global: [ceilDivide(pass.hiddenSize, parameters.width)],
      local: [1], flops: 2 * elements, bytes: 8 * elements,
      [
        "gates": .buffer(pass.reserve.gates), "states": .buffer(states),
        "initial": .optional(initial), "lengths": .optional(lengths), "result": .buffer(result),
        "result_offset": .int(offset), "slot": .int(slot), "slots": .int(pass.layer.slotCount),
        "T": .int(pass.steps), "N": .int(pass.batchSize), "H": .int(pass.hiddenSize),
        "reverse": .int(pass.isReverse), "current": .int(isCurrent),
      ])
  }

  /// The hidden states before each step as a matrix `[T·N, H]`.
  func gatherStates(_ pass: RecurrentPass) throws -> Buffer {
    let result = try scratch(count: pass.rows * pass.hiddenSize)
    try launch(
      kernel("gather_states", in: Self.files), global: [pass.rows],
      bytes: 8 * Double(pass.rows * pass.hiddenSize),
      [
        "y": .buffer(pass.y), "initial": .optional(pass.initial?.hidden),
        "lengths": .optional(pass.lengths), "result": .buffer(result), "T": .int(pass.steps),
        "N": .int(pass.batchSize), "H": .int(pass.hiddenSize), "reverse": .int(pass.isReverse),
      ])
    return result
  }
}
