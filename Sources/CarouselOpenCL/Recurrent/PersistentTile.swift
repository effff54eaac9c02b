import CarouselModel

/// Where a work-group has the weights of its units.
enum WeightPlace: Int {
  /// In local memory over all steps.
  case local
  /// In registers over all steps.
  case registers
  /// They are read at each step.
  case cache
}

/// The parameters of `recurrent/persistent_product.cl` for one pass of a layer: what a work-group computes, and
/// how.
struct PersistentTile: Hashable {
  /// Whether the pass is the backward one.
  var isBackward = false
  /// The work-items of a work-group.
  var items = 256
  /// The sequences and units of a work-group, and of one work-item's sums.
  var rows = 1, units = 4, itemRows = 1, itemUnits = 1
  /// To what the factors of products are rounded; if not Float32, the rows and columns of a warp's sums.
  var precision = ProductPrecision.float32
  var warpRows = 16, warpColumns = 8
  /// The k that pass through local memory at a time, and the passes that are loaded ahead.
  var pass = 32, ahead = 1
  /// Where the weights are.
  var weights = WeightPlace.local
  /// LENGTH: H rounded up to `pass`.
  var length = 32
  /// Whether H is a multiple of 4.
  var isAligned = true
  /// Whether one group has all units of its sequences, and waits for nobody.
  var isAlone = false
  /// The local memory of a work-group.
  var localBytes = 0

  /// The blocks of 16 x 8 sums of a warp.
  var blocks: Int { warpRows / 16 * (warpColumns / 8) }

  var options: [String] {
    [
      "-DBACKWARD=\(isBackward ? 1 : 0)", "-DITEMS=\(items)", "-DROWS=\(rows)", "-DUNITS=\(units)",
      "-DITEM_ROWS=\(itemRows)", "-DITEM_UNITS=\(itemUnits)", precision.option,
      "-DWARP_ROWS=\(warpRows)", "-DWARP_COLUMNS=\(warpColumns)", "-DLENGTH=\(length)",
      "-DPASS=\(pass)", "-DAHEAD=\(ahead)", "-DKEPT=\(weights == .local ? 1 : 0)",
      "-DHELD=\(weights == .registers ? 1 : 0)",
      "-DALIGNED=\(isAligned ? 1 : 0)", "-DALONE=\(isAlone ? 1 : 0)",
    ]
  }
}

/// What a tile is chosen for.
struct PersistentWork: Hashable {
  let isBackward: Bool
  let batchSize: Int, hiddenSize: Int, gateCount: Int
  /// The work-groups that run at the same time, the most work-items of each, and its bytes of local
  /// memory.
  var groups: Int, items: Int, localBytes: Int
  /// To what the factors of products may be rounded.
  var precision = ProductPrecision.float32
  /// What the parts of a step cost.
  var costs = PersistentCosts.hopper

  /// What the bits of a product depend on.
  struct Order: Hashable {
    let slices: Int
    let precision: ProductPrecision
  }

  /// The order in which a tile sums: each slice sums its part of k, then the slices' sums are added in order.
  func order(_ tile: PersistentTile) -> Order {
    Order(slices: slices(tile).count, precision: tile.precision)
  }

  /// Makes this the work of the GPU that orders of sums are planned for, an H200.
  mutating func plan() {
    (groups, items, localBytes) = (KernelParameters.plannedUnits, 1024, 223 << 10)
    costs = .hopper
  }

  /// Every tile, the one that should be fastest first.
  ///
  /// Of those with the same rows, units, work-items, place for their weights and precision only the best.
  /// Empty where the device has too few groups.
  func tiles() -> [PersistentTile] {
    var best: [Key: (tile: PersistentTile, clocks: Double)] = [:]
    let unitChoices = [4, 8, 16, 32, 64, 128, 256]
    for rows in [1, 2, 4, 8, 16, 32, 64] where rows < 2 * batchSize {
      for units in unitChoices where units < 2 * hiddenSize || units == 4 {
        let groupCount = ceilDivide(batchSize, rows) * ceilDivide(hiddenSize, units)
        let turns = units >= hiddenSize ? ceilDivide(groupCount, groups) : 1
        guard groupCount <= turns * groups else { continue }
        for (weights, items) in [
          (.local, 64), (.local, 128), (.local, 256), (.local, 512), (.registers, 128),
          (.registers, 256), (.registers, 512), (.cache, 128), (.cache, 256), (.cache, 512),
        ] as [(WeightPlace, Int)] where items <= self.items {
          for precision in Set([.float32, precision]) {
            let key = Key(
              rows: rows, units: units, items: items, weights: weights, precision: precision)
            for tile in precision == .float32 ? candidates(key) : matrixCandidates(key) {
              let clocks = clocks(tile) * Double(turns)
              if clocks < best[key]?.clocks ?? .infinity { best[key] = (tile, clocks) }
            }
          }
        }
      }
    }
    // In every run the same, whatever the order of the dictionary.
    func order(_ key: Key) -> (Double, Int, Int, Int, Int) {
      (best[key]?.clocks ?? 0, key.rows, key.units, key.items, key.weights.rawValue)
    }
    return best.keys.sorted { order($0) < order($1) }.compactMap { best[$0]?.tile }
  }

  private struct Key: Hashable {
    let rows: Int, units: Int, items: Int, weights: WeightPlace, precision: ProductPrecision
  }

  var out: Int { isBackward ? 1 : gateCount }
  var segments: Int { isBackward ? gateCount : 1 }

