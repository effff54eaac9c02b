import CarouselModel
import OpenCLDriver

// The twin of state_sums.cl.
extension Launcher {
  private static let files = ["recurrent/state_sums.cl"]

  /// `result[offset + unit]` = Σ over steps and sequences of the gradient in `slot` of `gates`, a row
  /// `[slots, H]` every `gatesStride`, times the state before the step, or with `isCurrent` the state at it;
  /// without `rows` the states are `[T, N, H]`.
  func sumStates(
    _ pass: RecurrentPass, gates: Buffer, gatesStride: Int, slot: Int, states: Buffer,
    rows: StateRows? = nil, initial: Buffer?, lengths: Buffer?, isCurrent: Bool = false,
    into result: Buffer, offset: Int = 0
  ) throws {
    let (H, lanes) = (pass.hiddenSize, parameters.lanes)
    let vectors = roundUp(ceilDivide(H, parameters.width), to: lanes)
    // A GPU needs far more work-items than units: 16 work-groups for each of `plannedUnits`, with ranges of
    // steps, whose sums are added then.
    let most =
      form == .gpu
      ? max(1, min(16 * KernelParameters.plannedUnits * lanes / vectors, pass.sequenceLength)) : 1
    let steps = ceilDivide(pass.sequenceLength, most)
    let ranges = ceilDivide(pass.sequenceLength, steps)
    let partials = ranges > 1 ? try scratch(count: ranges * H) : nil
    let elements = Double(pass.rows * H)
    let rows = rows ?? StateRows(stride: H)
    try launch(
      kernel("state_sums", in: Self.files), global: [vectors, ranges], local: [lanes, 1],
      flops: 2 * elements, bytes: 8 * elements,
      [
        "gates": .buffer(gates), "states": .buffer(states), "stride": .int(rows.stride),
        "offset": .int(rows.offset),
        "initial": .optional(initial), "lengths": .optional(lengths),
        "result": .buffer(partials ?? result),
        "result_offset": .int(partials == nil ? offset : 0), "slot": .int(slot),
        "gates_stride": .int(gatesStride),
        "T": .int(pass.sequenceLength), "N": .int(pass.batchSize), "H": .int(pass.hiddenSize),
        "reverse": .int(pass.isReverse), "current": .int(isCurrent),
        "steps": .int(steps),
      ])
    guard let partials else { return }
    try sumColumns(
      partials, rows: ranges, columns: H, stride: H,
      into: ColumnSums(buffer: result, first: offset))
  }

  /// The hidden states before each step as a matrix `[T·N, P]`, as the recurrent products read them.
  func gatherStates(_ pass: RecurrentPass) throws -> Buffer {
    let result = try scratch(count: pass.rows * pass.stateSize)
    try launch(
      kernel("gather_states", in: Self.files),
      global: [ceilDivide(pass.stateSize, parameters.elements), pass.rows],
      bytes: 8 * Double(pass.rows * pass.stateSize),
      [
        "y": .buffer(pass.recurrentInput), "stride": .int(pass.recurrentInputRows.stride),
        "offset": .int(pass.recurrentInputRows.offset),
        "initial": .optional(pass.initialRecurrentInput),
        "lengths": .optional(pass.lengths), "result": .buffer(result),
        "T": .int(pass.sequenceLength),
        "N": .int(pass.batchSize), "H": .int(pass.stateSize), "reverse": .int(pass.isReverse),
      ])
    return result
  }

  /// x with zeros past each sequence's length, whatever it holds there: x itself without lengths.
  func activeInputs(_ pass: RecurrentPass) throws -> Buffer {
    guard let lengths = pass.lengths else { return pass.work.x }
    let width = pass.layer.inputSize
    let result = try scratch(count: pass.rows * width)
    try copyRows(
      pass.work.x, stride: width, offset: 0, lengths: lengths, into: result, rows: pass.rows,
      batchSize: pass.batchSize, width: width)
    return result
  }

  /// `result` `[rows, width]` from rows of `x`, with zeros past the lengths where there are any.
  private func copyRows(
    _ x: Buffer, stride: Int, offset: Int, lengths: Buffer?, into result: Buffer, rows: Int,
    batchSize: Int, width: Int
  ) throws {
    try launch(
      kernel("copy_rows", in: Self.files),
      global: [ceilDivide(width, parameters.elements), rows], bytes: 8 * Double(rows * width),
      [
        "x": .buffer(x), "stride": .int(stride), "offset": .uint64(UInt64(offset)),
        "lengths": .optional(lengths), "result": .buffer(result), "N": .int(batchSize),
        "C": .int(width),
      ])
  }

  /// After the last step: copies the final states where wanted, and clears y past each sequence's
  /// length.
  func finishSteps(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    if let final {
      let last = pass.isReverse ? 0 : pass.sequenceLength - 1
      let (rows, bytes) = (pass.work.stateRows, pass.memoryCount * MemoryLayout<Float>.stride)
      try copyRows(
        pass.y, stride: rows.stride, offset: rows.offset + last * pass.batchSize * rows.stride,
        lengths: nil, into: final.hidden, rows: pass.batchSize, batchSize: pass.batchSize,
        width: pass.stateSize)
      if let memory = final.memory, let cells = pass.reserve.cells {
        try queue.copy(
          cells, byteOffset: pass.reserve.training ? last * bytes : 0, to: memory,
          byteCount: bytes)
      }
    }
    guard let lengths = pass.lengths else { return }
    try launch(
      kernel("clear_padding", in: Self.files),
      global: [pass.stateSize, pass.batchSize, pass.sequenceLength],
      bytes: 4 * Double(pass.rows * pass.stateSize),
      [
        "y": .buffer(pass.y), "stride": .int(pass.work.stateRows.stride),
        "offset": .int(pass.work.stateRows.offset), "lengths": .buffer(lengths),
        "N": .int(pass.batchSize),
      ])
  }
}
