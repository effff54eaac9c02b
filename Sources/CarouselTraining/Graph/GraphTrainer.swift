import CarouselFormats
import CarouselModel

/// Trains a graph on examples of one's own: batches, schedules, clipping, evaluations, early stopping, and
/// checkpoints from which a run goes on to the same bits.
///
/// ```swift
/// let (training, heldOut) = try data.split(heldOut: 0.1)
/// let trainer = try GraphTrainer(
///   graph, training: training, validation: heldOut,
///   settings: TrainingSettings(bounds: TrainingBounds(maxEpochs: 20)), backend: backend)
/// try trainer.run(in: RunFolder("run"))
/// try trainer.loadBest()
/// let y = try trainer.model.compute(["y"], ["x": x])["y"]
/// ```
///
/// All that a step needs is a function of the settings and of how many steps were taken before. What is held out
/// is measured before the first step too: where nothing gets better, the best model is the one that came.
///
/// Several ranks may train together (`LocalRanks`, `MPIRanks`): each makes a trainer of the same arguments on a
/// backend of its own, and runs it. `settings.shards` cuts each batch, and their number decides no bit.
public final class GraphTrainer<B: Backend>: TrainingLoop {
  /// How the graph is trained.
  public var settings: GraphTrainingSettings {
    didSet { loop.settings = settings.training }
  }
  /// How far the training has come.
  public var position: TrainingPosition { loop.position }
  /// The training steps of an epoch.
  public var epochSteps: Int { loop.work.epochSteps }
  /// The examples to learn from, those held out, and those of the test.
  public let counts: (training: Int, validation: Int, test: Int)
  /// The graph with its parameters as they are now.
  public let model: GraphModel<B>
  /// The names of the trained parameters.
  public var trainedNames: [String] { model.parameters.descriptions.map(\.name) }
  /// Their elements.
  public var trainedElements: Int {
    model.parameters.descriptions.reduce(0) { $0 + $1.shape.count }
  }
  /// What computes.
  public var backend: B { model.backend }

  /// Whether `TrainingEvent.ranks` follows each line of metrics; the same on every rank.
  public var logsRanks: Bool {
    get { loop.logsRanks }
    set { loop.logsRanks = newValue }
  }
  /// What `config.yaml` of the run's folder holds: the options of a command that repeats the run; nil writes
  /// none.
  public var configuration: String?

  /// The ranks that train the graph together.
  public var ranks: any Communicator { loop.ranks }
  /// What this rank's exchanges have cost so far; nil of one that has no others.
  public var communication: Communication? { communicated }

  let loop: LoopState<B>
  let parts: GraphTrainingParts
  /// A hash of the parameters that the run began with.
  let modelHash: String
  private let metrics: [Metric]
  /// Where the best parameters are: in a run's folder, or here.
  var folder: RunFolder?
  var best: [String: Tensor]?
  /// What is given the best parameters whenever there are better ones, while the run lasts.
  private var writeBest: ([String: Tensor]) throws -> Void = { _ in }

  /// Begins a run on examples of one's own, or goes on with one from what it saved.
  ///
  /// - Parameters:
  ///   - graph: what is trained, the loss being its first output (`Graph.train`).
  ///   - training: the examples to learn from.
  ///   - validation: those that evaluations measure; with nil these go by the training losses.
  ///   - settings: how to train; the layers and T in it mean nothing. Those of `checkpoint` are taken in their
  ///     place but for the bounds.
  ///   - metrics: what evaluations measure beside the loss.
  ///   - parameters: what parameters begin with by their names; the others are drawn by the settings' seed.
  ///   - checkpoint: `last.safetensors` of a run's folder, `GraphCheckpoint(contentsOf: folder.last)`.
  ///   - ranks: those that train together.
  ///   - backend: what computes.
  /// - Throws: where the settings make no sense, an example does not fit the graph, the checkpoint is that of
  ///   another graph or of other data, or the device fails.
  public convenience init(
    _ graph: Graph, training: any TrainingData, validation: (any TrainingData)? = nil,
    settings: TrainingSettings, metrics: [Metric] = [], parameters: [String: Tensor] = [:],
    resuming checkpoint: GraphCheckpoint? = nil, ranks: any Communicator = Alone(), backend: B
  ) throws {
    var all = checkpoint?.settings ?? GraphTrainingSettings(training: settings)
    all.training.bounds = settings.bounds
    let drawn = try GraphModel(graph, backend: backend, seed: all.training.seed).tensors()
    let known = Dictionary(drawn.map { ($0.name, $0.tensor) }, uniquingKeysWith: { one, _ in one })
    for name in parameters.keys.sorted() where known[name] == nil {
      throw CarouselError(
        .usage,
        "the graph has no parameter '\(name)'" + suggestion(for: name, among: known.keys.sorted()))
    }
    try self.init(
      GraphTrainingParts(graph, training: training, validation: validation),
      parameters: known.merging(parameters) { $1 }, settings: all, metrics: metrics,
      resuming: checkpoint, ranks: ranks, backend: backend)
  }

