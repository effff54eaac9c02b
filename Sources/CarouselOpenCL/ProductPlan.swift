/// One way to compute a product with `gemm_gpu.cl`, and how fast it is.
struct ProductTile: Hashable {
  /// TILE_M and TILE_N: the rows and columns of C of one work-group.
  let rows: Int, columns: Int
  /// MICRO_M and MICRO_N: those of one work-item.
  let micro: Int
  /// DEPTH: the k of a slab.
  let depth: Int
  /// The share of a compute unit's peak that one work-group reaches alone on it, and several together.
  let alone: Double, together: Double

  /// What `LayerTuning.tile` names it by, with others of the same.
  var side: Int { max(rows, columns) }
  /// The work-items of a work-group.
  var items: Int { rows / micro * (columns / micro) }
  /// Two padded slabs of each operand.
  var localBytes: Int { 8 * depth * (rows + columns + 8) }

  /// All tiles there are.
  static let table = [
    ProductTile(rows: 128, columns: 128, micro: 8, depth: 16, alone: 0.54, together: 0.6),
    ProductTile(rows: 128, columns: 64, micro: 8, depth: 16, alone: 0.54, together: 0.61),
    ProductTile(rows: 64, columns: 64, micro: 8, depth: 16, alone: 0.3, together: 0.6),
    ProductTile(rows: 64, columns: 64, micro: 4, depth: 16, alone: 0.3, together: 0.5),
    ProductTile(rows: 32, columns: 32, micro: 4, depth: 16, alone: 0.12, together: 0.3),
  ]
}

/// How one product is divided among work-groups.
struct ProductPlan: Hashable {
  let tile: ProductTile
  /// K is summed in so many ranges, whose sums are added in their order.
  let splits: Int
  /// The k of one range, a multiple of the tile's depth.
  let range: Int

  /// The numbers of ranges to choose from.
  private static let splitChoices = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
  /// No range is shorter, unless there is but one.
  private static let shortestRange = 64
  /// What the sums of the ranges may need beside C, in floats: 64 MiB.
  private static let mostPartials = 1 << 24

  /// The plan with the least `cost` of those with one of `tiles`.
  ///
  /// It depends on nothing but the arguments, so that the order of every sum is the same in every run.
  static func best(
    of tiles: [ProductTile], rows: Int, columns: Int, depth: Int, computeUnits: Int
  ) -> ProductPlan {
    var best: (plan: ProductPlan, cost: Double)?
    for tile in tiles {
      for splits in splitChoices {
        let range = roundUp(max(ceilDivide(depth, splits), 1), to: tile.depth)
        let plan = ProductPlan(tile: tile, splits: max(ceilDivide(depth, range), 1), range: range)
        guard
          plan.splits == 1
            || range >= shortestRange && plan.splits * rows * columns <= mostPartials
        else { break }
        let cost = plan.cost(rows: rows, columns: columns, computeUnits: computeUnits)
        if best.map({ cost < $0.cost }) ?? true { best = (plan, cost) }
      }
    }
    guard let best else { preconditionFailure("no tiles") }
    return best.plan
  }

  /// About how long the product takes, in multiply-adds of one compute unit at its peak.
  ///
  /// The busiest unit has ⌈work-groups / units⌉ of them, each as long as its tile times the range, and
  /// some k more to begin and end. Ranges cost another launch, and each of their sums a write and a
  /// read of the memory, as long as some 32 multiply-adds.
  private func cost(rows: Int, columns: Int, computeUnits: Int) -> Double {
    let tiles = ceilDivide(rows, tile.rows) * ceilDivide(columns, tile.columns)
    let turns = Double(ceilDivide(tiles * splits, computeUnits))
    let work = Double(tile.rows * tile.columns * (range + 32))
    let products = work * max(turns / tile.together, 1 / tile.alone)
    guard splits > 1 else { return products }
    let partials = Double(splits * rows * columns)
    return products + 400_000 + 32 * partials / Double(computeUnits)
  }
}
