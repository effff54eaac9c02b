import CarouselModel
import OpenCLDriver

/// The twin of `gemm/tiled_products.cl`: products for GPUs.
struct TiledProducts: MatrixProducts {
  let launcher: Launcher
  /// The tiles that a tuned layer can be restricted to, by their longer side.
  static let tiles = Dictionary(grouping: ProductTile.table, by: \.side)
  /// The tiles that the device has room for.
  private let tiles: [ProductTile]
  private let tilesBySide: [Int: [ProductTile]]
  /// The compute units that a product is divided for, whatever the device has.
  let computeUnits: Int
  private let found = TiledFindings()
  /// ADD_ITEMS of `gemm/tiled_products.cl`.
  private static let addItems = 128

  static let files = ["gemm/tiled_products.cl"]

  /// Products divided for a number of compute units.
  init(_ launcher: Launcher, computeUnits: Int = KernelParameters.plannedUnits) throws {
    self.launcher = launcher
    let device = launcher.device
    self.computeUnits = computeUnits
    tiles = ProductTile.table.filter {
      $0.items <= device.maxWorkGroupSize && $0.localBytes <= device.localMemoryBytes
    }
    tilesBySide = Dictionary(grouping: tiles, by: \.side)
  }

  func forward(
    x: Buffer, weight: Buffer, bias: Buffer?, bias2: Buffer?, y: Buffer, yStride: Int?, rows: Int,
    columns: Int, depth: Int
  ) throws {
    try multiply(
      Operand(x, depth, 1), Operand(weight, 1, depth), bias: bias, bias2: bias2, into: y,
      rows: rows, columns: columns, depth: depth, cStride: yStride)
  }

  func backward(
    gradY: Buffer, gradYStride: Int?, weight: Buffer, gradX: Buffer, rows: Int, columns: Int,
    depth: Int
  ) throws {
    try multiply(
      Operand(gradY, gradYStride ?? depth, 1), Operand(weight, columns, 1), into: gradX, rows: rows,
      columns: columns, depth: depth)
  }

  func gradients(_ gradY: GradientColumns, _ results: [WeightGradient]) throws {
    for result in results {
      guard let weight = result.weight else { continue }
      let skipped = result.skipped(of: gradY)
      // The columns before those that are skipped, and behind them.
      for range in [0..<skipped.lowerBound, skipped.upperBound..<gradY.columns]
      where !range.isEmpty {
        let row = result.first + range.lowerBound - (range.lowerBound > 0 ? skipped.count : 0)
        let product = GradientProduct(
          gradY: gradY, columns: range, weight: weight, xColumns: result.columns,
          offset: row * result.columns)
        switch result.source {
        case .matrix(let x): try multiply(product, x, depth: gradY.depth)
        case .statesBefore(let pass) where pass.lengths != nil:
          try multiply(product, launcher.gatherStates(pass), depth: gradY.depth)
        case .statesBefore(let pass): try multiply(product, statesBefore: pass)
        }
      }
    }
    let sums = results.compactMap { $0.sums(of: gradY) }
    guard let first = sums.first else { return }
    try launcher.sumColumns(
      gradY.buffer, rows: gradY.depth, columns: gradY.columns, stride: gradY.stride,
      offset: gradY.offset, into: first, and: sums.count > 1 ? sums[1] : nil)
  }

  /// A product of some columns of a gradient, and where its rows go.
  private struct GradientProduct {
    let gradY: GradientColumns
    let columns: Range<Int>
    let weight: Buffer
    let xColumns: Int
    let offset: Int
  }

  /// Every sequence has T steps: the states before all steps but the first are those after all steps
  /// but the last, N rows further on in y; the initial ones, if any, come first.
  private func multiply(_ product: GradientProduct, statesBefore pass: RecurrentPass) throws {
    let (N, others) = (pass.batchSize, pass.rows - pass.batchSize)
    let (isReverse, rows) = (pass.isReverse, pass.recurrentInputRows)
    if let initial = pass.initialRecurrentInput {
      try multiply(product, from: isReverse ? others : 0, initial, depth: N)
      if others == 0 { return }
    }
    try multiply(
      product, from: isReverse ? 0 : N, pass.recurrentInput,
      rows: StateRows(
        stride: rows.stride, offset: rows.offset + (isReverse ? N * rows.stride : 0)),
      depth: others, accumulates: pass.initialRecurrentInput != nil)
  }

  /// The product of `depth` rows of gradY from row `first` on and as many of x, in `rows` or one
  /// behind the other.
  private func multiply(
    _ product: GradientProduct, from first: Int = 0, _ x: Buffer, rows: StateRows? = nil,
    depth: Int, accumulates: Bool = false
  ) throws {
    let (gradY, columns) = (product.gradY, product.xColumns)
    let rows = rows ?? StateRows(stride: columns)
    let begin = gradY.offset + first * gradY.stride + product.columns.lowerBound
    try multiply(
      Operand(gradY.buffer, 1, gradY.stride, offset: begin),
      Operand(x, rows.stride, 1, offset: rows.offset), into: product.weight,
      rows: product.columns.count, columns: columns, depth: depth, cOffset: product.offset,
      accumulates: accumulates)
  }

  /// A matrix, where it begins, and its strides.
  struct Operand {
    let buffer: Buffer
    let row: Int
    let column: Int
    let offset: Int

    init(_ buffer: Buffer, _ row: Int, _ column: Int, offset: Int = 0) {
      self.buffer = buffer
      self.row = row
      self.column = column
      self.offset = offset
    }
  }

