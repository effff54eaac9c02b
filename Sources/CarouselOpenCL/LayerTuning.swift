import CarouselModel

/// How layers of one size are computed on a device, where it can be done in several ways.
///
/// What is nil is left to a rule. On a CPU no choice changes a bit of the results; on a GPU another one sums in
/// another order, so that results may differ in their last bits.
public struct LayerTuning: Hashable, Sendable, Codable {
  /// Whether each core computes some of the hidden units at each step, or some sequences of the batch.
  public var splitsUnits: Bool?
  /// Whether the inputs are multiplied in the launch of the steps, or in one before.
  public var multipliesInputs: Bool?
  /// The panels that a work-item of a product keeps in its cache.
  public var panelsPerItem: Int?
  /// The longer side of what a work-group computes of a product.
  public var tile: Int?
  /// The units and the sequences that a work-group computes in a step.
  public var units: Int?, batch: Int?
  /// The tile of a work-group that computes all steps, as its place in the order of `PersistentWork.tiles`;
  /// -1 for a launch to each step.
  public var persistentTile: Int?

  /// Leaves everything to the rules.
  public init() {}

  /// What is chosen, in words.
  public var description: String {
    var words: [String] = []
    if let splitsUnits { words.append(splitsUnits ? "hidden units split" : "batch in slices") }
    if let multipliesInputs {
      words.append(multipliesInputs ? "inputs with the steps" : "inputs before")
    }
    if let panelsPerItem { words.append("\(panelsPerItem) panels") }
    if let tile { words.append("tiles of \(tile)") }
    if let units, let batch { words.append("groups of \(units) x \(batch)") }
    if let persistentTile, persistentTile >= 0 { words.append("persistent tile \(persistentTile)") }
    return words.isEmpty ? "as the rules say" : words.joined(separator: ", ")
  }

  /// Every choice that a form of the kernels has.
  static func choices(_ form: KernelForm) -> [LayerTuning] {
    var result: [LayerTuning] = []
    if form == .cpu {
      for (splitsUnits, multipliesInputs) in [
        (false, false), (false, true), (true, false), (true, true),
      ] {
        for panelsPerItem in [4, 8, 16] {
          var choice = LayerTuning()
          choice.splitsUnits = splitsUnits
          choice.multipliesInputs = multipliesInputs
          choice.panelsPerItem = panelsPerItem
          result.append(choice)
        }
      }
    } else {
      for tile in TiledProducts.tiles.keys.sorted() {
        for (units, batch) in [(16, 16), (32, 8), (8, 8)] {
          var choice = LayerTuning()
          (choice.tile, choice.persistentTile) = (tile, -1)
          (choice.units, choice.batch) = (units, batch)
          result.append(choice)
        }
        for persistentTile in 0..<6 {
          var choice = LayerTuning()
          (choice.tile, choice.persistentTile) = (tile, persistentTile)
          result.append(choice)
        }
      }
    }
    return result
  }
}

/// The layers that one choice is for.
struct TunedLayer: Hashable {
  let layer: RecurrentLayer
  let batchSize: Int

  /// The name in the file; whether the layer is reversed makes no difference.
  var name: String {
    var layer = layer
    layer.isReverse = false
    let options = CellVariant(layer).kernelOptions.joined(separator: " ")
    return "\(layer.cell.rawValue) N\(batchSize) C\(layer.inputSize) H\(layer.hiddenSize) "
      + "P\(layer.stateSize) F\(layer.recurrentFanIn) \(options)"
  }
}

extension OpenCLBackend {
  /// Every way of computing a layer on this backend that `tune` can choose from.
  public var tuningChoices: [LayerTuning] { LayerTuning.choices(kernelForm) }

  /// Computes layers like these, for a batch of N, as `choice` says from now on.
  public func tune(_ layers: [RecurrentLayer], batchSize: Int, _ choice: LayerTuning) {
    for layer in layers { tunings[TunedLayer(layer: layer, batchSize: batchSize)] = choice }
  }

  /// Keeps a choice for every backend that is made on this device from now on.
  ///
  /// With nil what was kept for these layers is forgotten, and the rules decide. Returns the file that holds
  /// the choice, or nil where nothing is kept; throws where it cannot be written.
  public func keepTuning(
    _ layers: [RecurrentLayer], batchSize: Int, _ choice: LayerTuning?
  ) throws -> String? {
    try tuningFile.store(
      choice, for: layers.map { TunedLayer(layer: $0, batchSize: batchSize).name })
  }

  /// Does a layer's work as it was tuned.
  func tuned<Result>(
    _ layer: RecurrentLayer, batchSize: Int, _ work: () throws -> Result
  ) rethrows -> Result {
    let key = TunedLayer(layer: layer, batchSize: batchSize)
    let choice: LayerTuning
    if let known = tunings[key] {
      choice = known
    } else {
      choice = storedTunings.isEmpty ? LayerTuning() : storedTunings[key.name] ?? LayerTuning()
      tunings[key] = choice
    }
    launcher.tuning = choice
    defer { launcher.tuning = LayerTuning() }
    return try work()
  }
}
