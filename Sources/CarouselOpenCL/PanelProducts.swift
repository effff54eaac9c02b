import CarouselModel
import OpenCLDriver

/// How a weight is packed in panels.
private struct PackedWeight: Hashable {
  let offset: Int
  let transposed: Bool
  let depth: Int, columns: Int
}

/// The twin of `gemm/panel_products.cl` and `gemm/weight_gradients.cl`: products for CPU devices.
struct PanelProducts: MatrixProducts {
  let launcher: Launcher
  /// COLUMNS of `gemm/panel.cl`.
  let panelWidth: Int
  /// ROWS of `gemm/panel.cl`.
  static let tileRows = 8
  /// PACK_VECTORS of `gemm/weight_gradients.cl`.
  private static let packVectors = 4
  /// The panels of one work-item of a product, a quarter to a half of a core's second cache: those of
  /// processors with narrow vectors are small.
  private let panelsPerItem: Int

  /// Whether what is multiplied soon comes to the second cache before: with vectors of 16 each product asks for its
  /// own panel.
  let fetchesAhead: Bool

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
    panelsPerItem = max(2, launcher.parameters.width / 2)
    let files = ["gemm/panel_products.cl"]
    fetchesAhead = launcher.parameters.width < 16
    let fetching = fetchesAhead ? ["-D FETCH_AHEAD=1"] : []
    let options = fetching + launcher.precision.panelOptions
    packPanels = try launcher.kernel("pack_panels", in: files, options: options)
    gemm = try launcher.kernel("gemm", in: files, options: options)
    func gradientKernel(_ name: String) throws -> Kernel {
      try launcher.kernel(
        name,
        in: ["gemm/weight_gradients.cl"], options: fetching + ["-D ALONG_TILES=1"])
    }
    packGradients = { try gradientKernel("pack_gradients") }
    weightGradients = { try gradientKernel("weight_gradients") }
  }

  /// The elements of B `[K, N]` packed in panels.
  func panelCount(depth: Int, columns: Int) -> Int { depth * roundUp(columns, to: panelWidth) }

  /// A weight B `[K, N]` packed once for all products until it changes: row-major, or with `transposed`
  /// given as `[N, K]`; its first element is that at `offset`.
  func packed(
    _ b: Buffer, offset: Int = 0, transposed: Bool, depth: Int, columns: Int
  ) throws -> Buffer {
    let key = PackedWeight(
      offset: offset, transposed: transposed, depth: depth, columns: columns)
    let bytes = launcher.precision.packedBytes * panelCount(depth: depth, columns: columns)
    return try launcher.derived(b, key) { stale in
      let panels = try stale ?? launcher.scratch(bytes: bytes)
      try launcher.launch(
        packPanels, global: [ceilDivide(columns, panelWidth)], local: [1],
        bytes: Double(4 * depth * columns + bytes),
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

  /// Memory for a layer's gradients, inputs and states as `gemm/gradient_tiles.cl` lays them out; the panels
  /// of columns without a product are left out.
  func packedGradients(
    slots: Int, width: Int, inputs: Int, states: Int, depth: Int, lengths: Buffer? = nil
  ) throws -> PackedGradients {
    let room = paddedDepth(depth)
    return PackedGradients(
      tiles: try launcher.scratch(count: slots * paddedWidth(width) * room),
      panels: try launcher.scratch(
        count: panelCount(depth: room, columns: inputs)
          + panelCount(depth: room, columns: states)),
      lengths: lengths)
  }

  /// The twin of `padded_depth`.
  private func paddedDepth(_ depth: Int) -> Int { 2 * (ceilDivide(depth, 2) | 1) }

  /// The twin of `padded_width`.
  private func paddedWidth(_ width: Int) -> Int {
    roundUp(width, to: max(launcher.parameters.width, Self.tileRows))
  }

  func gradients(_ gradY: GradientColumns, _ results: [WeightGradient]) throws {
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
    let (K, C, H) = (gradY.depth, columns(inputs?.result), columns(states?.result))
    let packed =
      try gradY.packed
      ?? pack(gradY, x: inputs?.x, inputs: C, statesBefore: states?.pass, states: H)
    let panelCount = ceilDivide(C, panelWidth) + ceilDivide(H, panelWidth)
    let tileColumns = gradY.slots * paddedWidth(gradY.width)
    let share = share(rows: tileColumns, panels: panelCount, depth: K)
    let ranges = ceilDivide(tileColumns, share.rows)
    let hands = min(launcher.plannedDevice.computeUnits, ranges)
    // The tiles hold the steps that the sequences have; the work is divided by their room.
    let computed =
      try packed.lengths == nil ? K : states.map { try launcher.computedRows($0.pass).all } ?? K
    try launcher.launch(
      weightGradients(),
      global: [
        max(1, ceilDivide(panelCount, share.panels)), ceilDivide(ranges, hands), hands,
      ],
      local: [1, 1, 1],
      flops: results.reduce(0) {
        $0 + 2 * Double($1.rows(of: gradY)) * Double(columns($1)) * Double(computed)
      },
      bytes: results.reduce(0) {
        $0 + productBytes(rows: $1.rows(of: gradY), columns: columns($1), depth: computed)
      },
      [
        "gradient_tiles": .buffer(packed.tiles), "panels": .buffer(packed.panels),
        "lengths": .optional(packed.lengths), "T": .int(states?.pass.sequenceLength ?? K),
        "N": .int(states?.pass.batchSize ?? 1), "slots": .int(gradY.slots),
        "width": .int(gradY.width), "weight_ih": .optional(inputs?.result.weight), "C": .int(C),
        "bias_ih": .optional(inputs?.result.bias), "first_ih": .int(inputs?.result.first ?? 0),
        "skipped_ih": .int(inputs?.result.skippedSlot ?? -1),
        "weight_hh": .optional(states?.result.weight), "H": .int(H),
        "bias_hh": .optional(states?.result.bias), "first_hh": .int(states?.result.first ?? 0),
        "skipped_hh": .int(states?.result.skippedSlot ?? -1),
        "panels_per_item": .int(share.panels),
        "columns_per_item": .int(share.rows),
      ])
  }

  /// Packs what no strategy has: gradients, a matrix of inputs, and the states of a layer.
  private func pack(
    _ gradY: GradientColumns, x: Buffer?, inputs: Int, statesBefore pass: RecurrentPass?,
    states: Int
  ) throws -> PackedGradients {
    let (K, width) = (gradY.depth, launcher.parameters.width)
    let packed = try packedGradients(
      slots: gradY.slots, width: gradY.width, inputs: inputs, states: states, depth: K)
    // One stretch of columns for each core: the longer what is read of each k, the better.
    let count = K * (gradY.columns + inputs + states)
    let items = min(launcher.plannedDevice.computeUnits, max(1, count / Self.packedPerItem))
    let columnsPerItem = roundUp(
      ceilDivide(gradY.slots * paddedWidth(gradY.width), items), to: Self.packVectors * width)
    try launcher.launch(
      packGradients(), global: [items], local: [1], bytes: 8 * Double(count),
      [
        "a": .buffer(gradY.buffer), "slots": .int(gradY.slots), "width": .int(gradY.width),
        "stride": .int(gradY.stride), "offset": .int(gradY.offset),
        "columns_per_item": .int(columnsPerItem), "gradient_tiles": .buffer(packed.tiles),
        "x": .optional(x), "C": .int(inputs), "y": .optional(pass?.recurrentInput),
        "y_stride": .int(pass?.recurrentInputRows.stride ?? 0),
        "y_offset": .int(pass?.recurrentInputRows.offset ?? 0),
        "h_0": .optional(pass?.initialRecurrentInput), "lengths": .optional(pass?.lengths),
        "H": .int(states), "T": .int(pass?.sequenceLength ?? K), "N": .int(pass?.batchSize ?? 1),
        "reverse": .int(pass?.isReverse ?? false), "panels": .buffer(packed.panels),
      ])
    return packed
  }

  /// The rows and panels of one work-item of a product.
  ///
  /// They may follow the cores, for no sum depends on them. A work-item keeps a few panels in its core's cache and reads each row of A once for all of them. Several
  /// ranges of rows for each core, so that the last to finish is short and a range that a product
  /// leaves out is no core's whole share, each long enough to be worth its launch.
  private func share(rows: Int, panels: Int, depth: Int) -> (rows: Int, panels: Int) {
    let panelsPerItem = min(max(panels, 1), launcher.tuning.panelsPerItem ?? panelsPerItem)
    let ranges = 4 * launcher.plannedDevice.computeUnits
    let shortest = max(1, 500_000 / (2 * panelWidth * panelsPerItem * depth))
    let rowsPerItem = max(ceilDivide(rows, ranges), min(shortest, rows))
    return (roundUp(rowsPerItem, to: Self.tileRows), panelsPerItem)
  }

  /// The same where few rows meet panels enough to keep the cores busy: ranges of `manyRows` or more, for
  /// each of which the weights are read once, from memory that all cores may share.
  private func shareOfFewRows(_ rows: Int, panels: Int, depth: Int) -> (rows: Int, panels: Int) {
    let cores = launcher.plannedDevice.computeUnits
    let whole = share(rows: rows, panels: panels, depth: depth)
    guard whole.rows < Self.manyRows, panels >= 2 * whole.panels * cores else { return whole }
    let ranges = max(1, rows / Self.manyRows)
    /// The panels that the busiest core has.
    func most(_ panelsPerItem: Int) -> Int {
      ceilDivide(ranges * ceilDivide(panels, panelsPerItem), cores) * panelsPerItem
    }
    let perItem = ((whole.panels + 1) / 2...whole.panels).reversed().min { most($0) < most($1) }
    return (roundUp(ceilDivide(rows, ranges), to: Self.tileRows), perItem ?? whole.panels)
  }

  /// So many rows take longer to multiply than their panels to come from memory that all cores share.
  private static let manyRows = 96

  private func multiply(
    _ a: Buffer, _ panels: Buffer, bias: Buffer? = nil, bias2: Buffer? = nil, into c: Buffer,
    rows: Int, columns: Int, depth: Int, aStride: Int? = nil, cStride: Int? = nil
  ) throws {
    let panelCount = ceilDivide(columns, panelWidth)
    let share = shareOfFewRows(rows, panels: panelCount, depth: depth)
    try launcher.launch(
      gemm, global: [ceilDivide(panelCount, share.panels), ceilDivide(rows, share.rows)],
      local: [1, 1], flops: 2 * Double(rows) * Double(columns) * Double(depth),
      bytes: productBytes(
        rows: rows, columns: columns, depth: depth, weightBytes: launcher.precision.packedBytes),
      [
        "a": .buffer(a), "panels": .buffer(panels), "bias": .optional(bias),
        "bias2": .optional(bias2), "c": .buffer(c), "M": .int(rows), "N": .int(columns),
        "K": .int(depth), "a_stride": .int(aStride ?? depth), "c_stride": .int(cStride ?? columns),
        "panels_per_item": .int(share.panels), "rows_per_item": .int(share.rows),
      ])
  }
}
