import CarouselModel

/// How a CPU's cores share the work-items of a launch that asks for no groups.
///
/// A driver that is told no size for groups makes them as large as it can. PoCL puts up to 4096 work-items into one
/// group, which one core computes. No item of these launches waits for another, so groups may have any size.
enum WorkGroups {
  /// The groups for each core: enough that none waits long for the last.
  private static let groupsPerUnit = 8
  /// No more than any CPU's driver allows.
  private static let mostItems = 1024
  /// What takes one core less time than another one takes to wake.
  private static let fewOperations = 1e6, fewBytes = 1e6

  private static func isForAllCores(_ units: Int, _ flops: Double, _ bytes: Double) -> Bool {
    units > 1 && (flops >= fewOperations || bytes >= fewBytes)
  }

  /// The size of groups, and the work-items with those beyond `items`, which fill the last group.
  ///
  /// For launches whose work-items beyond the last one do nothing. A driver that is told no size for groups takes a
  /// divisor: 1 where the number of items is prime, and each group costs PoCL some 20 ns.
  static func covering(
    items: Int, units: Int, flops: Double, bytes: Double
  ) -> (items: Int, size: Int) {
    let groups = max(
      isForAllCores(units, flops, bytes) ? min(groupsPerUnit * units, items) : 1,
      ceilDivide(items, mostItems))
    let size = ceilDivide(items, groups)
    return (roundUp(items, to: size), size)
  }

  /// The size of groups for a launch of `global` work-items that does `flops` operations and moves `bytes` bytes.
  ///
  /// Nil where one core may do them all. Divisors of the global size, the innermost dimension first.
  static func size(_ global: [Int], units: Int, flops: Double, bytes: Double) -> [Int]? {
    guard isForAllCores(units, flops, bytes) else { return nil }
    var most = min(max(1, global.reduce(1, *) / (groupsPerUnit * units)), mostItems)
    return global.map { count in
      let size =
        stride(from: min(count, most), to: 1, by: -1).first { count.isMultiple(of: $0) } ?? 1
      most /= size
      return size
    }
  }
}
