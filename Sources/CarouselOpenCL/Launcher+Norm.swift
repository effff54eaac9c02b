import CarouselModel
import OpenCLDriver

// The twin of norm_rows.cl.
extension Launcher {
  private static let files = ["recurrent/norm_rows.cl"]

  /// x·Wᵀ in the reserve becomes `weight_ln_ih ⊙ v^ + b_ih`, v^ being x·Wᵀ normalised.
  func normalizeInputs(_ pass: RecurrentPass) throws {
    guard let staged = pass.reserve.staged, let normalized = staged.normalizedInput,
      let rstd = staged.inputRstd, let gain = pass.parameters.normIH
    else { preconditionFailure("a reserve of another layer") }
    try launchGroups(
      "norm_forward", pass, flops: 8, bytes: 16,
      [
        "rows": .buffer(pass.reserve.gates), "gain": .buffer(gain),
        "bias": .optional(pass.parameters.biasIH), "normalized": .buffer(normalized),
        "rstd": .buffer(rstd),
      ])
  }

  /// A launch for each group of gates that is normalised together.
  private func launchGroups(
    _ name: String, _ pass: RecurrentPass, flops: Double, bytes: Double, _ buffers: KernelArguments
  ) throws {
    let (layer, H) = (pass.layer, pass.hiddenSize)
    let (split, all) = (layer.normFirst, layer.gateCount)
    for (group, (first, count)) in [(0, split), (split, all - split)].enumerated() where count > 0 {
      let elements = Double(pass.rows * count * H)
      try launch(
        kernel(name, in: Self.files), global: [parameters.lanes, pass.rows],
        local: [parameters.lanes, 1], flops: flops * elements, bytes: bytes * elements,
        buffers + [
          "gates": .int(count), "H": .int(H), "rows_stride": .int(pass.reserve.gatesStride),
          "first_column": .int(first * H), "stride": .int(layer.gateRows), "first": .int(first * H),
          "group": .int(group),
        ])
    }
  }

  /// The gradients of x·Wᵀ `[T, N, G, H]`; queues those of gains and biases as well.
  func normGradients(
    _ pass: RecurrentPass, _ gradients: RecurrentParameters<Buffer>
  ) throws -> Buffer {
    guard let staged = pass.reserve.staged, let normalized = staged.normalizedInput,
      let rstd = staged.inputRstd, let gain = pass.parameters.normIH,
      let gradIH = gradients.normIH, let gradHH = gradients.normHH
    else { preconditionFailure("a reserve of another layer") }
    let (layer, H, GH) = (pass.layer, pass.hiddenSize, pass.layer.gateRows)
    let (gates, stride) = (pass.reserve.gates, pass.reserve.gatesStride)
    let result = try scratch(count: pass.rows * GH)
    try launchGroups(
      "norm_backward", pass, flops: 10, bytes: 12,
      [
        "rows": .buffer(gates), "gain": .buffer(gain), "normalized": .buffer(normalized),
        "rstd": .buffer(rstd), "result": .buffer(result),
      ])
    try sumColumns(
      pass, gates, stride: stride, times: normalized, stride: GH, count: GH, into: gradIH)
    if let bias = gradients.biasIH {
      try sumColumns(pass, gates, stride: stride, count: GH, into: bias)
    }
    // The recurrent products of a GRU's new gate have gradients in a slot of their own.
    let apart = layer.keepsRecurrentProduct ? H : 0
    for (first, count, column) in [(0, GH - apart, 0), (GH - apart, apart, GH)] where count > 0 {
      try sumColumns(
        pass, gates, stride: stride, offset: column, times: staged.sums, stride: GH,
        offset: first, count: count, into: gradHH, at: first)
      if let bias = gradients.biasHH {
        try sumColumns(
          pass, gates, stride: stride, offset: column, count: count, into: bias, at: first)
      }
    }
    if let gradCell = staged.gradCell, let normalizedCell = staged.normalizedCell,
      let gain = gradients.normCell
    {
      try sumColumns(
        pass, gradCell, stride: H, times: normalizedCell, stride: H, count: H, into: gain)
      if let bias = gradients.normCellBias {
        try sumColumns(pass, gradCell, stride: H, count: H, into: bias)
      }
    }
    return result
  }

  /// `result[first + j]` = Σ over all rows of `a[offset + j]`, or of that times `b[offset2 + j]`.
  private func sumColumns(
    _ pass: RecurrentPass, _ a: Buffer, stride: Int, offset: Int = 0, times b: Buffer? = nil,
    stride stride2: Int = 0, offset offset2: Int = 0, count: Int, into result: Buffer,
    at first: Int = 0
  ) throws {
    if parameters.lanes > 1 {
      guard let b else {
        return try sumColumns(
          a, rows: pass.rows, columns: count, stride: stride, offset: offset,
          into: ColumnSums(buffer: result, first: first))
      }
      return try sumProducts(
        pass, a, stride: stride, offset: offset, b, stride: stride2, offset: offset2, count: count,
        into: result, at: first)
    }
    let elements = Double(pass.rows * count)
    try launch(
      kernel("column_products", in: Self.files), global: [ceilDivide(count, parameters.width)],
      flops: 2 * elements, bytes: (b == nil ? 4 : 8) * elements,
      products(
        pass, a, stride: stride, offset: offset, b, stride: stride2, offset: offset2, count: count,
        into: result, at: first))
  }

  /// The arguments that `column_products` has in both forms.
  private func products(
    _ pass: RecurrentPass, _ a: Buffer, stride: Int, offset: Int, _ b: Buffer?, stride stride2: Int,
    offset offset2: Int, count: Int, into result: Buffer, at first: Int
  ) -> KernelArguments {
    [
      "a": .buffer(a), "b": .optional(b), "result": .buffer(result), "M": .int(pass.rows),
      "count": .int(count), "a_stride": .int(stride), "a_offset": .int(offset),
      "b_stride": .int(stride2), "b_offset": .int(offset2), "result_offset": .int(first),
    ]
  }

  /// The sums of products on a GPU: of ranges of rows, then the sums of those.
  private func sumProducts(
    _ pass: RecurrentPass, _ a: Buffer, stride: Int, offset: Int, _ b: Buffer, stride stride2: Int,
    offset offset2: Int, count: Int, into result: Buffer, at first: Int
  ) throws {
    let range = sumRange(rows: pass.rows, columns: count)
    let ranges = ceilDivide(pass.rows, range)
    let partials = ranges > 1 ? try scratch(count: ranges * count) : nil
    let elements = Double(pass.rows * count)
    try launch(
      kernel("column_products", in: Self.files),
      global: [roundUp(count, to: Self.sumColumns), ranges * Self.sumRows],
      local: [Self.sumColumns, Self.sumRows], flops: 2 * elements, bytes: 8 * elements,
      products(
        pass, a, stride: stride, offset: offset, b, stride: stride2, offset: offset2, count: count,
        into: partials ?? result, at: partials == nil ? first : 0) + ["range": .int(range)])
    guard let partials else { return }
    try sumColumns(
      partials, rows: ranges, columns: count, stride: count,
      into: ColumnSums(buffer: result, first: first))
  }
}
