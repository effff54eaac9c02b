import CarouselFormats
import CarouselModel

/// The loop of every training: updates, the learning rate's schedule, bounds, evaluations, early stopping, lines of
/// metrics, checkpoints, and what ranks decide together.
///
/// A trainer says what is particular to it: what is trained, and what a run's files hold of that. Its work and its
/// evaluator are the loop's.
protocol TrainingLoop: AnyObject {
  associatedtype B: Backend

  /// What the loop keeps.
  var loop: LoopState<B> { get }

  /// Adds what has to be the same on every rank, beside the parameters.
  func describe(_ handshake: inout Handshake) throws
  /// What a model is made of: its parameters, and what else training changes of it.
  func modelTensors() throws -> [(name: String, tensor: Tensor)]
  /// What one update hands on to the next beside the model, of all ranks; every rank has to ask.
  func stateTensors() throws -> [(name: String, tensor: Tensor)]
  /// Saves what a new run began as, before anything else is written; every rank calls it.
  func saveBeginning(to folder: RunFolder) throws
  /// Writes tensors with the description of the model and of the run.
  func write(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws
  /// Writes what the folder holds beside checkpoints and metrics.
  func writeSettings(to folder: RunFolder) throws
  /// What an evaluation found, in the terms of the task, and what is kept of it in the position.
  func judge(_ measured: TaskMetrics) -> (found: TaskMetrics, kept: TaskMetrics?)
  /// Adds to a line of metrics on training what the task measures.
  func complete(_ line: inout TrainingMetrics, rate: Double) throws
  /// Keeps the model, which is the best so far.
  func keepBest(in folder: RunFolder?) throws
}

/// What a training loop keeps.
final class LoopState<B: Backend> {
  var settings: TrainingSettings
  var position = TrainingPosition()
  /// The seconds of this session; tests set a clock of their own.
  var now: () -> Double = {
    let start = ContinuousClock.now
    return { start.duration(to: .now).seconds }
  }()
  /// Whether `TrainingEvent.ranks` follows each line of metrics; the same on every rank.
  var logsRanks = false
  let ranks: any Communicator
  let work: any TrainingWork
  let evaluator: (any TrainingEvaluator)?
  /// Whether what is held out is measured before the first update too.
  let evaluatesFirst: Bool
  let optimizer: OptimizerState<B>
  /// The average of the parameters that is evaluated in their place.
  let average: WeightAverage<B>?
  let store: ParameterStore<B>
  /// Whether the run was not resumed.
  let isNew: Bool
  /// The seconds of earlier sessions.
  var earlierSeconds = 0.0
  /// What computed the session before.
  var earlierBackend: BackendRecord?
  var session = Session()
  /// The metrics of the run; nil before its first step, and where nothing is kept.
  var log: JSONLines?

  /// What this session's rate is computed from.
  struct Session {
    /// Whether the folder is prepared.
    var hasBegun = false
    /// The seconds in steps and the number of them, and what their exchanges with other ranks cost.
    var seconds = 0.0
    var steps = 0
    var communication = Communication()
    /// The same where the last line of metrics was written.
    var loggedSeconds = 0.0
    var loggedSteps = 0
    /// The loss and the learning rate of the last step.
    var loss = 0.0
    var learningRate = 0.0
    /// The lines of metrics that were written last, all of one step.
    var lines: [TrainingMetrics] = []
    /// What `last.safetensors` holds, and when it was written; nil before the first time.
    var saved: (position: TrainingPosition, seconds: Double)?
    /// The least time from the end of one step to that of the next; nil before the second step.
    var stepSeconds: Double?
    /// How long it takes to save and to evaluate, as measured last.
    var savingSeconds = 0.0
    var evaluatingSeconds: Double?
  }

  /// `factors` are those of the learning rate, see `OptimizerState`.
  init(
    _ store: ParameterStore<B>, settings: TrainingSettings, factors: [Double]? = nil,
    work: any TrainingWork, evaluator: (any TrainingEvaluator)?, evaluatesFirst: Bool,
    ranks: any Communicator, isNew: Bool
  ) throws {
    (self.settings, self.ranks, self.work) = (settings, ranks, work)
    (self.evaluator, self.evaluatesFirst, self.isNew) = (evaluator, evaluatesFirst, isNew)
    self.store = store
    optimizer = try OptimizerState(
      settings.optimizer.optimizer, store: store, factors: factors, ranks: ranks,
      isSharded: settings.shardOptimizer ?? false)
    average = try settings.averageDecay.map { try WeightAverage(store, decay: $0) }
  }

