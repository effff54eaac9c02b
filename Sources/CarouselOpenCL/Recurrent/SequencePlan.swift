import CarouselModel

/// How `recurrent/sequence.cl` and `recurrent/sequence_backward.cl` compute the steps on a CPU.
///
/// No choice changes a bit of the results, so that each may follow the cores and caches of the device.
struct SequencePlan: Hashable, Sendable {
  /// What each core takes.
  enum Division: Hashable, Sendable {
    /// Slices of the batch: nobody waits for anybody.
    case slices(Int)
    /// Splits of the hidden units: all cores wait for each other after each step.
    case splits(Int)

    /// The splits, 0 where the batch is divided.
    var splits: Int { if case .splits(let count) = self { count } else { 0 } }
    /// The slices of the batch, 1 where all cores take all of it.
    var slices: Int { if case .slices(let count) = self { count } else { 1 } }
    /// The cores that work.
    var count: Int { max(splits, slices) }
  }

  /// What the forward pass and the steps back each choose.
  let forward: Choice<Division>, backward: Choice<Division>
  /// TILE_UNITS of the forward pass: the hidden units whose gates fill whole panels.
  let tileUnits: Int
  /// Whether weights are fetched into the second cache before they are multiplied.
  let fetchesAhead: Choice<Bool>
  /// Whether what the cells of a tile read and write is fetched during the tile's products.
  let fetchesRows: Choice<Bool>
  /// Whether the states that a step multiplies are copied to rows that lie `copyStride` floats apart.
  let copiesStates: Choice<Bool>
  /// The floats from a copied state to the next.
  let copyStride: Int
}

/// Decides what `SequencePlan` holds.
struct SequencePlanner {
  private let work: PlannedWork
  private let device: PlanDevice
  private let tuning: LayerTuning

  init(_ work: PlannedWork, _ device: PlanDevice, _ tuning: LayerTuning) {
    (self.work, self.device, self.tuning) = (work, device, tuning)
  }

  private var layer: RecurrentLayer { work.layer }

  var plan: SequencePlan {
    let copyStride = device.rowStride(layer.hiddenSize)
    return SequencePlan(
      forward: division(tileUnits: tileUnits), backward: division(tileUnits: panelWidth),
      tileUnits: tileUnits, fetchesAhead: fetchesAhead, fetchesRows: fetchesRows,
      copiesStates: copiesStates, copyStride: copyStride)
  }

  /// COLUMNS of `gemm/panel.cl`.
  private var panelWidth: Int { 2 * device.vectorWidth }

  /// So many units that their gates fill whole panels of two vectors.
  private var tileUnits: Int {
    (layer.gateCount.isMultiple(of: 2) ? 1 : 2) * device.vectorWidth
  }

  // MARK: - Slices of the batch or splits of the hidden units

  /// The recurrent weights below which cores that wait for each other after each step lose more than they
  /// gain: those of an LSTM of 111 units.
  ///
  /// From 256 units on splits win where sequences are few: LSTM inference T50 N1 C256 H256 on two cores 0.83 to
  /// 0.53 ms. At half the weights the gain is within the noise.
  private static let leastSplitWeights = 49_152

  /// The same for a single step, which may be done before another core is awake: those of an LSTM of 221 units.
  ///
  /// A chunk of Silero's voice activity detector, 128 units, on two cores 0.186 to 0.174 ms.
  private static let leastSplitWeightsOfAStep = 4 * leastSplitWeights

  /// The rows that a slice needs to multiply at full rate.
  ///
  /// With vectors of 16 a tile of 8 rows does. With narrower ones `gemm/panel.cl` takes 6 rows at once, so that 8 or
  /// 9 are two products: sharing the units instead took LSTM inference T150 N16 C256 H256 from 23.1 to 21.5 ms
  /// (medians of 30 alternations on two cores of a Zen 3), and gained nothing from 20 sequences on.
  private var fullSliceRows: Int { device.vectorWidth == 16 ? PanelProducts.tileRows : 10 }

