import CarouselModel

/// The parameters of `resident_product.cl` for one pass of a layer: what a work-group computes, and
/// how.
struct ResidentTile: Hashable {
  /// Whether the pass is the backward one.
  var isBackward = false
  /// The work-items of a work-group.
  var items = 256
  /// The sequences and units of a work-group, and of one work-item's sums.
  var rows = 1, units = 4, itemRows = 1, itemUnits = 1
  /// The k that pass through local memory at a time, and the passes that are loaded ahead.
  var pass = 32, ahead = 1
  /// Whether the weights stay in local memory.
  var isKept = true
  /// LENGTH: H rounded up to `pass`.
  var length = 32
  /// Whether H is a multiple of 4.
  var isAligned = true
  /// Whether one group has all units of its sequences, and waits for nobody.
  var isAlone = false
  /// The local memory of a work-group.
  var localBytes = 0

  var options: [String] {
    [
      "-DBACKWARD=\(isBackward ? 1 : 0)", "-DITEMS=\(items)", "-DROWS=\(rows)", "-DUNITS=\(units)",
      "-DITEM_ROWS=\(itemRows)", "-DITEM_UNITS=\(itemUnits)", "-DLENGTH=\(length)",
      "-DPASS=\(pass)", "-DAHEAD=\(ahead)", "-DKEPT=\(isKept ? 1 : 0)",
      "-DALIGNED=\(isAligned ? 1 : 0)", "-DALONE=\(isAlone ? 1 : 0)",
    ]
  }
}

/// What a tile is chosen for.
struct ResidentWork: Hashable {
  let isBackward: Bool
  let batchSize: Int, hiddenSize: Int, gateCount: Int
  /// The work-groups that run at the same time, the most work-items of each, and its bytes of local
  /// memory.
  let groups: Int, items: Int, localBytes: Int

  /// Every tile, the one that should be fastest first.
  ///
  /// Of those with the same rows, units, work-items and place for their weights only the best. Empty
  /// where the device has too few groups.
  func tiles() -> [ResidentTile] {
    var best: [Key: (tile: ResidentTile, clocks: Double)] = [:]
    let unitChoices = [4, 8, 16, 32, 64, 128, 256]
    for rows in [1, 2, 4, 8, 16, 32, 64] where rows < 2 * batchSize {
      for units in unitChoices where units < 2 * hiddenSize || units == 4 {
        let groupCount = ceilDivide(batchSize, rows) * ceilDivide(hiddenSize, units)
        let turns = units >= hiddenSize ? ceilDivide(groupCount, groups) : 1
        guard groupCount <= turns * groups else { continue }
        for (isKept, items) in [
          (true, 64), (true, 128), (true, 256), (true, 512), (false, 128), (false, 256),
          (false, 512),
        ] where items <= self.items {
          let key = Key(rows: rows, units: units, items: items, isKept: isKept)
          for tile in candidates(key) {
            let clocks = clocks(tile) * Double(turns)
            if clocks < best[key]?.clocks ?? .infinity { best[key] = (tile, clocks) }
          }
        }
      }
    }
    // In every run the same, whatever the order of the dictionary.
    func order(_ key: Key) -> (Double, Int, Int, Int, Int) {
      (best[key]?.clocks ?? 0, key.rows, key.units, key.items, key.isKept ? 0 : 1)
    }
    return best.keys.sorted { order($0) < order($1) }.compactMap { best[$0]?.tile }
  }

  private struct Key: Hashable {
    let rows: Int, units: Int, items: Int, isKept: Bool
  }

  private var out: Int { isBackward ? 1 : gateCount }
  private var segments: Int { isBackward ? gateCount : 1 }

