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
public final class GraphTrainer<B: Backend> {
  /// How the graph is trained.
  public var settings: GraphTrainingSettings
  /// How far the training has come.
  public internal(set) var position = TrainingPosition()
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
  public var logsRanks = false
  /// The ranks that train the graph together.
  public let ranks: any Communicator
  let optimizer: OptimizerState<B>
  /// The average of the parameters that is evaluated in their place.
  let average: WeightAverage<B>?
  let parts: GraphTrainingParts
  let isNew: Bool
  /// A hash of the parameters that the run began with.
  let modelHash: String
  let work: GraphWork<B>
  private let metrics: [Metric]
  private let evaluator: GraphEvaluator<B>?
  /// The seconds of this session; tests set a clock of their own.
  var now: () -> Double = {
    let start = ContinuousClock.now
    return { start.duration(to: .now).seconds }
  }()
  var earlierSeconds = 0.0
  var session = GraphSession()
  var log: JSONLines?
  /// Where the best parameters are: in a run's folder, or here.
  var folder: RunFolder?
  var best: [String: Tensor]?

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
    self.ranks = ranks
    self.settings = settings
    self.parts = parts
    self.metrics = metrics
    isNew = checkpoint == nil
    let training = settings.training
    let (selected, factors) = try settings.selection.apply(
      to: parts.graph, learningRate: training.schedule.peak)
    modelHash = Self.hash(of: parameters)
    model = try GraphModel(selected, backend: backend)
    try model.load(parameters, source: settings.model)
    optimizer = try OptimizerState(
      training.optimizer.optimizer, store: model.parameters, factors: factors, ranks: ranks,
      isSharded: training.shardOptimizer ?? false)
    let store = model.parameters
    average = try training.averageDecay.map { try WeightAverage(store, decay: $0) }
    work = try GraphWork(model, parts.training, training, ranks: ranks)
    evaluator = try parts.validation.map { [model] in
      try GraphEvaluator(
        model, $0, batchSize: training.batchSize, metrics: metrics, ranks: ranks)
    }
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
    func stops() throws -> Bool { try ranks.onAny(shouldStop()) }
    try shakeHands()
    // Its place alone: the run owns it no longer than it lasts.
    self.folder = folder.map { RunFolder($0.path) }
    if let folder { try begin(folder, report) }
    var reason = TrainingResult.Reason?.none
    while reason == nil {
      if position.step % settings.training.evaluateEvery == 0,
        position.evaluation?.step != position.step
      {
        guard try evaluate(due: position.step > 0, folder, stops, write, report) else { break }
      }
      reason = try ranks.agree(on: endReason)
      if reason == nil {
        if try stops() { break }
        try takeStep(folder)
        try report(.stepped(progress))
        try logIfDue(report)
        if try ranks.fromFirst(isSaveDue), let folder { try save(folder, report) }
      }
    }
    if reason != nil, position.evaluation?.step != position.step {
      if try !evaluate(due: false, folder, stops, write, report) { reason = nil }
    }
    if let folder, session.savedStep != position.step { try save(folder, report) }
    return TrainingResult(
      reason: reason ?? .interrupted, position: position, epoch: epoch, rate: rate)
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
    ).measure(shouldStop: shouldStop)
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

  // MARK: Steps

  private func takeStep(_ folder: RunFolder?) throws {
    let began = now()
    let exchanged = communication?.seconds ?? 0
    let training = settings.training
    let fraction =
      training.scheduleBy == .time ? try ranks.fromFirst(scheduleFraction) : scheduleFraction
    let learningRate = training.schedule.learningRate(step: position.step, fraction: fraction)
    try work.queueGradients(step: position.step, seed: training.seed)
    try optimizer.queueStep(
      position.step + 1, learningRate: learningRate, clipNorm: training.clipNorm)
    try average?.queueStep(position.step + 1)
    let loss = try work.readLoss()
    guard loss.isFinite else {
      throw divergence("the loss became \(loss) in step \(position.step + 1)", folder)
    }
    position.take(loss, seconds: earlierSeconds + now())
    session.loss = loss
    session.learningRate = learningRate
    session.steps += 1
    session.seconds += now() - began
    session.communicationSeconds += (communication?.seconds ?? 0) - exchanged
  }

  private func logIfDue(_ report: (TrainingEvent) throws -> Void) throws {
    guard position.step % settings.training.logEvery == 0, let mean = position.logged.value else {
      return
    }
    var line = TrainingMetrics(step: position.step, epoch: epoch, seconds: position.seconds)
    line.learningRate = session.learningRate
    line.trainingLoss = mean
    if settings.training.clipNorm != nil { line.gradientNorm = try optimizer.readGradientNorm() }
    line.sequencesPerSecond = rate
    position.trainingLoss = mean
    position.logged = RunningMean()
    try append(line)
    try report(.logged(line, progress))
    if logsRanks { try report(.ranks(step: position.step, rankProgress())) }
  }

  /// Measures what is held out, and saves what is best and what is last; false where it was asked to stop.
  private func evaluate(
    due: Bool, _ folder: RunFolder?, _ shouldStop: () throws -> Bool,
    _ write: ([String: Tensor]) throws -> Void, _ report: (TrainingEvent) throws -> Void
  ) throws -> Bool {
    var line = TrainingMetrics(step: position.step, epoch: epoch, seconds: position.seconds)
    // Before the first step there is nothing to go by but what is held out.
    guard evaluator != nil || position.evaluated.value != nil else { return true }
    func measure() throws -> Bool {
      if let evaluator {
        var done = 0
        let found = try evaluator.measure {
          try report(.evaluating(Double(done) / Double(evaluator.passCount)))
          done += 1
          return try shouldStop()
        }
        guard let found else { return false }
        line.validationLoss = found.loss
        if !metrics.isEmpty { line.metrics = found.metrics }
      }
      let loss = line.validationLoss ?? position.evaluated.value ?? .nan
      guard loss.isFinite else {
        throw divergence("the validation loss became \(loss) after step \(position.step)", folder)
      }
      let isBest = position.record(loss, due: due)
      position.seconds = earlierSeconds + now()
      line.isBest = isBest
      try append(line)
      guard isBest else { return true }
      let tensors = try bestTensors()
      best = folder == nil ? tensors : nil
      guard ranks.isFirst else { return true }
      if let folder { try saveBest(folder) }
      try write(tensors)
      return true
    }
    guard try average.map({ try $0.inPlace(measure) }) ?? measure() else { return false }
    if let folder { try save(folder, report) }
    try report(.evaluated(line, progress))
    return true
  }

  /// The error for numbers that are no longer finite.
  func divergence(_ event: String, _ folder: RunFolder?) -> CarouselError {
    let kept = folder.map { "; '\($0.last)' keeps the last good checkpoint" } ?? ""
    return CarouselError(
      .checkFailed, "training stopped because \(event), expected a finite number\(kept)")
  }
}

/// What the rate of a session is computed from, and what was saved.
struct GraphSession {
  var seconds = 0.0
  var steps = 0
  var communicationSeconds = 0.0
  var loss = 0.0
  var learningRate = 0.0
  var lines: [TrainingMetrics] = []
  var savedStep: Int?
  var savedSeconds = 0.0
}
