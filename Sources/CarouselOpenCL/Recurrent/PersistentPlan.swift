import CarouselModel

/// How a GPU computes the steps of a layer: in one launch with a tile for each pass, or in launches of
/// their own.
struct PersistentPlan: Hashable, Sendable {
  /// What a work-group computes of all steps; nil for a launch for each step.
  let forward: Choice<PersistentTile?>, backward: Choice<PersistentTile?>
  /// UNITS and BATCH of `recurrent/step.cl`: what a work-group computes of one step.
  let stepUnits: Int, stepBatch: Int

  init(
    _ work: PlannedWork, on device: PlanDevice, _ tuning: LayerTuning,
    tiles: (PersistentWork) -> [PersistentTile]
  ) {
    func tile(isBackward: Bool) -> Choice<PersistentTile?> {
      Self.tile(work, on: device, tuning, isBackward: isBackward, tiles: tiles)
    }
    (forward, backward) = (tile(isBackward: false), tile(isBackward: true))
    // A square of 16 reads as many states as weights; the tuner tries others.
    (stepUnits, stepBatch) = (tuning.units ?? 16, tuning.batch ?? 16)
  }

  private static func tile(
    _ work: PlannedWork, on device: PlanDevice, _ tuning: LayerTuning, isBackward: Bool,
    tiles: (PersistentWork) -> [PersistentTile]
  ) -> Choice<PersistentTile?> {
    guard work.layer.recurrence == .dense else {
      return Choice(nil, "recurrent weights that are not dense are too few to keep")
    }
    if tuning.persistentTile == nil, !device.isGPU {
      return Choice(nil, "on a device that is no GPU only the tuner chooses it")
    }
    if let rank = tuning.persistentTile, rank < 0 { return Choice(nil, LayerPlan.tuned) }
    guard device.groupLocalBytes > 0 else {
      return Choice(nil, "the driver refused the kernel")
    }
    var persistentWork = PersistentWork(
      isBackward: isBackward, batchSize: work.batchSize, hiddenSize: work.layer.hiddenSize,
      gateCount: work.layer.gateCount, groups: device.groups, items: device.groupItems,
      localBytes: device.groupLocalBytes, precision: device.precision,
      costs: PersistentCosts.of(device))
    let found = tiles(persistentWork).filter { $0.isAlone || device.groupsCanWait }
    guard !found.isEmpty else {
      return Choice(
        nil,
        device.groupsCanWait
          ? "\(device.groups) work-groups have no room for \(work.layer.hiddenSize) units"
          : "one work-group has no room for \(work.layer.hiddenSize) units, and others cannot wait")
    }
    if let rank = tuning.persistentTile {
      return Choice(found[min(rank, found.count - 1)], LayerPlan.tuned)
    }
    // Tiles with another order of sums give other bits: the order is that of the planned GPU.
    persistentWork.plan()
    let order = tiles(persistentWork).first.map(persistentWork.order)
    let same = found.filter { persistentWork.order($0) == order }
    return Choice(
      same.first ?? found[0],
      same.isEmpty
        ? "the least time of \(found.count) tiles; none sums in the order of other GPUs"
        : "the least time of \(same.count) tiles that sum in one order, by the costs of its class of GPU"
    )
  }
}

extension PersistentTile {
  /// The tile in words.
  var words: String {
    let place =
      switch weights {
      case .local: "in local memory"
      case .registers: "in registers"
      case .cache: "read at each step"
      }
    return
      "groups of \(items) work-items for \(rows) sequences and \(units) units, weights \(place)"
      + (isAlone ? ", no group waits for another" : "")
      + (precision == .float32 ? "" : ", \(precision.rawValue) on matrix units")
  }
}
