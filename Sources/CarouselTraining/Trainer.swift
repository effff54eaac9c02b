import CarouselFormats
import CarouselModel
import Foundation

/// Trains a network to predict the next byte of a text, by truncated backpropagation through time, or on
/// synthetic sequences (`SyntheticData`).
///
/// The training part of a text is read as N streams (`TextStreams`); a step is one window of T
/// bytes of each, the recurrent states are carried from window to window and set to zero where an
/// epoch begins. All that a step needs is a function of the settings and of how many steps were taken
/// before, so a resumed run computes the same bits as one that was never interrupted.
public final class Trainer<B: Backend> {
  /// How the network is trained.
  public private(set) var settings: TrainingSettings
  /// How often the run is saved beside its evaluations; decides no bit of the result.
  public var saveEvery: SaveInterval {
    get { settings.saveEvery ?? .standard }
    set { settings.saveEvery = newValue }
  }
  /// What the network is trained for.
  public let task: TrainingTask
  /// The bytes behind the tokens of a text, held-out part included; empty for other tasks.
  public let vocabulary: ByteVocabulary
  /// The network.
  public let network: Network<B>
  /// How far the training has come.
  public internal(set) var position = TrainingPosition()

  /// The seconds of this session; tests set a clock of their own.
  var now: () -> Double = {
    let start = ContinuousClock.now
    return { start.duration(to: .now).seconds }
  }()

  /// Measures how the gradient travels back through time, at every line of metrics; nil measures
  /// nothing.
  public var gradientProbe: ((Network<B>) throws -> [GradientNorm])?

  /// Whether `TrainingEvent.ranks` follows each line of metrics; the same on every rank.
  public var logsRanks = false

  /// What `config.yaml` of the run's folder holds: the options of a command that repeats the run; nil writes
  /// none.
  public var configuration: String?

  /// The ranks that train the network together.
  public let ranks: any Communicator

  /// Whether the run was not resumed.
  let isNew: Bool
  let identity: TrainingText.Identity?
  /// The bytes of a character in what is trained on and what is held out, of a text in UTF-8.
  let bytesPerCharacter: (training: Double?, heldOut: Double?)
  /// What the parameters began with in place of what was drawn, until the beginning is saved.
  var initialWeights: InitialWeights?
  let work: any TrainingWork
  let pieces: BatchPieces
  /// The states that one step hands on to the next, of this rank's pieces; none where each sequence begins with
  /// zeros.
  let carriedStates: [RecurrentState<B.Buffer>]
  /// What the model remembers of one's own data.
  public let dataDescription: DataDescription?
  let optimizer: OptimizerState<B>
  /// The average of the parameters that is evaluated in their place.
  let average: WeightAverage<B>?
  let evaluator: (any TrainingEvaluator)?
  /// The seconds of earlier sessions.
  var earlierSeconds = 0.0
  /// What computed the session before.
  var earlierBackend: BackendRecord?
  var session = Session()
  /// The metrics of the run; nil before its first step, and where nothing is kept.
  var log: JSONLines?

  /// What this session's rate is computed from.
  struct Session {
    /// The seconds in steps and the number of them, and those of the seconds that exchanges with other ranks took.
    var seconds = 0.0
    var steps = 0
    var communicationSeconds = 0.0
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

  /// Begins a run with parameters drawn by the settings' seed.
  ///
  /// `vocabulary` holds the text's bytes, and others that the model is to know; nil takes those of the
  /// text alone. Throws where the settings make no sense, the text is too short for them or has a byte
  /// that the vocabulary lacks, or the backend has no memory for the network.
  ///
  /// `initial` gives for the network what it begins with in place of what is drawn. With several `ranks` each
  /// makes a trainer of the same arguments on a backend of its own, and runs it.
  public convenience init(
    _ text: TrainingText, settings: TrainingSettings, vocabulary: ByteVocabulary? = nil, backend: B,
    ranks: any Communicator = Alone(),
    initial: (NetworkConfiguration) throws -> InitialWeights? = { _ in nil }
  ) throws {
    try self.init(
      text, settings: settings, vocabulary: vocabulary ?? text.vocabulary, backend: backend,
      ranks: ranks, resuming: nil, initial: initial)
  }