  /// Begins a run with the parameters of a graph, or goes on with one from what it saved.
  ///
  /// - Parameters:
  ///   - parts: the examples, and the graph that they train.
  ///   - parameters: the values of all parameters of the graph.
  ///   - settings: how to train; `settings.selection` chooses the parameters.
  ///   - metrics: what evaluations measure beside the loss.
  ///   - checkpoint: what a run saved; its settings are taken but for the bounds.
  ///   - ranks: those that train together.
  ///   - backend: what computes.
  /// - Throws: where the settings make no sense, the data do not fit the graph, naming the node, or the
  ///   device fails.
  public init(
    _ parts: GraphTrainingParts, parameters: [String: Tensor],
    settings: GraphTrainingSettings, metrics: [Metric] = [],
    resuming checkpoint: GraphCheckpoint? = nil, ranks: any Communicator = Alone(), backend: B
  ) throws {
    try settings.validate()
    let ranks = ranks.count > 1 ? MeasuredRanks(ranks) : ranks
    self.settings = settings
    self.parts = parts
    self.metrics = metrics
    let training = settings.training
    let (selected, factors) = try settings.selection.apply(
      to: parts.graph, learningRate: training.schedule.peak)
    modelHash = Self.hash(of: parameters)
    let model = try GraphModel(selected, backend: backend)
    self.model = model
    try model.load(parameters, source: settings.model)
    let work = try GraphWork(model, parts.training, training, ranks: ranks)
    let evaluator = try parts.validation.map {
      try GraphEvaluator(
        model, $0, batchSize: training.batchSize, metrics: metrics, ranks: ranks)
    }
    loop = try LoopState(
      model.parameters, settings: training, factors: factors, work: work, evaluator: evaluator,
      evaluatesFirst: true, ranks: ranks, isNew: checkpoint == nil)
    counts = (parts.training.count, parts.validation?.count ?? 0, parts.test?.count ?? 0)
    if let checkpoint { try load(checkpoint) }
    do {
      try work.prepare(step: position.step)
      try evaluator?.prepare()
    } catch let error as CarouselError where error.kind == .badData {
      throw CarouselError(.badData, "\(settings.model): \(error.message)")
    }
  }

  private static func hash(of parameters: [String: Tensor]) -> String {
    var hash = DataHash()
    for (name, tensor) in parameters.sorted(by: { $0.key < $1.key }) {
      hash.add([name])
      for value in tensor.values { hash.add(value.bitPattern) }
    }
    return hash.text
  }

  /// Trains until a bound is met, patience is used up or `shouldStop` becomes true.
  ///
  /// Checkpoints and metrics go to `folder`, which holds no other run; `write` is given the best parameters
  /// whenever there are better ones. Without a folder the best parameters stay in memory. Throws `checkFailed`
  /// where the loss is no longer finite, and `writeFailed`.
  ///
  /// Of several ranks the first owns the folder and alone writes; whether there is one has to be the same on all.
  /// The run ends where `shouldStop` becomes true on any rank.
  @discardableResult
  public func run(
    in folder: RunFolder? = nil, shouldStop: () -> Bool = { false },
    write: ([String: Tensor]) throws -> Void = { _ in },
    report: (TrainingEvent) throws -> Void = { _ in }
  ) throws -> TrainingResult {
    let folder = ranks.isFirst ? try folder?.owned() : folder
    // Its place alone: the run owns it no longer than it lasts.
    self.folder = folder.map { RunFolder($0.path) }
    return try withoutActuallyEscaping(write) { write in
      writeBest = write
      defer { writeBest = { _ in } }
      return try train(in: folder, shouldStop, report)
    }
  }

  /// Computes with the weights that evaluations measure: the average where there is one.
  public func withEvaluatedWeights<Result>(_ body: () throws -> Result) throws -> Result {
    try withAverage(body)
  }

  /// The parameters as they are now on other data, measured by this rank alone.
  ///
  /// Throws as the initializer does; nil where `shouldStop`, asked before each batch, became true.
  public func measure(
    _ data: any TrainingData, shouldStop: () throws -> Bool = { false }
  ) throws -> GraphEvaluation? {
    try measure(data, Alone(), shouldStop)
  }

  private func measure(
    _ data: any TrainingData, _ ranks: any Communicator, _ shouldStop: () throws -> Bool
  ) throws -> GraphEvaluation? {
    guard data.count > 0 else {
      throw CarouselError(.badData, "expected an example at least, found none")
    }
    return try GraphEvaluator(
      model, data, batchSize: settings.training.batchSize, metrics: metrics, ranks: ranks
    ).evaluate(shouldStop: shouldStop)
  }

  /// The mean loss of the parts of the data under the best parameters; `best` gives them.
  ///
  /// nil where `shouldStop` became true meanwhile. Several ranks share the work, and each has to ask; the
  /// parameters are those of the first.
  public func finalLosses(
    best: [String: Tensor], shouldStop: () -> Bool = { false }
  ) throws -> (training: Double, validation: Double?, test: Double?)? {
    if ranks.isFirst { try loadParameters(best) }
    for store in [model.parameters, model.fixedParameters] { try store.share(by: ranks) }
    var losses: [Double?] = []
    let all: [(any TrainingData)?] = [parts.training, parts.validation, parts.test]
    for part in all {
      guard let part else {
        losses.append(nil)
        continue
      }
      let found = try measure(part, ranks) { try ranks.onAny(shouldStop()) }
      guard let found else { return nil }
      losses.append(found.loss)
    }
    return losses[0].map { ($0, losses[1], losses[2]) }
  }

  // MARK: What the loop asks

  func judge(_ measured: TaskMetrics) -> (found: TaskMetrics, kept: TaskMetrics?) {
    (measured, nil)
  }

  func complete(_ line: inout TrainingMetrics, rate: Double) { line.sequencesPerSecond = rate }

  func keepBest(in folder: RunFolder?) throws {
    let tensors = try bestTensors()
    best = folder == nil ? tensors : nil
    if let folder { try save(to: folder.best, resumable: false, folder) }
    if ranks.isFirst { try writeBest(tensors) }
  }
}
