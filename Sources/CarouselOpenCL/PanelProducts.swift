import CarouselModel
import OpenCLDriver

/// How a weight is packed in panels.
private struct PackedWeight: Hashable {
  let offset: Int
  let transposed: Bool
  let depth: Int, columns: Int
}

/// The twin of `gemm_cpu.cl` and `weight_gradients.cl`: products for CPU devices.
struct PanelProducts: MatrixProducts {
  let launcher: Launcher
  /// COLUMNS of `panel.cl`.
  let panelWidth: Int
  /// ROWS of `panel.cl`.
  static let tileRows = 8
  /// PACK_VECTORS of `weight_gradients.cl`.
  private static let packVectors = 4
  /// The panels of one work-item of a product.
  private static let panelsPerItem = 8

  /// The numbers for which it is worth waking another core to pack them.
  private static let packedPerItem = 4096

  private let packPanels: Kernel
  private let gemm: Kernel
  /// Built when they are first wanted: inference does without.
  private let packGradients: () throws -> Kernel
  private let weightGradients: () throws -> Kernel

  init(_ launcher: Launcher) throws {
    self.launcher = launcher
    panelWidth = 2 * launcher.parameters.width
    let files = ["vector.cl", "panel.cl", "gemm_cpu.cl"]
    packPanels = try launcher.kernel("pack_panels", in: files)
    gemm = try launcher.kernel("gemm", in: files)
    func gradientKernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: ["vector.cl", "states.cl", "panel.cl", "weight_gradients.cl"])
    }
    packGradients = { try gradientKernel("pack_gradients") }
    weightGradients = { try gradientKernel("weight_gradients") }
  }

  /// The floats of B `[K, N]` packed in panels.
  func panelCount(depth: Int, columns: Int) -> Int { depth * roundUp(columns, to: panelWidth) }

  /// A weight B `[K, N]` packed once for all products until it changes: row-major, or with `transposed`
  /// given as `[N, K]`; its first element is that at `offset`.
  func packed(
    _ b: Buffer, offset: Int = 0, transposed: Bool, depth: Int, columns: Int
  ) throws -> Buffer {
    let key = PackedWeight(
      offset: offset, transposed: transposed, depth: depth, columns: columns)
    let count = panelCount(depth: depth, columns: columns)
    return try b.derived(key) { stale in
      let panels = try stale ?? launcher.scratch(count: count)
      try launcher.launch(
        packPanels, global: [ceilDivide(columns, panelWidth)], local: [1],
        bytes: 4 * Double(depth * columns + count),
        [
          "b": .buffer(b), "panels": .buffer(panels), "K": .int(depth), "N": .int(columns),
          "offset": .int(offset), "k_stride": .int(transposed ? 1 : columns),
          "j_stride": .int(transposed ? depth : 1),
        ])
      return panels
    }
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

  func gradients(_ gradY: GradientColumns, _ results: [WeightGradient]) throws {
    let (M, K) = (gradY.columns, gradY.depth)
    var inputs: (x: Buffer, result: WeightGradient)?
    var states: (pass: RecurrentPass, result: WeightGradient)?
    for result in results {
      switch result.source {
      case .matrix(let x):
        precondition(inputs == nil, "one matrix")
        inputs = (x, result)
      case .statesBefore(let pass):
        precondition(states == nil, "the states of one layer")
        states = (pass, result)
      }
    }
    func columns(_ result: WeightGradient?) -> Int {
      result?.weight == nil ? 0 : result?.columns ?? 0
    }
    let (C, H) = (columns(inputs?.result), columns(states?.result))
    let places: KernelArguments = [
      "first_ih": .int(inputs?.result.first ?? 0),
      "skipped_ih": .int(inputs?.result.skipped.lowerBound ?? 0),
      "resumed_ih": .int(inputs?.result.skipped.upperBound ?? 0),
      "first_hh": .int(states?.result.first ?? 0),
      "skipped_hh": .int(states?.result.skipped.lowerBound ?? 0),
      "resumed_hh": .int(states?.result.skipped.upperBound ?? 0),
    ]
    let tiles = try launcher.scratch(count: roundUp(M, to: 16) * K)
    let panels = try launcher.scratch(
      count: panelCount(depth: K, columns: C) + panelCount(depth: K, columns: H))
    let hasSums = inputs?.result.bias != nil || states?.result.bias != nil
    // One stretch of columns for each core: the longer what is read of each k, the better.
    let packed = K * (M + C + H)
    let items = min(launcher.device.computeUnits, max(1, packed / Self.packedPerItem))
    let columnsPerItem = roundUp(
      ceilDivide(M, items), to: Self.packVectors * launcher.parameters.width)
    try launcher.launch(
      packGradients(), global: [items], local: [1], flops: hasSums ? Double(M * K) : 0,
      bytes: 8 * Double(packed),
      [
        "a": .buffer(gradY.buffer), "M": .int(M), "stride": .int(gradY.stride),
        "offset": .int(gradY.offset), "columns_per_item": .int(columnsPerItem),
        "tiles": .buffer(tiles),
        "sums": .optional(hasSums ? try launcher.scratch(count: M) : nil),
        "bias_ih": .optional(inputs?.result.bias), "bias_hh": .optional(states?.result.bias),
        "x": .optional(inputs?.x), "C": .int(C), "y": .optional(states?.pass.factors),
        "h_0": .optional(states?.pass.initialFactors), "lengths": .optional(states?.pass.lengths),
        "H": .int(H), "T": .int(states?.pass.steps ?? K), "N": .int(states?.pass.batchSize ?? 1),
        "reverse": .int(states?.pass.isReverse ?? false), "panels": .buffer(panels),
      ] + places)
    let panelCount = ceilDivide(C, panelWidth) + ceilDivide(H, panelWidth)
    guard panelCount > 0 else { return }
    let share = share(rows: M, panels: panelCount, depth: K)
    let ranges = ceilDivide(M, share.rows)
    let hands = min(launcher.device.computeUnits, ranges)
    let results = [inputs?.result, states?.result].compactMap { $0 }
    try launcher.launch(
      weightGradients(),
      global: [ceilDivide(panelCount, share.panels), ceilDivide(ranges, hands), hands],
      local: [1, 1, 1],
      flops: results.reduce(0) {
        $0 + 2 * Double($1.rows(of: M)) * Double(columns($1)) * Double(K)
      },
      bytes: results.reduce(0) {
        $0 + productBytes(rows: $1.rows(of: M), columns: columns($1), depth: K)
      },
      [
        "tiles": .buffer(tiles), "panels": .buffer(panels), "M": .int(M), "K": .int(K),
        "weight_ih": .optional(inputs?.result.weight), "C": .int(C),
        "weight_hh": .optional(states?.result.weight), "H": .int(H),
        "panels_per_item": .int(share.panels), "rows_per_item": .int(share.rows),
      ] + places)
  }

  /// The rows and panels of one work-item of a product.
  ///
  /// It keeps a few panels in its core's cache and reads each row of A once for all of them. Several
  /// ranges of rows for each core, so that the last to finish is short and a range that a product
  /// leaves out is no core's whole share, each long enough to be worth its launch.
  private func share(rows: Int, panels: Int, depth: Int) -> (rows: Int, panels: Int) {
    let panelsPerItem = min(panels, launcher.tuning.panelsPerItem ?? Self.panelsPerItem)
    let ranges = 4 * launcher.device.computeUnits
    let shortest = max(1, 500_000 / (2 * panelWidth * panelsPerItem * depth))
    let rowsPerItem = max(ceilDivide(rows, ranges), min(shortest, rows))
    return (roundUp(rowsPerItem, to: Self.tileRows), panelsPerItem)
  }

  private func multiply(
    _ a: Buffer, _ panels: Buffer, bias: Buffer? = nil, bias2: Buffer? = nil, into c: Buffer,
    rows: Int, columns: Int, depth: Int, aStride: Int? = nil, cStride: Int? = nil
  ) throws {
    let panelCount = ceilDivide(columns, panelWidth)
    let share = share(rows: rows, panels: panelCount, depth: depth)
    try launcher.launch(
      gemm, global: [ceilDivide(panelCount, share.panels), ceilDivide(rows, share.rows)],
      local: [1, 1], flops: 2 * Double(rows) * Double(columns) * Double(depth),
      bytes: productBytes(rows: rows, columns: columns, depth: depth),
      [
        "a": .buffer(a), "panels": .buffer(panels), "bias": .optional(bias),
        "bias2": .optional(bias2), "c": .buffer(c), "M": .int(rows), "N": .int(columns),
        "K": .int(depth), "a_stride": .int(aStride ?? depth), "c_stride": .int(cStride ?? columns),
        "panels_per_item": .int(share.panels), "rows_per_item": .int(share.rows),
      ])
  }
}
