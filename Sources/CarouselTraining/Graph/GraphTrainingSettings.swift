import CarouselFormats
import CarouselModel

/// Everything that decides how a graph is trained.
public struct GraphTrainingSettings: Hashable, Sendable, Codable {
  /// The model's file and that of the data: for the record, and for a run that is resumed.
  public var model: String, data: String
  /// What is minimized; nil where the graph's first output is the loss.
  public var objective: GraphObjective?
  /// Which parameters are trained, and how fast.
  public var selection = GraphSelection()
  /// What is held out, drawn from all examples by the seed, or a file of its own.
  public var validation = HeldOut.share(0.1)
  /// A file that the trained model is tested on.
  public var test: String?
  /// Optimizer, schedule, bounds, evaluations and seed; the layers, T and N in it mean nothing here.
  public var training: TrainingSettings

  /// Settings with every default: Adam, and a learning rate that falls as a cosine over 10 epochs.
  public init(model: String, data: String, objective: GraphObjective) {
    self.model = model
    self.data = data
    self.objective = objective
    training = Self.trainingDefaults
  }

  /// Settings for a graph and data that are no files.
  init(training: TrainingSettings) {
    (model, data, self.training) = ("the graph", "the examples", training)
  }

  /// What is done where nothing else is asked for: gentler than for a network that begins at random.
  public static var trainingDefaults: TrainingSettings {
    var result = TrainingSettings(
      recurrent: RecurrentConfiguration(inputSize: 1, hiddenSize: 1),
      bounds: TrainingBounds(maxEpochs: 10))
    (result.batchSize, result.sequenceLength) = (1, 1)
    result.schedule = LearningRateSchedule(.cosine, peak: 3e-4)
    return result
  }

  /// Sets how often to evaluate and to log, once the number of examples is known, and that of an update.
  public mutating func follow(_ count: Int) {
    let epoch = (count + training.updateSize - 1) / training.updateSize
    training.evaluateEvery = epoch * max(1, (20 + epoch - 1) / epoch)
    training.logEvery = min(100, training.evaluateEvery)
  }

  /// Throws a usage error where settings make no sense, alone or together.
  public func validate() throws(CarouselError) {
    try training.validate()
    try HeldOut.validate(validation: validation, test: nil)
  }

  /// What `settings.json` holds: all but what means nothing for a graph.
  struct Record: Encodable {
    let task = "graph"
    let model: String, data: String
    let objective: GraphObjective?
    let selection: GraphSelection
    let validation: HeldOut?
    let test: String?
    let optimizer: OptimizerSettings
    let schedule: LearningRateSchedule
    let bounds: TrainingBounds
    let batchSize: Int, accumulate: Int?, shards: Int?
    let clipNorm: Double?, averageDecay: Double?
    let evaluateEvery: Int, logEvery: Int
    let patience: Int?
    let seed: UInt64
    let device: String

    init(_ settings: GraphTrainingSettings) {
      (model, data, objective) = (settings.model, settings.data, settings.objective)
      (selection, test) = (settings.selection, settings.test)
      validation = settings.objective == nil ? nil : settings.validation
      let training = settings.training
      (optimizer, schedule, bounds) = (training.optimizer, training.schedule, training.bounds)
      (batchSize, accumulate) = (training.batchSize, training.accumulate)
      shards = training.shards
      (clipNorm, averageDecay) = (training.clipNorm, training.averageDecay)
      (patience, seed) = (training.patience, training.seed)
      (evaluateEvery, logEvery) = (training.evaluateEvery, training.logEvery)
      device = training.device
    }
  }
}
