import OpenCLDriver

// The twin of column_sums.cl.
extension Launcher {
  /// SUM_COLUMNS and SUM_ROWS of `column_sums.cl` and `norm_rows.cl`.
  static let sumColumns = 32, sumRows = 8

  /// The rows whose columns one work-group sums: so many that each compute unit has 4 work-groups, but
  /// no fewer than 64.
  func sumRange(rows: Int, columns: Int) -> Int {
    let groups = ceilDivide(columns, Self.sumColumns)
    return ceilDivide(rows, max(1, min(4 * device.computeUnits / groups, rows / 64)))
  }

  /// The sums of a gradient's columns, to where it says.
  func sumColumns(_ columns: GradientColumns) throws {
    try sumColumns(
      columns.buffer, rows: columns.depth, columns: columns.rows, stride: columns.stride,
      offset: columns.offset, into: columns.sums, and: columns.sums2, at: columns.sums2Offset,
      count: columns.sums2Count)
  }

  /// `sums[n]` and, of the first `count2`, `sums2[offset2 + n]` = Σ over M `rows` of
  /// `a[offset + m·stride + n]`, for GPUs.
  ///
  /// In ranges of rows; then the sums of the ranges are added in their order.
  func sumColumns(
    _ a: Buffer, rows: Int, columns: Int, stride: Int, offset: Int = 0, into sums: Buffer?,
    and sums2: Buffer? = nil, at offset2: Int = 0, count count2: Int = 0
  ) throws {
    let groups = ceilDivide(columns, Self.sumColumns)
    let range = sumRange(rows: rows, columns: columns)
    let ranges = ceilDivide(rows, range)
    let elements = Double(rows * columns)
    let partials = ranges > 1 ? try scratch(count: ranges * columns) : nil
    try launch(
      kernel("column_sums", in: ["column_sums.cl"]),
      global: [groups * Self.sumColumns, ranges * Self.sumRows],
      local: [Self.sumColumns, Self.sumRows], flops: elements, bytes: 4 * elements,
      [
        "a": .buffer(a), "sums": .optional(partials ?? sums),
        "sums2": .optional(partials == nil ? sums2 : nil), "M": .int(rows), "N": .int(columns),
        "stride": .int(stride), "offset": .int(offset), "offset2": .int(offset2),
        "count2": .int(count2), "range": .int(range),
      ])
    guard let partials else { return }
    try launch(
      kernel("column_sums", in: ["column_sums.cl"]),
      global: [groups * Self.sumColumns, Self.sumRows], local: [Self.sumColumns, Self.sumRows],
      flops: Double(ranges * columns), bytes: 4 * Double(ranges * columns),
      [
        "a": .buffer(partials), "sums": .optional(sums), "sums2": .optional(sums2),
        "M": .int(ranges), "N": .int(columns), "stride": .int(columns), "offset": .int(0),
        "offset2": .int(offset2), "count2": .int(count2), "range": .int(ranges),
      ])
  }
}
