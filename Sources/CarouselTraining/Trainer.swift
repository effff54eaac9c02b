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
public final class Trainer<B: Backend>: TrainingLoop {
  /// How the network is trained.
  public var settings: TrainingSettings { loop.settings }
  /// How often the run is saved beside its evaluations; decides no bit of the result.
  public var saveEvery: SaveInterval {
    get { settings.saveEvery ?? .standard }
    set { loop.settings.saveEvery = newValue }
  }
  /// What the network is trained for.
  public let task: TrainingTask
  /// The bytes behind the tokens of a text, held-out part included; empty for other tasks.
  public let vocabulary: ByteVocabulary
  /// The network.
  public let network: Network<B>
  /// How far the training has come.
  public var position: TrainingPosition { loop.position }
  /// The steps of an epoch.
  public var epochSteps: Int { loop.work.epochSteps }

  /// Measures how the gradient travels back through time, at every line of metrics; nil measures
  /// nothing.
  public var gradientProbe: ((Network<B>) throws -> [GradientNorm])?

  /// Whether `TrainingEvent.ranks` follows each line of metrics; the same on every rank.
  public var logsRanks: Bool {
    get { loop.logsRanks }
    set { loop.logsRanks = newValue }
  }

  /// What `config.yaml` of the run's folder holds: the options of a command that repeats the run; nil writes
  /// none.
  public var configuration: String?

  /// The ranks that train the network together.
  public var ranks: any Communicator { loop.ranks }
  /// What this rank's exchanges have cost so far; nil of one that has no others.
  public var communication: Communication? { communicated }

  let loop: LoopState<B>
  /// The parts of the text, and what is remembered of them; nil for other tasks.
  let texts: TextParts?
  /// What the parameters began with in place of what was drawn, until the beginning is saved.
  var initialWeights: InitialWeights?
  let pieces: BatchPieces
  /// The states that one step hands on to the next, of this rank's pieces; none where each sequence begins with
  /// zeros.
  let carriedStates: [RecurrentState<B.Buffer>]
  /// What the model remembers of one's own data.
  public let dataDescription: DataDescription?

  /// Begins a run with parameters drawn by the settings' seed.
  ///
  /// The end of the text is held out and tested on, as the settings say, but for what has a text of its own in
  /// `heldOut`. `vocabulary` holds the bytes of all texts, and others that the model is to know; nil takes those of
  /// the texts alone. Throws where the settings make no sense, a text is too short for them or has a byte
  /// that the vocabulary lacks, or the backend has no memory for the network.
  ///
  /// `initial` gives for the network what it begins with in place of what is drawn. With several `ranks` each
  /// makes a trainer of the same arguments on a backend of its own, and runs it.
  public convenience init(
    _ text: TrainingText, heldOut: HeldOutTexts = HeldOutTexts(), settings: TrainingSettings,
    vocabulary: ByteVocabulary? = nil, backend: B, ranks: any Communicator = Alone(),
    initial: (NetworkConfiguration) throws -> InitialWeights? = { _ in nil }
  ) throws {
    try self.init(
      text, heldOut, settings: settings,
      vocabulary: vocabulary ?? heldOut.vocabulary(with: text), backend: backend, ranks: ranks,
      resuming: nil, initial: initial)
  }

  /// Goes on with a run from its checkpoint `last.safetensors`.
  ///
  /// `text` and those of `heldOut` have to be the ones that the run began with. `bounds` replaces those of the run
  /// where it is not nil; schedules that end with the run then have another end. Throws where a text or the
  /// network is another, or a tensor is missing, of another shape or not finite.
  public convenience init(
    resuming checkpoint: Checkpoint, text: TrainingText, heldOut: HeldOutTexts = HeldOutTexts(),
    bounds: TrainingBounds? = nil, backend: B, ranks: any Communicator = Alone(),
    shardsOptimizer: Bool = false
  ) throws {
    let described = checkpoint.description
    try text.require(described.text, of: checkpoint)
    try heldOut.require(described.heldOut, of: checkpoint)
    var settings = described.settings
    if let bounds { settings.bounds = bounds }
    if shardsOptimizer { settings.shardOptimizer = true }
    try self.init(
      text, heldOut, settings: settings, vocabulary: checkpoint.vocabulary, backend: backend,
      ranks: ranks, resuming: checkpoint, initial: { _ in nil })
  }

