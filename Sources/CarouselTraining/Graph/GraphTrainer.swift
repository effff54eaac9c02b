import CarouselFormats
import CarouselModel

/// Trains a graph further: one example of the data at each step, the loss by automatic differentiation.
///
/// All that a step needs is a function of the settings and of how many steps were taken before, so that a
/// resumed run computes the same bits as one that was never interrupted. What is held out is measured
/// before the first step too: where nothing gets better, the best model is the one that came.
public final class GraphTrainer<B: Backend> {
  /// How the graph is trained.
  public var settings: GraphTrainingSettings
  /// How far the training has come.
  public internal(set) var position = TrainingPosition()
  /// The examples to learn from, those held out, and those of the test.
  public let counts: (training: Int, validation: Int, test: Int)
  /// The names of the trained parameters, and how many elements they have together.
  public var trainedNames: [String] { model.parameters.descriptions.map(\.name) }
  /// Their elements.
  public var trainedElements: Int {
    model.parameters.descriptions.reduce(0) { $0 + $1.shape.count }
  }
  /// What computes.
  public var backend: B { model.backend }

  let model: GraphModel<B>
  let optimizer: OptimizerState<B>
  let data: GraphTrainingData
  let isNew: Bool
  /// A hash of the parameters that the run began with.
  let modelHash: String
  private let pass: GraphPass<B>, evaluation: GraphPass<B>
  private let plan: BatchPlan
  /// The seconds of this session; tests set a clock of their own.
  var now: () -> Double = {
    let start = ContinuousClock.now
    return { start.duration(to: .now).seconds }
  }()
  var earlierSeconds = 0.0
  var session = GraphSession()
  var log: JSONLines?

  /// Begins a run with the parameters of a graph, or goes on with one from what it saved.
  ///
  /// - Parameters:
  ///   - data: the examples, and the graph that they train.
  ///   - parameters: the values of all parameters of the graph.
  ///   - settings: how to train; `settings.selection` chooses the parameters.
  ///   - checkpoint: what a run saved; its settings are taken but for the bounds.
  ///   - backend: what computes.
  /// - Throws: where the settings make no sense, the data do not fit the graph, naming the node, or the
  ///   device fails.
  public init(
    _ data: GraphTrainingData, parameters: [String: Tensor],
    settings: GraphTrainingSettings, resuming checkpoint: GraphCheckpoint? = nil, backend: B
  ) throws {
    try settings.validate()
    self.settings = settings
    self.data = data
    isNew = checkpoint == nil
    let (selected, factors) = try settings.selection.apply(
      to: data.graph, learningRate: settings.training.schedule.peak)
    modelHash = Self.hash(of: parameters)
    model = try GraphModel(selected, backend: backend)
    try model.load(parameters, source: settings.model)
    let (shapes, constants) = (data.examples.shapes, data.examples.constants)
    do {
      pass = try model.pass(shapes: shapes, constants: constants, training: true)
      evaluation = try model.pass(shapes: shapes, constants: constants)
    } catch let error as CarouselError where error.kind == .badData {
      throw CarouselError(.badData, "\(settings.model): \(error.message)")
    }
    for pass in [pass, evaluation] {
      for (name, tensor) in data.examples.shared where tensor.type.isReal {
        try pass.write(tensor, to: name)
      }
    }
    optimizer = try OptimizerState(
      settings.training.optimizer.optimizer, store: model.parameters, factors: factors)
    plan = BatchPlan(
      lengths: [Int](repeating: 1, count: data.training.count), batchSize: 1,
      seed: settings.training.seed)
    counts = (data.training.count, data.validation.count, data.test?.count ?? 0)
    if let checkpoint { try load(checkpoint) }
  }

  /// Trains until a bound is met, patience is used up or `shouldStop` becomes true.
  ///
  /// Checkpoints and metrics go to `folder`, which holds no other run; `write` writes the model with the
  /// given parameters to `model.onnx` in it. nil keeps nothing. Throws `checkFailed` where the loss is no
  /// longer finite, and `writeFailed`.
  public func run(
    in folder: RunFolder? = nil, shouldStop: () -> Bool = { false },
    write: ([String: Tensor]) throws -> Void = { _ in },
    report: (TrainingEvent) throws -> Void = { _ in }
  ) throws -> TrainingResult {
    let folder = try folder?.owned()
    if let folder { try begin(folder, report) }
    var reason = TrainingResult.Reason?.none
    while reason == nil {
      if position.step % settings.training.evaluateEvery == 0,
        position.evaluation?.step != position.step
      {
        guard try evaluate(due: position.step > 0, folder, shouldStop, write, report) else { break }
      }
      reason = endReason
      if reason == nil {
        if shouldStop() { break }
        try takeStep(folder)
        try report(.stepped(progress))
        try logIfDue(report)
        if isSaveDue, let folder { try save(folder, report) }
      }
    }
    if reason != nil, position.evaluation?.step != position.step {
      if try !evaluate(due: false, folder, shouldStop, write, report) { reason = nil }
    }
    if let folder, session.savedStep != position.step { try save(folder, report) }
    return TrainingResult(
      reason: reason ?? .interrupted, position: position, epoch: epoch, rate: rate)
  }