  private func candidates(_ key: Key) -> [ResidentTile] {
    var result: [ResidentTile] = []
    var tile = ResidentTile()
    (tile.isBackward, tile.rows, tile.units) = (isBackward, key.rows, key.units)
    tile.items = key.items
    (tile.isKept, tile.isAligned) = (key.isKept, hiddenSize.isMultiple(of: 4))
    for itemRows in [1, 2, 4, 8] where itemRows <= key.rows {
      for itemUnits in [1, 2, 4] where itemRows * itemUnits * out <= 64 {
        (tile.itemRows, tile.itemUnits) = (itemRows, itemUnits)
        let sliceItems = key.rows / itemRows * (key.units / itemUnits)
        guard sliceItems <= tile.items, tile.items.isMultiple(of: sliceItems) else { continue }
        for pass in [32, 64, 128, 256, 512] {
          guard pass < 2 * hiddenSize || pass <= 64,
            pass.isMultiple(of: 4 * (tile.items / sliceItems))
          else { continue }
          (tile.pass, tile.length) = (pass, roundUp(hiddenSize, to: pass))
          tile.isAlone = key.units >= hiddenSize
          if tile.isAlone { guard tile.isKept && tile.pass == tile.length else { continue } }
          tile.localBytes = localBytes(tile)
          guard tile.localBytes <= localBytes else { continue }
          tile.ahead = ahead(tile)
          if tile.ahead > 0 { result.append(tile) }
        }
      }
    }
    return result
  }

  /// SLICES and SLICE_ITEMS.
  private func slices(_ tile: ResidentTile) -> (count: Int, items: Int) {
    let items = tile.rows / tile.itemRows * (tile.units / tile.itemUnits)
    return (tile.items / items, items)
  }

  /// 16 times MEMORY4, and what waiting needs.
  private func localBytes(_ tile: ResidentTile) -> Int {
    let columns = tile.units * out
    let kept = tile.isKept ? columns * segments * tile.length : 0
    let row = tile.isAlone ? segments * tile.length : tile.pass
    let passing = tile.rows * row + (tile.isKept ? 0 : columns * tile.pass)
    let (count, items) = slices(tile)
    let partial = count * (out * tile.rows * tile.units + (items < 32 ? items : 0))
    return 4 * (kept + (tile.isAlone ? passing + partial : max(passing, partial))) + 64
  }

  /// The passes whose loads fit in a work-item's registers, beside the sums and what multiplying and
  /// addresses need; 0 where not one does.
  private func ahead(_ tile: ResidentTile) -> Int {
    let passes = segments * tile.length / tile.pass
    let columns = tile.isKept ? 0 : tile.units * out
    let loads =
      ceilDivide(tile.rows * tile.pass / 4, tile.items)
      + ceilDivide(columns * tile.pass / 4, tile.items)
    let registers = min(255, 65536 / tile.items) - 52
    let left = registers - tile.itemRows * tile.itemUnits * out - 4 * (tile.itemRows + 1)
    if tile.isAlone { return left >= 0 ? 1 : 0 }
    return [8, 6, 4, 3, 2, 1].first {
      passes.isMultiple(of: $0) && 4 * $0 * loads <= min(left, 64)
    } ?? 0
  }

  /// A step's time on a multiprocessor of an H200, in clocks: a model that was within 20 % of what was
  /// measured there for most of 30 tiles of GRUs and LSTMs with 128 to 512 units.
  private func clocks(_ tile: ResidentTile) -> Double {
    let depth = Double(segments * tile.length)
    let (rows, columns) = (Double(tile.rows), Double(tile.units * out))
    let (slices, _) = slices(tile)
    let sums = Double(tile.itemRows * tile.itemUnits * out)
    let multiplying = rows * columns * depth / 128 / 0.9
    // Local memory gives 128 bytes a clock: a warp's float4 take 4, the same or not.
    let reads = Double(tile.itemRows + tile.itemUnits * out)
    let reading = Double(tile.items / 32) * depth / 4 / Double(slices) * reads * 4
    // With few warps nothing hides how long a read takes.
    let few = tile.items < 128 ? 2.0 : tile.items < 256 ? 1.3 : 1
    let product = few * (max(multiplying, reading) + 0.4 * min(multiplying, reading))
    let own = Double(ceilDivide(tile.rows * tile.units, tile.items))
    let adding = Double(tile.items) * sums / 16 + 8 * Double(slices * out) * own + 200 * own
    if tile.isAlone { return product + adding + 900 }
    // What comes from the cache that all share, at about 40 bytes a clock, weights among them slower.
    let loading = (rows + (tile.isKept ? 0 : 2 * columns)) * depth * 4 / 40
    let passes = depth / Double(tile.pass)
    let waiting = 500 * (passes / Double(tile.ahead)).rounded(.up) + 100 * passes
    return product + adding + loading + waiting + 2200
  }
}
