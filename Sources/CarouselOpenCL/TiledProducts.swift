import CarouselModel
import OpenCLDriver

/// The twin of `gemm_gpu.cl`: products for GPUs.
struct TiledProducts: MatrixProducts {
  let launcher: Launcher
  /// MICRO of `gemm_gpu.cl` for each TILE.
  static let tiles = [32: 4, 64: 4, 128: 8]
  private static let tile = 64
  private let columnSums: Kernel

  init(_ launcher: Launcher) throws {
    self.launcher = launcher
    columnSums = try launcher.kernel("column_sums", in: ["gemm_gpu.cl"])
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
      let x: Buffer
      switch input.source {
      case .matrix(let matrix): x = matrix
      case .statesBefore(let pass): x = try launcher.gatherStates(pass)
      }
      try multiply(
        Operand(gradY.buffer, 1, gradY.stride, offset: gradY.offset),
        Operand(x, input.columns, 1), into: input.gradWeight, rows: input.rows,
        columns: input.columns, depth: gradY.depth, cOffset: input.offset)
    }
    guard gradY.sums != nil || gradY.sums2 != nil else { return }
    let elements = Double(gradY.rows * gradY.depth)
    try launcher.launch(
      columnSums, global: [gradY.rows], flops: elements, bytes: 4 * elements,
      [
        "a": .buffer(gradY.buffer), "sums": .optional(gradY.sums),
        "sums2": .optional(gradY.sums2), "M": .int(gradY.depth), "stride": .int(gradY.stride),
        "offset": .int(gradY.offset), "offset2": .int(gradY.sums2Offset),
        "count2": .int(gradY.sums2Count),
      ])
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

  /// `C [M, N] = A [M, K] · B [K, N] + bias + bias2`, C from `cOffset` on with rows of `cStride`.
  func multiply(
    _ a: Operand, _ b: Operand, bias: Buffer? = nil, bias2: Buffer? = nil, into c: Buffer,
    rows: Int, columns: Int, depth: Int, cOffset: Int = 0, cStride: Int? = nil
  ) throws {
    let tile = launcher.tuning.tile ?? Self.tile
    guard let micro = Self.tiles[tile] else { preconditionFailure("no tiles of \(tile)") }
    let side = tile / micro
    try launcher.launch(
      launcher.kernel(
        "gemm_tiled", in: ["gemm_gpu.cl"], options: ["-DTILE=\(tile)", "-DMICRO=\(micro)"]),
      global: [ceilDivide(columns, tile) * side, ceilDivide(rows, tile) * side],
      local: [side, side], flops: 2 * Double(rows) * Double(columns) * Double(depth),
      bytes: productBytes(rows: rows, columns: columns, depth: depth),
      [
        "a": .buffer(a.buffer), "b": .buffer(b.buffer), "bias": .optional(bias),
        "bias2": .optional(bias2), "c": .buffer(c), "M": .int(rows), "N": .int(columns),
        "K": .int(depth), "a_offset": .int(a.offset), "a_row": .int(a.row),
        "a_column": .int(a.column), "b_offset": .int(b.offset), "b_row": .int(b.row),
        "b_column": .int(b.column),
        "c_offset": .int(cOffset), "c_row": .int(cStride ?? columns),
      ])
  }
}