  /// Takes over where an earlier session of the run had come to.
  func resume(_ position: TrainingPosition, _ lines: [TrainingMetrics]?, _ backend: BackendRecord?)
  {
    self.position = position
    session.lines = lines ?? []
    earlierBackend = backend
    earlierSeconds = position.seconds
  }
}

extension TrainingLoop {
  /// Trains until a bound is met, patience is used up or `shouldStop` becomes true; see `Trainer.run`.
  func train(
    in folder: RunFolder?, _ shouldStop: () -> Bool, _ report: (TrainingEvent) throws -> Void
  ) throws -> TrainingResult {
    let ranks = loop.ranks
    let folder = ranks.isFirst ? try folder?.owned() : folder
    func stops() throws -> Bool { try ranks.onAny(shouldStop()) }
    try shakeHands()
    // The first step of a new run does not wait for the disk.
    let isBeginning = loop.isNew && loop.position.step == 0
    func begin() throws {
      guard let folder, !loop.session.hasBegun else { return }
      loop.session.hasBegun = true
      try self.begin(folder, isBeginning: isBeginning, report)
    }
    if !isBeginning || loop.evaluatesFirst { try begin() }
    var reason = TrainingResult.Reason?.none
    while reason == nil {
      if isEvaluationDue, loop.position.evaluation?.step != loop.position.step {
        let isDue = loop.position.step > 0
        guard try evaluate(due: isDue, folder, stops, report) else { break }
      }
      reason = try ranks.agree(on: endReason)
      if reason == nil {
        if try stops() { break }
        do {
          try takeStep(folder)
        } catch {
          try? begin()
          throw error
        }
        try report(.stepped(progress))
        try begin()
        try logIfDue(report)
        try estimateEvaluation(stops)
        if try isSaveDue { try saveLast(folder, report) }
      }
    }
    try begin()
    if reason != nil, loop.position.evaluation?.step != loop.position.step {
      if try !evaluate(due: false, folder, stops, report) { reason = nil }
    }
    if loop.session.saved?.position != loop.position { try saveLast(folder, report) }
    return TrainingResult(
      reason: reason ?? .interrupted, position: loop.position, epoch: epoch,
      rate: rate(seconds: loop.session.seconds, steps: loop.session.steps))
  }

  /// Throws where a rank computes with something else than rank 0.
  private func shakeHands() throws {
    guard loop.ranks.count > 1 else { return }
    var handshake = Handshake(loop.ranks)
    try describe(&handshake)
    handshake.add("position", "step \(loop.position.step)")
    try handshake.add(loop.store)
    try handshake.check(loop.ranks)
  }

  private func takeStep(_ folder: RunFolder?) throws {
    let (settings, step) = (loop.settings, loop.position.step)
    let began = loop.now()
    let exchanged = loop.ranks.communication
    let learningRate = settings.schedule.learningRate(
      step: step, fraction: try agreedScheduleFraction())
    try loop.work.queueGradients(step: step, seed: settings.seed)
    try loop.optimizer.queueStep(
      step + 1, learningRate: learningRate, clipNorm: settings.clipNorm)
    try loop.average?.queueStep(step + 1)
    let loss = try loop.work.readLoss()
    guard loss.isFinite else {
      throw divergence("the loss became \(loss) in step \(step + 1)", folder)
    }
    let seconds = loop.earlierSeconds + loop.now()
    if loop.session.steps > 0 {
      loop.session.stepSeconds = min(
        loop.session.stepSeconds ?? .infinity, seconds - loop.position.seconds)
    }
    loop.position.take(loss, seconds: seconds)
    loop.session.loss = loss
    loop.session.learningRate = learningRate
    loop.session.steps += 1
    loop.session.seconds += loop.now() - began
    loop.session.communication += loop.ranks.communication - exchanged
  }

  private func logIfDue(_ report: (TrainingEvent) throws -> Void) throws {
    let position = loop.position
    guard position.step % loop.settings.logEvery == 0, let mean = position.logged.value else {
      return
    }
    var line = TrainingMetrics(step: position.step, epoch: epoch, seconds: position.seconds)
    line.learningRate = loop.session.learningRate
    line.trainingLoss = mean
    if loop.settings.clipNorm != nil { line.gradientNorm = try loop.optimizer.readGradientNorm() }
    let rate = rate(
      seconds: loop.session.seconds - loop.session.loggedSeconds,
      steps: loop.session.steps - loop.session.loggedSteps)
    try complete(&line, rate: rate)
    loop.session.loggedSeconds = loop.session.seconds
    loop.session.loggedSteps = loop.session.steps
    loop.position.trainingLoss = mean
    loop.position.logged = RunningMean()
    try write(line)
    try report(.logged(line, progress))
    if loop.logsRanks { try report(.ranks(step: position.step, rankProgress())) }
  }

  /// The error for numbers that are no longer finite.
  func divergence(_ event: String, _ folder: RunFolder?) -> CarouselError {
    let kept = folder.map { "; '\($0.last)' keeps the last good checkpoint" } ?? ""
    return CarouselError(
      .checkFailed, "training stopped because \(event), expected a finite number\(kept)")
  }
}
