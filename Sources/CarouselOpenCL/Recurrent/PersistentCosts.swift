/// What the parts of a step cost a multiprocessor, in clocks: what the tiles of a persistent layer are
/// ordered by.
struct PersistentCosts: Hashable, Sendable {
  /// Multiply-adds of Float32 in a clock, and how much of them a product reaches.
  var multiplyAdds = 128.0, reached = 0.9
  /// Clocks of a warp's read of a float4 from local memory.
  var localRead = 4.0
  /// Bytes in a clock that come from the cache which all multiprocessors share.
  var sharedCacheBytes = 40.0
  /// How much of the shorter of multiplying and reading is not hidden behind the longer.
  var overlap = 0.4
  /// By how much less a group of under 128, or of under 256 work-items hides the time of a read.
  var under128Items = 2.0, under256Items = 1.3
  /// A wait for loads that are not there yet, and the barriers of each pass through local memory.
  var loadWait = 500.0, pass = 100.0
  /// Adding the sums of 16 work-items, a slice's sum for a unit of a sequence, and its cell update.
  var partialSums = 1.0 / 16, sliceSum = 8.0, cellUpdate = 200.0
  /// What a step takes beside: with all groups waiting for each other, and with one alone.
  var waitingStep = 2200.0, aloneStep = 900.0
  /// Clocks of a block of 16 x 8 sums on matrix units for 16 k, and of an operand's 8 rows where they are split
  /// in two parts of TF32.
  var tf32Block = 3.2, bf16Block = 1.6, tf32x3Block = 9.6, tf32x3Operand = 4.5
  /// By how much products on matrix units take longer than that.
  var tf32 = 1.3, bf16 = 1.3, tf32x3 = 1.4

  /// Measured on an H200: within 20 % for most of 30 tiles of GRUs and LSTMs with 128 to 512 units, and the
  /// right way between matrix units and Float32 in all of 24 passes with 128 to 1024 units.
  static let hopper = PersistentCosts()

  /// The costs of a class of devices: what was measured, by compute capability.
  private static let measured: [Int: PersistentCosts] = [90: hopper]

  /// The costs for a device: those of its class, or where none were measured an H200's, whose order the tuner
  /// corrects.
  static func of(_ device: PlanDevice) -> PersistentCosts {
    device.computeCapability.flatMap { measured[$0] } ?? hopper
  }
}

extension PersistentWork {
  /// About the clocks that a multiprocessor takes for a step.
  func clocks(_ tile: PersistentTile) -> Double {
    let clocks = modelClocks(tile)
    switch tile.precision {
    case .float32, .fp16: return clocks
    case .tf32: return costs.tf32 * clocks
    case .bf16: return costs.bf16 * clocks
    case .tf32x3: return costs.tf32x3 * clocks
    }
  }

  private func modelClocks(_ tile: PersistentTile) -> Double {
    let depth = Double(segments * tile.length)
    let (rows, columns) = (Double(tile.rows), Double(tile.units * out))
    let (slices, _) = slices(tile)
    let sums = Double(sums(tile).count)
    let (multiplying, reading) =
      tile.precision == .float32 ? itemClocks(tile, depth: depth) : warpClocks(tile, depth: depth)
    let few =
      tile.items < 128 ? costs.under128Items : tile.items < 256 ? costs.under256Items : 1
    let product =
      few * (max(multiplying, reading) + costs.overlap * min(multiplying, reading))
    let own = Double(ceilDivide(tile.rows * tile.units, tile.items))
    let adding =
      Double(tile.items) * sums * costs.partialSums
      + costs.sliceSum * Double(slices * out) * own + costs.cellUpdate * own
    if tile.isAlone { return product + adding + costs.aloneStep }
    // Weights that come from the cache at each step take twice as long as states.
    let loaded = (rows + (tile.weights == .cache ? 2 * columns : 0)) * depth
    let passes = depth / Double(tile.pass)
    let waiting =
      costs.loadWait * (passes / Double(tile.ahead)).rounded(.up) + costs.pass * passes
    return product + adding + loaded * 4 / costs.sharedCacheBytes + waiting + costs.waitingStep
  }

  /// The clocks that a step's multiply-adds and its reads of local memory take: a warp's float4 take the
  /// same, equal or not.
  private func itemClocks(
    _ tile: PersistentTile, depth: Double
  ) -> (multiplying: Double, reading: Double) {
    let (slices, _) = slices(tile)
    let reads = Double(tile.itemRows + (tile.weights == .registers ? 0 : tile.itemUnits * out))
    return (
      Double(tile.rows * tile.units * out) * depth / costs.multiplyAdds / costs.reached,
      Double(tile.items / 32) * depth / 4 / Double(slices) * reads * costs.localRead
    )
  }

  /// The same on matrix units, from what they are said to do in a clock.
  private func warpClocks(
    _ tile: PersistentTile, depth: Double
  ) -> (multiplying: Double, reading: Double) {
    let sixteens = Double(slices(tile).items / 32) * depth / 16
    let blocks = Double(tile.blocks)
    let fours = Double(tile.warpRows / 8 + tile.warpColumns / 8)
    let multiplying: Double
    switch tile.precision {
    case .tf32x3:
      multiplying = max(costs.tf32x3Block * blocks, costs.tf32x3Operand * fours + blocks)
    case .bf16: multiplying = costs.bf16Block * blocks
    default: multiplying = costs.tf32Block * blocks
    }
    return (sixteens * multiplying, sixteens * fours * costs.localRead)
  }
}
