/// One way to compute a product with `gemm/tiled_products.cl`, and how fast it is.
struct ProductTile: Hashable {
  /// TILE_M and TILE_N: the rows and columns of C of one work-group.
  let rows: Int, columns: Int
  /// MICRO_M and MICRO_N: those of one work-item.
  let micro: Int
  /// DEPTH: the k of a slab.
  let depth: Int
  /// How many work-groups a compute unit surely has room for at once.
  let perUnit: Int
  /// The share of a compute unit's peak that one work-group reaches alone on it, and several together, as
  /// measured on an H200.
  let alone: Double, together: Double

  /// What `LayerTuning.tile` names it by, with others of the same.
  var side: Int { max(rows, columns) }
  /// The work-items of a work-group.
  var items: Int { rows / micro * (columns / micro) }
  /// Two padded slabs of each operand.
  var localBytes: Int { 8 * depth * (rows + columns + 8) }

  /// All tiles there are.
  static let table = [
    ProductTile(
      rows: 128, columns: 128, micro: 8, depth: 16, perUnit: 2, alone: 0.54, together: 0.6),
    ProductTile(
      rows: 128, columns: 64, micro: 8, depth: 16, perUnit: 4, alone: 0.54, together: 0.61),
    ProductTile(rows: 64, columns: 64, micro: 8, depth: 16, perUnit: 4, alone: 0.3, together: 0.6),
    ProductTile(rows: 64, columns: 64, micro: 4, depth: 16, perUnit: 2, alone: 0.3, together: 0.5),
    ProductTile(rows: 32, columns: 32, micro: 4, depth: 16, perUnit: 8, alone: 0.12, together: 0.3),
  ]
}

/// How one product is divided among work-groups: all slabs of all tiles stand in a row, and each group
/// multiplies a share of them.
struct ProductPlan: Hashable {
  let tile: ProductTile
  /// The tiles of C, and the slabs of each.
  let tiles: Int, slabs: Int
  /// The slabs of one group.
  let share: Int

  var groups: Int { ceilDivide(tiles * slabs, share) }
  /// Whether groups share tiles, so that their parts have to be added.
  var hasParts: Bool { share % slabs != 0 }

  /// No group has fewer k than these, unless it has a whole tile.
  private static let shortestShare = 64
  /// PARTS of `gemm/tiled_products.cl`.
  private static let partsAtOnce = 8

  /// The plan with so many groups, or about so many; nil is one for each tile.
  private init(tile: ProductTile, rows: Int, columns: Int, depth: Int, groups: Int?) {
    self.tile = tile
    let tiles = ceilDivide(rows, tile.rows) * ceilDivide(columns, tile.columns)
    let slabs = max(ceilDivide(depth, tile.depth), 1)
    let least = min(slabs, Self.shortestShare / tile.depth)
    share = groups.map { max(ceilDivide(tiles * slabs, $0), least) } ?? slabs
    (self.tiles, self.slabs) = (tiles, slabs)
  }

  /// The plan with the least `cost` of those with one of `tiles`.
  ///
  /// It depends on nothing but the arguments, so that the order of every sum is the same in every run. With
  /// the compute units of another device it would be another order.
  static func best(
    of tiles: [ProductTile], rows: Int, columns: Int, depth: Int, computeUnits: Int
  ) -> ProductPlan {
    var best: (plan: ProductPlan, cost: Double)?
    for tile in tiles {
      // As many groups as there is room for at once, or fewer where their parts would be many.
      let counts =
        (1...tile.perUnit).map { $0 * computeUnits } + [2, 4, 8, 16].map { computeUnits / $0 }
      for count in [nil] + counts.filter({ $0 > 0 }) {
        let plan = ProductPlan(
          tile: tile, rows: rows, columns: columns, depth: depth, groups: count)
        let cost = plan.cost(computeUnits: computeUnits)
        if best.map({ cost < $0.cost }) ?? true { best = (plan, cost) }
      }
    }
    guard let best else { preconditionFailure("no tiles") }
    return best.plan
  }

  // Costs for an H200 in multiply-adds of one multiprocessor, 128 in a clock: estimates that only have to put
  // plans in order. The tuner measures the tiles of other devices.

  /// The k that beginning and ending a tile takes as long as.
  private static let tileStart = 32.0
  /// Another launch, about 2 µs.
  private static let launch = 400_000.0
  /// Writing and reading an element of a part.
  private static let partElement = 32.0
  /// A wait for the memory.
  private static let partWait = 150_000.0

  /// About how long the product takes, in multiply-adds of one compute unit at its peak.
  ///
  /// The busiest unit has ⌈groups / units⌉ groups, each as long as its tiles times their k, and some k
  /// more to begin and end a tile. Parts cost another launch, a write and a read of the memory each, as
  /// long as some 32 multiply-adds, and as many waits for the memory as one tile needs.
  private func cost(computeUnits: Int) -> Double {
    let turns = Double(ceilDivide(groups, computeUnits))
    let area = Double(tile.rows * tile.columns)
    let begun = Double(ceilDivide(share, slabs) + (hasParts && share > 1 ? 1 : 0))
    let work = area * (Double(share * tile.depth) + Self.tileStart * begun)
    let products = work * max(turns / tile.together, 1 / tile.alone)
    guard hasParts else { return products }
    let partsOfTile = min(ceilDivide(slabs, share) + 1, groups)
    let parts = Double(min(groups * 2, tiles * partsOfTile))
    return products + Self.launch + Self.partElement * parts * area / Double(computeUnits)
      + Self.partWait * Double(ceilDivide(partsOfTile, Self.partsAtOnce))
  }
}