  /// What is the same of all tiles with a key.
  private func tile(_ key: Key) -> PersistentTile {
    var tile = PersistentTile()
    (tile.isBackward, tile.rows, tile.units) = (isBackward, key.rows, key.units)
    (tile.items, tile.weights) = (key.items, key.weights)
    tile.isAligned = hiddenSize.isMultiple(of: 4)
    tile.isAlone = key.units >= hiddenSize
    tile.precision = key.precision
    return tile
  }

  /// The tiles whose work-items multiply each for themselves.
  private func candidates(_ key: Key) -> [PersistentTile] {
    var result: [PersistentTile] = []
    var tile = tile(key)
    for itemRows in [1, 2, 4, 8] where itemRows <= key.rows {
      for itemUnits in [1, 2, 4] where itemRows * itemUnits * out <= 64 {
        (tile.itemRows, tile.itemUnits) = (itemRows, itemUnits)
        result += passes(of: tile, leastPass: 4)
      }
    }
    return result
  }

  /// The tiles whose warps multiply on matrix units.
  private func matrixCandidates(_ key: Key) -> [PersistentTile] {
    guard key.weights != .registers else { return [] }
    var result: [PersistentTile] = []
    var tile = tile(key)
    let columns = key.units * out
    for warpRows in [16, 32, 64] where warpRows <= key.rows {
      for warps in [1, 2, 4, 8] where columns.isMultiple(of: 8 * warps) {
        (tile.warpRows, tile.warpColumns) = (warpRows, columns / warps)
        guard tile.blocks <= 16, tile.warpColumns <= 64 else { continue }
        result += passes(of: tile, leastPass: 16)
      }
    }
    return result
  }

  /// The tiles that are `tile` but for what passes through local memory at a time: with as many slices
  /// as there are, a multiple of `leastPass`.
  private func passes(of tile: PersistentTile, leastPass: Int) -> [PersistentTile] {
    var tile = tile
    let (count, sliceItems) = slices(tile)
    guard sliceItems <= tile.items, tile.items.isMultiple(of: sliceItems) else { return [] }
    return [32, 64, 128, 256, 512].compactMap { pass in
      guard pass < 2 * hiddenSize || pass <= 64, pass.isMultiple(of: leastPass * count) else {
        return nil
      }
      (tile.pass, tile.length) = (pass, roundUp(hiddenSize, to: pass))
      if tile.isAlone { guard tile.weights != .cache, pass == tile.length else { return nil } }
      if tile.weights == .registers { guard tile.isAlone else { return nil } }
      tile.localBytes = localBytes(tile)
      guard tile.localBytes <= localBytes else { return nil }
      tile.ahead = ahead(tile)
      return tile.ahead > 0 ? tile : nil
    }
  }

  /// SLICES and SLICE_ITEMS.
  func slices(_ tile: PersistentTile) -> (count: Int, items: Int) {
    let items =
      tile.precision == .float32
      ? tile.rows / tile.itemRows * (tile.units / tile.itemUnits)
      : tile.rows / tile.warpRows * (tile.units * out / tile.warpColumns) * 32
    return (max(tile.items / max(items, 1), 1), items)
  }

  /// The sums of a work-item, and the operands that it holds at a time, in registers.
  func sums(_ tile: PersistentTile) -> (count: Int, operands: Int) {
    if tile.precision == .float32 {
      return (tile.itemRows * tile.itemUnits * out, 4 * (tile.itemRows + 1))
    }
    // With parts, two of each operand and sums that are added later.
    let operands = 8 + tile.warpColumns / 2
    return (4 * tile.blocks, tile.precision == .tf32x3 ? 2 * operands + 16 : operands)
  }

  /// 16 times MEMORY4, and what waiting needs.
  private func localBytes(_ tile: PersistentTile) -> Int {
    let columns = tile.units * out
    let kept = tile.weights == .local ? columns * segments * tile.length : 0
    let row = tile.isAlone ? segments * tile.length : tile.pass
    let passing = tile.rows * row + (tile.weights == .cache ? columns * tile.pass : 0)
    let (count, items) = slices(tile)
    let partial = count * (out * tile.rows * tile.units + (items < 32 ? items : 0))
    return 4 * (kept + (tile.isAlone ? passing + partial : max(passing, partial))) + 64
  }

  /// The passes whose loads fit in a work-item's registers, beside the sums and what multiplying and
  /// addresses need; 0 where not one does.
  private func ahead(_ tile: PersistentTile) -> Int {
    let passes = segments * tile.length / tile.pass
    let columns = tile.weights == .cache ? tile.units * out : 0
    let loads =
      ceilDivide(tile.rows * tile.pass / 4, tile.items)
      + ceilDivide(columns * tile.pass / 4, tile.items)
    let sums = sums(tile)
    let own = ceilDivide(tile.rows * tile.units, tile.items)
    // What ptxas needs beside them, more or less: where it spilled it was more.
    let left = min(255, 65536 / tile.items) - sums.count - sums.operands - 12 * own
    if tile.weights == .registers {
      let (slices, _) = slices(tile)
      let held = tile.itemUnits * out * segments * tile.length / slices
      return held <= left - 28 ? 1 : 0
    }
    if tile.isAlone { return left >= 56 ? 1 : 0 }
    // Where they come from is two registers more.
    return [8, 6, 4, 3, 2, 1].first {
      passes.isMultiple(of: $0) && 6 * $0 * loads <= min(left - 56, 96)
    } ?? 0
  }
}
