import CarouselModel
import OpenCLDriver

/// How a weight is packed in panels.
private struct PackedWeight: Hashable {
  let offset: Int
  let transposed: Bool
  let depth: Int, columns: Int
}

/// The twin of `gemm_cpu.cl`: products for CPU devices.
struct PanelProducts: MatrixProducts {
  let launcher: Launcher
  /// COLUMNS of `panel.cl`.
  let panelWidth: Int
  /// ROWS of `panel.cl`.
  static let tileRows = 8
  /// PACK_VECTORS of `gemm_cpu.cl`.
  private static let packVectors = 4
  /// The panels of one work-item of a product.
  private static let panelsPerItem = 8

  private static let files = ["vector.cl", "states.cl", "panel.cl", "gemm_cpu.cl"]
  private let packPanels: Kernel
  private let packStates: Kernel
  private let packRows: Kernel
  private let gemm: Kernel

  init(_ launcher: Launcher) throws {
    self.launcher = launcher
    panelWidth = 2 * launcher.parameters.width
    packPanels = try launcher.kernel("pack_panels", in: Self.files)
    packStates = try launcher.kernel("pack_states", in: Self.files)
    packRows = try launcher.kernel("pack_rows", in: Self.files)
    gemm = try launcher.kernel("gemm", in: Self.files)
  }

  /// The floats of B `[K, N]` packed in panels.
  func panelCount(depth: Int, columns: Int) -> Int { depth * roundUp(columns, to: panelWidth) }

  /// Packs B `[K, N]`: row-major, or with `transposed` given as `[N, K]`; its first element is that at
  /// `offset`.
  func pack(
    _ b: Buffer, offset: Int = 0, transposed: Bool, into panels: Buffer, depth: Int, columns: Int
  ) throws {
    try launcher.launch(
      packPanels, global: [ceilDivide(columns, panelWidth)], local: [1],
      bytes: 4 * Double(depth * columns + panelCount(depth: depth, columns: columns)),
      [
        "b": .buffer(b), "panels": .buffer(panels), "K": .int(depth), "N": .int(columns),
        "offset": .int(offset), "k_stride": .int(transposed ? 1 : columns),
        "j_stride": .int(transposed ? depth : 1),
      ])
  }

  /// A weight B packed once for all products until it changes.
  func packed(
    _ b: Buffer, offset: Int = 0, transposed: Bool, depth: Int, columns: Int
  ) throws -> Buffer {
    let key = PackedWeight(
      offset: offset, transposed: transposed, depth: depth, columns: columns)
    return try b.derived(key) { stale in
      let panels =
        try stale ?? launcher.scratch(count: panelCount(depth: depth, columns: columns))
      try pack(
        b, offset: offset, transposed: transposed, into: panels, depth: depth, columns: columns)
      return panels
    }
  }

  private func pack(_ pass: RecurrentPass, into panels: Buffer) throws {
    let (depth, columns) = (pass.rows, pass.stateSize)
    try launcher.launch(
      packStates, global: [ceilDivide(columns, panelWidth)], local: [1],
      bytes: 4 * Double(depth * columns + panelCount(depth: depth, columns: columns)),
      [
        "y": .buffer(pass.factors), "h_0": .optional(pass.initialFactors),
        "lengths": .optional(pass.lengths), "panels": .buffer(panels), "T": .int(pass.steps),
        "N": .int(pass.batchSize), "H": .int(columns), "reverse": .int(pass.isReverse),
      ])
  }

  func forward(
    x: Buffer, weight: Buffer, bias: Buffer?, bias2: Buffer?, y: Buffer, yStride: Int?, rows: Int,
    columns: Int, depth: Int
  ) throws {
    let panels = try packed(weight, transposed: true, depth: depth, columns: columns)
    try multiply(
      x, panels, bias: bias, bias2: bias2, into: y, rows: rows, columns: columns, depth: depth,
      cStride: yStride)
  }