  /// How a product is divided: found once for each size.
  private func plan(rows: Int, columns: Int, depth: Int) -> ProductPlan {
    let tuned = launcher.tuning.tile
    return found.plan(.init(rows: rows, columns: columns, depth: depth, side: tuned)) {
      let plan = ProductPlan.best(
        of: tuned.flatMap { tilesBySide[$0] } ?? tiles, rows: rows, columns: columns, depth: depth,
        computeUnits: computeUnits)
      precondition(
        plan.tiles * plan.slabs + plan.share <= Int(Int32.max),
        "more slabs than the kernel can count")
      return plan
    }
  }

  /// `C [M, N] = A [M, K] · B [K, N] + bias + bias2`, C from `cOffset` on with rows of `cStride`; with
  /// `accumulates` C becomes that much more than it was.
  func multiply(
    _ a: Operand, _ b: Operand, bias: Buffer? = nil, bias2: Buffer? = nil, into c: Buffer,
    rows: Int, columns: Int, depth: Int, cOffset: Int = 0, cStride: Int? = nil,
    accumulates: Bool = false
  ) throws {
    let plan = plan(rows: rows, columns: columns, depth: depth)
    let tile = plan.tile
    let kernels = try found.kernels(
      launcher,
      TiledVariant(
        tile: tile, a: .init(a.row, a.column, offset: a.offset, count: rows, depth: depth),
        b: .init(b.column, b.row, offset: b.offset, count: columns, depth: depth)))
    let tileElements = tile.rows * tile.columns
    let partials = plan.hasParts ? try launcher.scratch(count: 2 * plan.groups * tileElements) : nil
    let result: KernelArguments = [
      "M": .int(rows), "N": .int(columns), "slabs_per_group": .int(plan.share),
      "partials": .optional(partials),
      "c": .buffer(c), "c_offset": .int(cOffset), "c_row": .int(cStride ?? columns),
      "accumulate": .int(accumulates), "bias": .optional(bias), "bias2": .optional(bias2),
    ]
    try launcher.launch(
      kernels.multiply, global: [plan.groups * tile.items], local: [tile.items],
      flops: 2 * Double(rows) * Double(columns) * Double(depth),
      bytes: productBytes(rows: rows, columns: columns, depth: depth),
      [
        "a": .buffer(a.buffer), "a_offset": .uint64(UInt64(a.offset)), "a_row": .int(a.row),
        "a_column": .int(a.column), "b": .buffer(b.buffer), "b_offset": .uint64(UInt64(b.offset)),
        "b_row": .int(b.row), "b_column": .int(b.column), "K": .int(depth),
      ] + result)
    guard partials != nil else { return }
    let added = Double(2 * plan.groups * tileElements)
    try launcher.launch(
      kernels.add,
      global: [roundUp(tileElements / 4, to: Self.addItems), min(plan.tiles, plan.groups - 1)],
      local: [Self.addItems, 1], flops: added, bytes: 4 * (added + Double(rows * columns)),
      ["tiles": .int(plan.tiles), "slabs": .int(plan.slabs)] + result)
  }
}

/// The parameters of `gemm/tiled_products.cl` that make one kernel.
private struct TiledVariant: Hashable {
  /// How an operand's elements are read.
  struct Access: Hashable {
    /// Whether neighbours in memory differ in k.
    let isAlongK: Bool
    /// Whether four of them are read at once.
    let isVector: Bool

    /// An operand of `count` rows of A, or columns of B, whose strides are `stride` and along k
    /// `depthStride`.
    init(_ stride: Int, _ depthStride: Int, offset: Int, count: Int, depth: Int) {
      isAlongK = depthStride <= stride
      let (near, far, extent) =
        isAlongK ? (depthStride, stride, depth) : (stride, depthStride, count)
      isVector = near == 1 && [far, offset, extent].allSatisfy { $0 % 4 == 0 }
    }
  }

  let tile: ProductTile
  let a: Access
  let b: Access

  var options: [String] {
    [
      "-DTILE_M=\(tile.rows)", "-DTILE_N=\(tile.columns)", "-DMICRO_M=\(tile.micro)",
      "-DMICRO_N=\(tile.micro)", "-DDEPTH=\(tile.depth)", "-DA_ALONG_K=\(a.isAlongK ? 1 : 0)",
      "-DB_ALONG_K=\(b.isAlongK ? 1 : 0)", "-DA_VECTOR=\(a.isVector ? 1 : 0)",
      "-DB_VECTOR=\(b.isVector ? 1 : 0)",
    ]
  }
}

/// The plans and the kernels of all products so far, found without weighing tiles again or making the
/// text of a kernel's options.
private final class TiledFindings {
  /// What a plan depends on.
  struct Product: Hashable {
    let rows: Int, columns: Int, depth: Int
    let side: Int?
  }

  private var plans: [Product: ProductPlan] = [:]
  private var kernels: [TiledVariant: (multiply: Kernel, add: Kernel)] = [:]

  func plan(_ product: Product, make: () -> ProductPlan) -> ProductPlan {
    if let plan = plans[product] { return plan }
    let plan = make()
    plans[product] = plan
    return plan
  }

  func kernels(
    _ launcher: Launcher, _ variant: TiledVariant
  ) throws -> (multiply: Kernel, add: Kernel) {
    if let found = kernels[variant] { return found }
    // With one register more than these, NVIDIA's units have room for but one group of 256 work-items;
    // of TF32 in three products that is enough.
    let isCapped =
      variant.tile.items == 256 && variant.tile.micro == 8 && launcher.precision != .tf32x3
      && launcher.device.extensions.contains("cl_nv_compiler_options")
    let options =
      variant.options + [launcher.precision.option] + (isCapped ? ["-cl-nv-maxrregcount=128"] : [])
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: TiledProducts.files, options: options)
    }
    let made = (multiply: try kernel("gemm_tiled"), add: try kernel("add_partials"))
    kernels[variant] = made
    return made
  }
}