  /// The mean loss of the parts of the data under the best parameters; `best` gives them.
  ///
  /// nil where `shouldStop` became true meanwhile.
  public func finalLosses(
    best: [String: Tensor], shouldStop: () -> Bool = { false }
  ) throws -> (training: Double, validation: Double?, test: Double?)? {
    try model.parameters.load(best, source: settings.model)
    guard let training = try loss(of: data.training, in: data.examples, shouldStop) else {
      return nil
    }
    var validation: Double?
    var test: Double?
    if !data.validation.isEmpty {
      validation = try loss(of: data.validation, in: data.heldOut, shouldStop)
      if validation == nil { return nil }
    }
    if let examples = data.test {
      test = try loss(of: Array(0..<examples.count), in: examples, shouldStop)
      if test == nil { return nil }
    }
    return (training, validation, test)
  }

  private static func hash(of parameters: [String: Tensor]) -> String {
    var hash = DataHash()
    for (name, tensor) in parameters.sorted(by: { $0.key < $1.key }) {
      hash.add([name])
      for value in tensor.values { hash.add(value.bitPattern) }
    }
    return hash.text
  }

  // MARK: Steps

  private func takeStep(_ folder: RunFolder?) throws {
    let began = now()
    let training = settings.training
    let learningRate = training.schedule.learningRate(
      step: position.step, fraction: scheduleFraction)
    let example = data.training[plan.batch(position.step).examples[0]]
    try pass.forward(
      data.examples.example(example), dropoutSeed: (seed: training.seed, step: position.step))
    try pass.backward()
    try optimizer.queueStep(
      position.step + 1, learningRate: learningRate, clipNorm: training.clipNorm)
    let loss = try pass.loss()
    guard loss.isFinite else {
      throw divergence("the loss became \(loss) in step \(position.step + 1)", folder)
    }
    position.step += 1
    position.logged.add(loss)
    position.evaluated.add(loss)
    position.seconds = earlierSeconds + now()
    session.loss = loss
    session.learningRate = learningRate
    session.steps += 1
    session.seconds += now() - began
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
  }

  /// Measures what is held out, and saves what is best and what is last; false where it was asked to stop.
  private func evaluate(
    due: Bool, _ folder: RunFolder?, _ shouldStop: () -> Bool,
    _ write: ([String: Tensor]) throws -> Void, _ report: (TrainingEvent) throws -> Void
  ) throws -> Bool {
    var line = TrainingMetrics(step: position.step, epoch: epoch, seconds: position.seconds)
    let loss: Double
    if data.validation.isEmpty {
      // Before the first step there is nothing to go by.
      guard let mean = position.evaluated.value else { return true }
      loss = mean
    } else {
      var done = 0
      let found = try self.loss(of: data.validation, in: data.heldOut) {
        try? report(.evaluating(Double(done) / Double(data.validation.count)))
        done += 1
        return shouldStop()
      }
      guard let found else { return false }
      loss = found
      line.validationLoss = found
    }
    guard loss.isFinite else {
      throw divergence("the validation loss became \(loss) after step \(position.step)", folder)
    }
    let isBest = position.record(loss, due: due)
    position.seconds = earlierSeconds + now()
    line.isBest = isBest
    try append(line)
    if let folder {
      if isBest {
        try saveBest(folder)
        try write(
          Dictionary(uniqueKeysWithValues: model.parameters.tensors().map { ($0.name, $0.tensor) }))
      }
      try save(folder, report)
    }
    try report(.evaluated(line, progress))
    return true
  }

  private func loss(
    of indices: [Int], in examples: GraphExamples, _ shouldStop: () -> Bool
  ) throws -> Double? {
    var sum = 0.0
    for index in indices {
      if shouldStop() { return nil }
      try evaluation.forward(examples.example(index))
      sum += try evaluation.loss()
    }
    return sum / Double(max(indices.count, 1))
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
  var loss = 0.0
  var learningRate = 0.0
  var lines: [TrainingMetrics] = []
  var savedStep: Int?
  var savedSeconds = 0.0
}