  func backward(
    gradY: Buffer, gradYStride: Int?, weight: Buffer, gradX: Buffer, rows: Int, columns: Int,
    depth: Int
  ) throws {
    let panels = try packed(weight, transposed: false, depth: depth, columns: columns)
    try multiply(
      gradY, panels, into: gradX, rows: rows, columns: columns, depth: depth, aStride: gradYStride)
  }

  func gradients(_ gradY: GradientColumns, inputs: [ProductInput]) throws {
    let (rows, depth) = (gradY.rows, gradY.depth)
    let packed = try launcher.scratch(count: roundUp(rows, to: 16) * depth)
    let sums = try gradY.sums ?? (gradY.sums2 == nil ? nil : launcher.scratch(count: rows))
    // One stretch of rows for each core: the longer what is read of each k, the better.
    let rowsPerItem = roundUp(
      ceilDivide(rows, launcher.device.computeUnits),
      to: Self.packVectors * launcher.parameters.width)
    try launcher.launch(
      packRows, global: [ceilDivide(rows, rowsPerItem)], local: [1],
      flops: sums == nil ? 0 : Double(rows * depth), bytes: 8 * Double(rows * depth),
      [
        "a": .buffer(gradY.buffer), "packed": .buffer(packed), "sums": .optional(sums),
        "sums2": .optional(gradY.sums2), "M": .int(rows),
        "K": .int(depth), "stride": .int(gradY.stride), "offset": .int(gradY.offset),
        "offset2": .int(gradY.sums2Offset), "count2": .int(gradY.sums2Count),
        "rows_per_item": .int(rowsPerItem),
      ])
    for input in inputs {
      let panels = try launcher.scratch(
        count: panelCount(depth: depth, columns: input.columns))
      switch input.source {
      case .matrix(let x):
        try pack(x, transposed: false, into: panels, depth: depth, columns: input.columns)
      case .statesBefore(let pass):
        try pack(pass, into: panels)
      }
      try multiply(
        packed, panels, into: input.gradWeight, rows: input.rows, columns: input.columns,
        depth: depth, cOffset: input.offset, packed: true)
    }
  }

  private func multiply(
    _ a: Buffer, _ panels: Buffer, bias: Buffer? = nil, bias2: Buffer? = nil, into c: Buffer,
    rows: Int, columns: Int, depth: Int, aStride: Int? = nil, cStride: Int? = nil,
    cOffset: Int = 0, packed: Bool = false
  ) throws {
    // A work-item keeps a few panels in its core's cache and reads each row of A once for all of
    // them. Several work-items for each core, so that the last to finish is short, each long enough
    // to be worth its launch.
    let panelCount = ceilDivide(columns, panelWidth)
    let panelsPerItem = min(panelCount, launcher.tuning.panelsPerItem ?? Self.panelsPerItem)
    let groupCount = ceilDivide(panelCount, panelsPerItem)
    let perCore = ceilDivide(4 * launcher.device.computeUnits, groupCount)
    let shortest = max(1, 500_000 / (2 * panelWidth * panelsPerItem * depth))
    let rowsPerItem = roundUp(
      max(ceilDivide(rows, perCore), min(shortest, rows)), to: Self.tileRows)
    try launcher.launch(
      gemm, global: [groupCount, ceilDivide(rows, rowsPerItem)], local: [1, 1],
      flops: 2 * Double(rows) * Double(columns) * Double(depth),
      bytes: productBytes(rows: rows, columns: columns, depth: depth),
      [
        "a": .buffer(a), "panels": .buffer(panels), "bias": .optional(bias),
        "bias2": .optional(bias2), "c": .buffer(c), "M": .int(rows), "N": .int(columns),
        "K": .int(depth), "a_stride": .int(aStride ?? depth), "c_stride": .int(cStride ?? columns),
        "c_offset": .int(cOffset), "panels_per_item": .int(panelsPerItem),
        "rows_per_item": .int(rowsPerItem), "packed": .int(packed),
      ])
  }
}