  /// Goes on with a run from its checkpoint `last.safetensors`.
  ///
  /// `text` has to be the one that the run began with. `bounds` replaces those of the run where it is
  /// not nil; schedules that end with the run then have another end. Throws where the text or the
  /// network is another, or a tensor is missing, of another shape or not finite.
  public convenience init(
    resuming checkpoint: Checkpoint, text: TrainingText, bounds: TrainingBounds? = nil, backend: B,
    ranks: any Communicator = Alone(), shardsOptimizer: Bool = false
  ) throws {
    let described = checkpoint.description
    guard let known = described.text, text.identity.byteCount == known.byteCount,
      text.identity.hash == known.hash
    else {
      throw CarouselError(
        .badData,
        "\(text.name): expected the text that '\(checkpoint.path)' was trained on, "
          + (described.text.map { "\($0.byteCount) bytes with the hash \($0.hash)" } ?? "none")
          + ", found \(text.identity.byteCount) bytes with the hash \(text.identity.hash); --from begins a new "
          + "run from its weights with any text")
    }
    var settings = described.settings
    if let bounds { settings.bounds = bounds }
    if shardsOptimizer { settings.shardOptimizer = true }
    try self.init(
      text, settings: settings, vocabulary: checkpoint.vocabulary, backend: backend, ranks: ranks,
      resuming: checkpoint, initial: { _ in nil })
  }

  private convenience init(
    _ text: TrainingText, settings: TrainingSettings, vocabulary: ByteVocabulary, backend: B,
    ranks: any Communicator, resuming checkpoint: Checkpoint?,
    initial: (NetworkConfiguration) throws -> InitialWeights?
  ) throws {
    try settings.validate()
    try settings.validateForText()
    if vocabulary != text.vocabulary { try vocabulary.check(text.content, source: text.name) }
    let configuration = NetworkConfiguration(
      vocabularySize: vocabulary.count, recurrent: settings.recurrent)
    try configuration.validateSize()
    let parts = try TextParts(text, settings: settings, vocabulary: vocabulary)
    try self.init(
      .text, settings: settings, configuration, vocabulary: vocabulary, identity: text.identity,
      bytesPerCharacter: parts.bytesPerCharacter, backend: backend, ranks: ranks,
      resuming: checkpoint, initial: initial
    ) { network, pieces in
      let work = try WindowWork(
        network, parts.training, pieces, checkpointSteps: settings.checkpointSteps,
        countsBytes: true)
      let evaluator = try parts.heldOut.map {
        try TextEvaluator(
          network, text: $0, vocabulary: vocabulary, limit: settings.validationBytes,
          shards: settings.shards ?? 1, ranks: ranks)
      }
      return (work, work.states.flatMap(\.all), evaluator)
    }
  }

  /// Begins a run on synthetic sequences, `settings.steps` being T; or goes on with one
  /// from its checkpoint, whose settings are then taken.
  ///
  /// Throws as the initializers for a text do.
  public convenience init(
    _ task: TrainingTask, settings: TrainingSettings, backend: B,
    ranks: any Communicator = Alone(), resuming checkpoint: Checkpoint? = nil,
    initial: (NetworkConfiguration) throws -> InitialWeights? = { _ in nil }
  ) throws {
    try settings.validate()
    let data = try SyntheticData(
      task, length: settings.sequenceLength, batchSize: settings.updateSize, seed: settings.seed)
    let configuration = data.network(settings.recurrent)
    try configuration.validateSize()
    try self.init(
      task, settings: settings, configuration, backend: backend, ranks: ranks,
      resuming: checkpoint, initial: initial
    ) { network, pieces in
      let work = try WindowWork(
        network, data, pieces, checkpointSteps: settings.checkpointSteps, countsBytes: false)
      let evaluator = try SyntheticDataEvaluator(
        network,
        like: SyntheticData(
          task, length: settings.sequenceLength, batchSize: settings.batchSize, seed: settings.seed),
        ranks: ranks)
      return (work, work.states.flatMap(\.all), evaluator)
    }
  }

