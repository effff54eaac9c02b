import OpenCLDriver

// The twin of column_sums.cl.
extension Launcher {
  /// SUM_COLUMNS and SUM_ROWS of `ops/column_sums.cl` and `recurrent/norm_rows.cl`.
  static let sumColumns = 32, sumRows = 8

  /// The rows whose columns one work-group sums: so many that each of `plannedUnits` has 4 work-groups, but
  /// no fewer than 64.
  func sumRange(rows: Int, columns: Int) -> Int {
    let groups = ceilDivide(columns, Self.sumColumns)
    return ceilDivide(
      rows, max(1, min(4 * KernelParameters.plannedUnits / groups, rows / 64)))
  }

  /// The sums over M `rows` of the columns of `a[offset + m·stride + n]`, for GPUs.
  ///
  /// In ranges of rows; then the sums of the ranges are added in their order.
  func sumColumns(
    _ a: Buffer, rows: Int, columns: Int, stride: Int, offset: Int = 0, into sums: ColumnSums?,
    and sums2: ColumnSums? = nil
  ) throws {
    let groups = ceilDivide(columns, Self.sumColumns)
    let range = sumRange(rows: rows, columns: columns)
    let ranges = ceilDivide(rows, range)
    func launchSums(
      of a: Buffer, rows: Int, stride: Int, offset: Int, range: Int, into sums: ColumnSums?,
      and sums2: ColumnSums?
    ) throws {
      try launch(
        kernel("column_sums", in: ["ops/column_sums.cl"]),
        global: [groups * Self.sumColumns, ceilDivide(rows, range) * Self.sumRows],
        local: [Self.sumColumns, Self.sumRows], flops: Double(rows * columns),
        bytes: 4 * Double(rows * columns),
        [
          "a": .buffer(a), "M": .int(rows), "N": .int(columns), "stride": .int(stride),
          "offset": .int(offset), "range": .int(range), "sums": .optional(sums?.buffer),
          "first": .int(sums?.first ?? 0), "skipped": .int(sums?.skipped.lowerBound ?? 0),
          "resumed": .int(sums?.skipped.upperBound ?? 0), "sums2": .optional(sums2?.buffer),
          "first2": .int(sums2?.first ?? 0), "skipped2": .int(sums2?.skipped.lowerBound ?? 0),
          "resumed2": .int(sums2?.skipped.upperBound ?? 0),
        ])
    }
    guard ranges > 1 else {
      return try launchSums(
        of: a, rows: rows, stride: stride, offset: offset, range: range, into: sums, and: sums2)
    }
    let partials = try scratch(count: ranges * columns)
    try launchSums(
      of: a, rows: rows, stride: stride, offset: offset, range: range,
      into: ColumnSums(buffer: partials), and: nil)
    try launchSums(
      of: partials, rows: ranges, stride: columns, offset: 0, range: ranges, into: sums, and: sums2)
  }
}

/// Where the sums of columns go: from `first` on, without those of the columns `skipped`.
struct ColumnSums {
  let buffer: Buffer
  var first = 0
  var skipped = 0..<0
}

extension WeightGradient {
  /// Where its sums go.
  func sums(of gradY: GradientColumns) -> ColumnSums? {
    bias.map { ColumnSums(buffer: $0, first: first, skipped: skipped(of: gradY)) }
  }
}