  private convenience init(
    _ text: TrainingText, _ heldOut: HeldOutTexts, settings: TrainingSettings,
    vocabulary: ByteVocabulary, backend: B, ranks: any Communicator,
    resuming checkpoint: Checkpoint?,
    initial: (NetworkConfiguration) throws -> InitialWeights?
  ) throws {
    try settings.validate()
    try settings.validateForText()
    for text in [text] + heldOut.all where vocabulary != text.vocabulary {
      try vocabulary.check(text.content, source: text.name)
    }
    let configuration = NetworkConfiguration(
      vocabularySize: vocabulary.count, recurrent: settings.recurrent)
    try configuration.validateSize()
    let parts = try TextParts(text, heldOut, settings: settings, vocabulary: vocabulary)
    try self.init(
      .text, settings: settings, configuration, vocabulary: vocabulary, texts: parts,
      backend: backend, ranks: ranks, resuming: checkpoint, initial: initial
    ) { network, pieces in
      let work = try WindowWork(
        network, parts.training, pieces, checkpointSteps: settings.checkpointSteps,
        countsBytes: true)
      let evaluator = try parts.validation.map {
        try TextEvaluator(
          network, text: $0.content, vocabulary: vocabulary, limit: settings.validationBytes,
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
    vocabulary: ByteVocabulary = ByteVocabulary(of: []), texts: TextParts? = nil,
    data: DataDescription? = nil, backend: B, ranks: any Communicator,
    resuming checkpoint: Checkpoint?,
    initial: (NetworkConfiguration) throws -> InitialWeights?,
    parts: (Network<B>, BatchPieces) throws -> Parts
  ) throws {
    self.task = task
    self.vocabulary = vocabulary
    self.texts = texts
    dataDescription = data
    let ranks = ranks.count > 1 ? MeasuredRanks(ranks) : ranks
    pieces = try BatchPieces(settings, ranks: ranks)
    network =
      if let checkpoint {
        try checkpoint.makeNetwork(backend: backend)
      } else {
        try Network(configuration, backend: backend, seed: settings.seed)
      }
    initialWeights = checkpoint == nil ? try initial(configuration) : nil
    try initialWeights?.write(to: network.parameters)
    let (work, states, evaluator) = try parts(network, pieces)
    carriedStates = states
    loop = try LoopState(
      network.parameters, settings: settings, work: work, evaluator: evaluator,
      evaluatesFirst: false, ranks: ranks, isNew: checkpoint == nil)
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
    try train(in: folder, shouldStop, report)
  }

  /// Trains until a bound is met or patience is used up, and reports nothing on the way.
  public func run(in folder: RunFolder? = nil) throws -> TrainingResult {
    try run(in: folder) { _ in }
  }

  /// Whether a part of the data is held out, on which evaluations measure the network.
  public var holdsOut: Bool { loop.evaluator != nil }

  /// The bytes of a text that are learnt from, held out and tested on; nil for other tasks.
  public var byteCounts: (training: Int, validation: Int, test: Int)? {
    texts.map {
      ($0.training.text.count, $0.validation?.content.count ?? 0, $0.test?.content.count ?? 0)
    }
  }

  /// The texts of their own that the network is measured on; nil where there are none.
  package var heldOut: HeldOutTexts.Identity? { texts?.heldOut }

  /// What a loss in training says.
  public func trainingMetrics(_ loss: Double) -> TaskMetrics {
    task == .text
      ? TaskMetrics(lossPerByte: loss, bytesPerCharacter: texts?.bytesPerCharacter)
      : TaskMetrics(loss: loss)
  }

  /// What the loss of an evaluation says: of the held-out part, or of the training steps where nothing
  /// is held out.
  public func evaluationMetrics(_ loss: Double) -> TaskMetrics {
    guard task == .text, holdsOut else { return trainingMetrics(loss) }
    return TaskMetrics(lossPerByte: loss, bytesPerCharacter: texts?.validation?.bytesPerCharacter)
  }

  /// Computes with the weights that evaluations measure: the average where there is one.
  public func withEvaluatedWeights<Result>(_ body: () throws -> Result) throws -> Result {
    try withAverage(body)
  }

  func judge(_ measured: TaskMetrics) -> (found: TaskMetrics, kept: TaskMetrics?) {
    task.readsExamples ? (measured, measured) : (evaluationMetrics(measured.loss), nil)
  }

  func complete(_ line: inout TrainingMetrics, rate: Double) throws {
    if task == .text { line.bytesPerSecond = rate } else { line.sequencesPerSecond = rate }
    line.gradientNorms = try gradientProbe?(network)
  }

  func keepBest(in folder: RunFolder?) throws {
    if let folder { try save(to: folder.best, resumable: false, folder) }
  }
}