  private func division(tileUnits: Int) -> Choice<SequencePlan.Division> {
    let slices = min(work.batchSize, device.computeUnits)
    let splits = min(device.computeUnits, ceilDivide(layer.hiddenSize, tileUnits))
    func divide(
      splitting: Bool, _ reason: String
    ) -> Choice<SequencePlan.Division> {
      Choice(splitting ? .splits(splits) : .slices(slices), reason)
    }
    if splits <= 1 {
      return divide(
        splitting: false,
        device.computeUnits == 1
          ? "the device has one core" : "all hidden units are one tile of \(tileUnits)")
    }
    if !device.coresRunTogether {
      return divide(splitting: false, "work-groups of this device cannot wait for each other")
    }
    if !layer.hasRecurrentMatrix {
      return divide(splitting: false, "there is no recurrent product to split")
    }
    if let splitting = tuning.splitsUnits { return divide(splitting: splitting, LayerPlan.tuned) }
    let weights = layer.gateRows * layer.recurrentFanIn
    if work.batchSize >= fullSliceRows * device.computeUnits {
      return divide(
        splitting: false,
        "\(work.batchSize) sequences are \(fullSliceRows) or more for each of \(device.computeUnits) cores"
      )
    }
    let least =
      work.sequenceLength == 1 ? Self.leastSplitWeightsOfAStep : Self.leastSplitWeights
    if weights < least {
      return divide(
        splitting: false,
        "\(weights) recurrent weights are below \(least): waiting would cost more")
    }
    return divide(
      splitting: true,
      "\(work.batchSize) sequences are fewer than \(fullSliceRows) for each of \(device.computeUnits) cores"
    )
  }

  // MARK: - Weights and the caches

  /// The weights that all cores together read again at each step from their own caches and the last one:
  /// 4 MiB, or a quarter of the last cache where that is more.
  ///
  /// Beyond it they come from memory that all cores share, where a product of all steps, which reads them
  /// once, is faster: LSTM T100 N64 C128 H256 (1.5 MiB) inference 29.5 to 25.3 ms with the inputs multiplied
  /// during the steps, H512 (8 MiB) slower.
  private var cachedWeightBytes: Int { max(4 << 20, device.cacheBytes / 4) }

  private var weightBytes: Int {
    layer.gateRows * (layer.inputSize + layer.recurrentFanIn) * device.precision.packedBytes
  }

  private var weightsStayInCache: Bool { weightBytes < cachedWeightBytes }

  private var weightWords: String {
    let (bytes, limit) = (weightBytes >> 10, cachedWeightBytes >> 10)
    return weightsStayInCache
      ? "\(bytes) KiB of weights stay in the caches"
      : "\(bytes) KiB of weights do not stay in the caches, as less than \(limit) KiB would"
  }

  /// Fetching panels of the next tile pays on narrow vectors where weights come from memory.
  ///
  /// LSTM T50 N64 C1024 H1024 forward 271 to 222 ms, with 512 units 1 to 3 %; with 256 units, whose weights stay, it
  /// cost 3 %. With vectors of 16 each product asks for its own panel, see `gemm/panel.cl`.
  private var fetchesAhead: Choice<Bool> {
    if device.vectorWidth == 16 {
      return Choice(false, "with vectors of 16 a product asks for its own weights in time")
    }
    if layer.recurrence != .dense {
      return Choice(false, "the recurrent weights are few: \(layer.recurrence.rawValue)")
    }
    return Choice(!weightsStayInCache, weightWords)
  }

  /// What a training pass may keep without leaving the caches between a step and the steps back.
  private static let fewKeptBytes = 5 << 20

  /// Fetching gates and states costs instructions, and pays where they come from afar.
  ///
  /// Training on one core of a Zen 5: LSTM T50 N32 C20 H128 (4.7 MiB) 3.65 ms with it and 3.56 without, RNN 0.959 and
  /// 0.947; LSTM T100 N64 C20 H128 (18.8 MiB) 16.1 and 16.8, GRU T100 N32 C128 H128 (7.8 MiB) 9.1 and 9.4. Inference
  /// with weights that fill the caches, LSTM T50 N64 C512 H512: 55.2 and 58.8 ms.
  private var fetchesRows: Choice<Bool> {
    guard weightsStayInCache else { return Choice(true, weightWords) }
    let floats = (layer.slotCount + 1 + layer.memoryCount) * layer.hiddenSize
    let bytes = 4 * work.sequenceLength * work.batchSize * floats
    return Choice(
      bytes > Self.fewKeptBytes,
      "a training pass keeps \(bytes >> 10) KiB, of which \(Self.fewKeptBytes >> 10) stay near")
  }