  /// Begins a run on one's own examples; or goes on with one from its checkpoint, whose settings are then
  /// taken, see `TrainingExamples.init(resuming:)`.
  ///
  /// Throws as the initializers for a text do.
  public convenience init(
    _ examples: TrainingExamples, settings: TrainingSettings, backend: B,
    ranks: any Communicator = Alone(), resuming checkpoint: Checkpoint? = nil,
    initial: (NetworkConfiguration) throws -> InitialWeights? = { _ in nil }
  ) throws {
    try settings.validate()
    let configuration = examples.description.network(settings.recurrent)
    try configuration.validateSize()
    try self.init(
      examples.task, settings: settings, configuration, data: examples.description,
      backend: backend, ranks: ranks, resuming: checkpoint, initial: initial
    ) { network, pieces in
      let work = try SequenceWork(network, examples.training, settings, pieces)
      let evaluator = examples.validation.map {
        SequenceEvaluator(network, $0, batchSize: settings.batchSize, ranks: ranks)
      }
      return (work, [], evaluator)
    }
  }

  /// What a trainer computes with: the work of a step, the states that it carries, and what evaluates.
  private typealias Parts = (
    work: any TrainingWork, states: [RecurrentState<B.Buffer>],
    evaluator: (any TrainingEvaluator)?
  )

  private init(
    _ task: TrainingTask, settings: TrainingSettings, _ configuration: NetworkConfiguration,
    vocabulary: ByteVocabulary = ByteVocabulary(of: []), identity: TrainingText.Identity? = nil,
    bytesPerCharacter: (training: Double?, heldOut: Double?) = (nil, nil),
    data: DataDescription? = nil, backend: B, ranks: any Communicator,
    resuming checkpoint: Checkpoint?,
    initial: (NetworkConfiguration) throws -> InitialWeights?,
    parts: (Network<B>, BatchPieces) throws -> Parts
  ) throws {
    self.task = task
    self.settings = settings
    self.vocabulary = vocabulary
    self.identity = identity
    self.bytesPerCharacter = bytesPerCharacter
    dataDescription = data
    let ranks = ranks.count > 1 ? MeasuredRanks(ranks) : ranks
    self.ranks = ranks
    pieces = try BatchPieces(settings, ranks: ranks)
    isNew = checkpoint == nil
    network =
      if let checkpoint {
        try checkpoint.makeNetwork(backend: backend)
      } else {
        try Network(configuration, backend: backend, seed: settings.seed)
      }
    initialWeights = checkpoint == nil ? try initial(configuration) : nil
    try initialWeights?.write(to: network.parameters)
    (work, carriedStates, evaluator) = try parts(network, pieces)
    optimizer = try OptimizerState(
      settings.optimizer.optimizer, store: network.parameters, ranks: ranks,
      isSharded: settings.shardOptimizer ?? false)
    let store = network.parameters
    average = try settings.averageDecay.map { try WeightAverage(store, decay: $0) }
    if let checkpoint { try load(checkpoint) }
  }

