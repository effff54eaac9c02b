import CarouselModel
import OpenCLDriver

/// The twin of `gemm_gpu.cl`: products for GPUs.
struct TiledProducts: MatrixProducts {
  let launcher: Launcher
  /// The tiles that a tuned layer can be restricted to, by their longer side.
  static let tiles = Dictionary(grouping: ProductTile.table, by: \.side)
  /// The tiles that the device has room for.
  private let tiles: [ProductTile]
  private let tilesBySide: [Int: [ProductTile]]
  /// The compute units that a product is divided for.
  let computeUnits: Int
  private let kernels = TiledKernels()
  private let sumSplits: Kernel

  static let files = ["vector.cl", "gemm_gpu.cl"]

  /// Products divided for a number of compute units: nil for the device's.
  init(_ launcher: Launcher, computeUnits: Int? = nil) throws {
    self.launcher = launcher
    let device = launcher.device
    self.computeUnits = computeUnits ?? device.computeUnits
    tiles = ProductTile.table.filter {
      $0.items <= device.maxWorkGroupSize && $0.localBytes <= device.localMemoryBytes
    }
    tilesBySide = Dictionary(grouping: tiles, by: \.side)
    sumSplits = try launcher.kernel("sum_splits", in: Self.files)
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

  func gradients(_ gradY: GradientColumns, inputs: [ProductInput]) throws {
    for input in inputs {
      switch input.source {
      case .matrix(let x): try multiply(gradY, x, into: input, depth: gradY.depth)
      case .statesBefore(let pass) where pass.lengths != nil:
        try multiply(gradY, launcher.gatherStates(pass), into: input, depth: gradY.depth)
      case .statesBefore(let pass): try multiply(gradY, statesBefore: pass, into: input)
      }
    }
    guard gradY.sums != nil || gradY.sums2 != nil else { return }
    try launcher.sumColumns(gradY)
  }

  /// Every sequence has T steps: the states before all steps but the first are those after all steps
  /// but the last, N rows further on in y; the initial ones, if any, come first.
  private func multiply(
    _ gradY: GradientColumns, statesBefore pass: RecurrentPass, into input: ProductInput
  ) throws {
    let (N, others) = (pass.batchSize, pass.rows - pass.batchSize)
    let isReverse = pass.isReverse
    if let initial = pass.initialFactors {
      try multiply(
        gradY, from: isReverse ? others : 0, initial, into: input, depth: N)
      if others == 0 { return }
    }
    try multiply(
      gradY, from: isReverse ? 0 : N, pass.factors, xFrom: isReverse ? N : 0, into: input,
      depth: others, accumulates: pass.initialFactors != nil)
  }

  /// The product of `depth` rows of gradY from row `first` on and as many of x from `xFirst` on.
  private func multiply(
    _ gradY: GradientColumns, from first: Int = 0, _ x: Buffer, xFrom xFirst: Int = 0,
    into input: ProductInput, depth: Int, accumulates: Bool = false
  ) throws {
    let columns = input.columns
    try multiply(
      Operand(gradY.buffer, 1, gradY.stride, offset: gradY.offset + first * gradY.stride),
      Operand(x, columns, 1, offset: xFirst * columns), into: input.gradWeight, rows: input.rows,
      columns: columns, depth: depth, cOffset: input.offset, accumulates: accumulates)
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

  /// `C [M, N] = A [M, K] · B [K, N] + bias + bias2`, C from `cOffset` on with rows of `cStride`; with
  /// `accumulates` C becomes that much more than it was.
  func multiply(
    _ a: Operand, _ b: Operand, bias: Buffer? = nil, bias2: Buffer? = nil, into c: Buffer,
    rows: Int, columns: Int, depth: Int, cOffset: Int = 0, cStride: Int? = nil,
    accumulates: Bool = false
  ) throws {
    let plan = ProductPlan.best(
      of: launcher.tuning.tile.flatMap { tilesBySide[$0] } ?? tiles, rows: rows, columns: columns,
      depth: depth, computeUnits: computeUnits)
    let (tile, splits) = (plan.tile, plan.splits)
    /// Where sums go to, and what is added to them.
    func result(
      _ c: Buffer, offset: Int, row: Int, accumulates: Bool, _ bias: Buffer?, _ bias2: Buffer?
    ) -> KernelArguments {
      [
        "c": .buffer(c), "c_offset": .int(offset), "c_row": .int(row),
        "accumulate": .int(accumulates), "bias": .optional(bias), "bias2": .optional(bias2),
      ]
    }
    let whole = result(
      c, offset: cOffset, row: cStride ?? columns, accumulates: accumulates, bias, bias2)
    let partials = splits > 1 ? try launcher.scratch(count: splits * rows * columns) : nil
    try launcher.launch(
      kernels.kernel(
        launcher,
        TiledVariant(
          tile: tile, a: .init(a.row, a.column, offset: a.offset, count: rows, depth: depth),
          b: .init(b.column, b.row, offset: b.offset, count: columns, depth: depth))),
      global: [
        ceilDivide(columns, tile.columns) * tile.items, ceilDivide(rows, tile.rows), splits,
      ],
      local: [tile.items, 1, 1], flops: 2 * Double(rows) * Double(columns) * Double(depth),
      bytes: productBytes(rows: rows, columns: columns, depth: depth),
      [
        "a": .buffer(a.buffer), "b": .buffer(b.buffer), "M": .int(rows), "N": .int(columns),
        "K": .int(depth), "a_offset": .int(a.offset), "a_row": .int(a.row),
        "a_column": .int(a.column), "b_offset": .int(b.offset), "b_row": .int(b.row),
        "b_column": .int(b.column), "range": .int(plan.range),
        "c_split": .int(partials == nil ? 0 : rows * columns),
      ]
        + (partials.map { result($0, offset: 0, row: columns, accumulates: false, nil, nil) }
          ?? whole))
    guard let partials else { return }
    let elements = Double(rows * columns)
    try launcher.launch(
      sumSplits, global: [roundUp(rows * ceilDivide(columns, 4), to: 128)], local: [128],
      flops: Double(splits) * elements, bytes: 4 * Double(splits + 1) * elements,
      [
        "partials": .buffer(partials), "splits": .int(splits), "M": .int(rows), "N": .int(columns),
      ] + whole)
  }
}

/// The parameters of `gemm_gpu.cl` that make one kernel.
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

/// The kernels of all variants so far, found without making their options' text.
private final class TiledKernels {
  private var kernels: [TiledVariant: Kernel] = [:]

  func kernel(_ launcher: Launcher, _ variant: TiledVariant) throws -> Kernel {
    if let kernel = kernels[variant] { return kernel }
    let kernel = try launcher.kernel(
      "gemm_tiled", in: TiledProducts.files, options: variant.options)
    kernels[variant] = kernel
    return kernel
  }
}