  // MARK: - The inputs

  /// An input product of so many operations takes about as long as the launch that it would need: some
  /// 10 µs at 200 GFLOP/s are 2·10⁶, and its sums go through memory once more.
  private static let fewInputFlops = 4e6

  /// A panel of the weights of so many inputs, 32 columns of Float32, is 64 KiB and stays in a core's own
  /// caches beside the states.
  private static let cachedInputSize = 512

  /// Whether a slice, or a split, has rows enough to fill a tile of a product.
  private func fillsTiles(_ division: SequencePlan.Division) -> Bool {
    work.batchSize / division.slices >= PanelProducts.tileRows
  }

  /// When the inputs are multiplied in the forward pass.
  ///
  /// A step of fewer rows than a tile's is no choice: a single row would be summed in another order there than
  /// among all steps.
  var inputs: Choice<LayerPlan.InputProduct> {
    // All steps before the first, where a step has too few rows.
    let isFirst = work.batchSize < PanelProducts.tileRows
    let fused: LayerPlan.InputProduct = isFirst ? .beforeFirstStep : .duringSteps
    if let choice = tuning.multipliesInputs {
      return Choice(choice ? fused : .before, LayerPlan.tuned)
    }
    if work.inputFlops <= Self.fewInputFlops {
      return Choice(fused, "so little to multiply takes no longer than a launch")
    }
    if isFirst {
      let fits = layer.inputSize <= Self.cachedInputSize
      return Choice(
        fits ? fused : .before,
        "panels of \(layer.inputSize) inputs \(fits ? "stay" : "do not stay") in a core's caches")
    }
    guard fillsTiles(division(tileUnits: tileUnits).value) else {
      return Choice(
        .before, "a step of a slice has fewer rows than a tile's \(PanelProducts.tileRows)")
    }
    return Choice(weightsStayInCache ? fused : .before, weightWords)
  }

  /// Whether the gradients of the inputs are computed during the steps back.
  ///
  /// With lengths that leaves out the steps that sequences do not have, which a product of all steps
  /// multiplies too: LSTM T100 N32 C128 H256 with lengths uniform in 1...100 training 63.4 to 41.4 ms.
  var inputGradientsDuringSteps: Choice<Bool> {
    guard fillsTiles(division(tileUnits: panelWidth).value) else {
      return Choice(false, "a step has fewer rows than a tile's \(PanelProducts.tileRows)")
    }
    if let choice = tuning.multipliesInputs { return Choice(choice, LayerPlan.tuned) }
    guard work.hasLengths || work.inputFlops <= Self.fewInputFlops else {
      return Choice(false, "all sequences have all steps, and a product of all steps is faster")
    }
    if layer.inputSize > Self.cachedInputSize {
      return Choice(false, "panels of \(layer.inputSize) inputs do not stay in a core's caches")
    }
    return Choice(weightsStayInCache, weightWords)
  }

  // MARK: - Copies of the states

  /// Rows that lie a multiple of 2048 bytes apart share one or two sets of a core's first cache.
  private var copiesStates: Choice<Bool> {
    let stride = work.recurrentInputStride
    if device.rowStride(stride) == stride {
      return Choice(false, "states \(4 * stride) bytes apart use all sets of a cache")
    }
    if !layer.hasRecurrentMatrix {
      return Choice(false, "without a recurrent product each state is read once")
    }
    guard fillsTiles(division(tileUnits: tileUnits).value) else {
      return Choice(false, "few rows are multiplied at once")
    }
    return Choice(true, "states \(4 * stride) bytes apart would push each other out of the cache")
  }
}

extension PlanDevice {
  /// How far apart the rows of a matrix of so many columns are best laid.
  ///
  /// Where they are a multiple of 2048 bytes apart a CPU has the same column of all rows in one or two sets
  /// of its first cache, and the rows of a tile push each other out; a line more sets them apart: LSTM
  /// training of 1024 units 1.04, of 256 units 1.09 times as fast.
  func rowStride(_ columns: Int) -> Int {
    form == .cpu && columns.isMultiple(of: 512) ? columns + 16 : columns
  }
}