  /// Trains until a bound is met, patience is used up or `shouldStop` becomes true.
  ///
  /// Checkpoints and metrics go to `folder`, which holds no run but the one that is resumed; files of
  /// another are replaced after the first step. The run owns the folder until it ends, which it cannot where
  /// another is under way in it. nil keeps nothing. `shouldStop` is asked before
  /// every step: where it is true, the run saves what it needs to be resumed and ends. `report` hears
  /// of every step, line of metrics, evaluation and checkpoint.
  ///
  /// Of several ranks the first owns the folder and alone writes; whether there is one has to be the same on all.
  /// The run ends where `shouldStop` becomes true on any rank.
  ///
  /// Throws `checkFailed` where the loss is no longer finite, with the step; the last checkpoint is
  /// then the last good one. Throws `writeFailed` where a file cannot be written.
  public func run(
    in folder: RunFolder? = nil, shouldStop: () -> Bool = { false },
    report: (TrainingEvent) throws -> Void
  ) throws -> TrainingResult {
    let folder = ranks.isFirst ? try folder?.owned() : folder
    func stops() throws -> Bool { try ranks.onAny(shouldStop()) }
    try shakeHands()
    // The first step of a new run does not wait for the disk.
    let isBeginning = isNew && position.step == 0
    func begin() throws {
      guard let folder, log == nil else { return }
      guard ranks.isFirst else {
        // As the first notes when it saves what a new run began as.
        if isBeginning, session.saved == nil { session.saved = (TrainingPosition(), now()) }
        return
      }
      try self.begin(folder, isBeginning: isBeginning, report)
    }
    if !isBeginning { try begin() }
    var reason = TrainingResult.Reason?.none
    while reason == nil {
      if isEvaluationDue, position.evaluation?.step != position.step {
        guard try evaluate(due: true, folder, stops, report) else { break }
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
    if reason != nil, position.evaluation?.step != position.step {
      if try !evaluate(due: false, folder, stops, report) { reason = nil }
    }
    if session.saved?.position != position { try saveLast(folder, report) }
    return TrainingResult(
      reason: reason ?? .interrupted, position: position, epoch: epoch,
      rate: rate(seconds: session.seconds, steps: session.steps))
  }

  /// Trains until a bound is met or patience is used up, and reports nothing on the way.
  public func run(in folder: RunFolder? = nil) throws -> TrainingResult {
    try run(in: folder) { _ in }
  }

  private func takeStep(_ folder: RunFolder?) throws {
    let began = now()
    let exchanged = communication?.seconds ?? 0
    let learningRate = settings.schedule.learningRate(
      step: position.step, fraction: try agreedScheduleFraction())
    try work.queueGradients(step: position.step, seed: settings.seed)
    try optimizer.queueStep(
      position.step + 1, learningRate: learningRate, clipNorm: settings.clipNorm)
    try average?.queueStep(position.step + 1)
    let loss = try work.readLoss()
    guard loss.isFinite else {
      throw divergence("the loss became \(loss) in step \(position.step + 1)", folder)
    }
    position.step += 1
    position.logged.add(loss)
    position.evaluated.add(loss)
    let seconds = earlierSeconds + now()
    if session.steps > 0 {
      session.stepSeconds = min(session.stepSeconds ?? .infinity, seconds - position.seconds)
    }
    position.seconds = seconds
    session.loss = loss
    session.learningRate = learningRate
    session.steps += 1
    session.seconds += now() - began
    session.communicationSeconds += (communication?.seconds ?? 0) - exchanged
  }

  private func logIfDue(_ report: (TrainingEvent) throws -> Void) throws {
    guard position.step % settings.logEvery == 0, let mean = position.logged.value else { return }
    var line = TrainingMetrics(step: position.step, epoch: epoch, seconds: position.seconds)
    line.learningRate = session.learningRate
    line.trainingLoss = mean
    if settings.clipNorm != nil { line.gradientNorm = try optimizer.readGradientNorm() }
    let rate = rate(
      seconds: session.seconds - session.loggedSeconds, steps: session.steps - session.loggedSteps)
    if task == .text { line.bytesPerSecond = rate } else { line.sequencesPerSecond = rate }
    line.gradientNorms = try gradientProbe?(network)
    session.loggedSeconds = session.seconds
    session.loggedSteps = session.steps
    position.trainingLoss = mean
    position.logged = RunningMean()
    try write(line)
    try report(.logged(line, progress))
    if logsRanks { try report(.ranks(step: position.step, rankProgress())) }
  }
}
