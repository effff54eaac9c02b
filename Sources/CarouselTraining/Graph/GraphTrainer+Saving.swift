import CarouselFormats
import CarouselModel
import Foundation

/// What a run of `GraphTrainer` saves: the trained parameters, the optimizer's moments, and in the entry
/// `carousel-graph` of the metadata, as JSON, the settings and how far it came.
public struct GraphCheckpoint: Sendable {
  /// The entry of the metadata.
  struct Description: Codable, Sendable {
    var settings: GraphTrainingSettings
    var dataHash: String, modelHash: String
    var position: TrainingPosition
    var computedOn: BackendRecord
    var metrics: [TrainingMetrics]
  }

  private static let key = "carousel-graph"
  let description: Description
  private let file: TensorFile

  /// How the run was trained.
  public var settings: GraphTrainingSettings { description.settings }

  /// Reads a checkpoint; throws where it is missing, damaged, or none of a graph.
  public init(contentsOf path: String) throws(CarouselError) {
    file = try TensorFile(path)
    guard let text = file.metadata[Self.key],
      let description = try? JSONDecoder().decode(Description.self, from: Data(text.utf8))
    else {
      throw CarouselError(
        .badData, "\(path): expected a checkpoint of 'carousel train graph', found something else")
    }
    self.description = description
    do {
      try description.settings.validate()
      try description.position.validate()
    } catch {
      throw CarouselError(.badData, "\(path): the description is wrong: \(error.message)")
    }
  }

  /// The tensor of this name; throws where it is missing or of another shape.
  func tensor(_ name: String, shape: Shape) throws(CarouselError) -> Tensor {
    guard let entry = file[name], entry.shape == shape else {
      throw CarouselError(
        .badData,
        "\(file.path): expected a tensor '\(name)' \(shape), found "
          + (file[name].map { "\($0.shape)" } ?? "none"))
    }
    return try file.tensor(entry)
  }

  /// All trained parameters.
  public func parameters() throws(CarouselError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for entry in file.entries where !entry.name.hasPrefix("optimizer.") {
      result[entry.name] = try file.tensor(entry)
    }
    return result
  }

  static func write(
    _ description: Description, _ tensors: [(name: String, tensor: Tensor)],
    elementType: ElementType, to path: String
  ) throws(CarouselError) {
    try SafetensorsFile(tensors, metadata: [key: JSON.encode(description)])
      .write(to: path, elementType: elementType)
  }
}

extension GraphTrainer {
  private var description: GraphCheckpoint.Description {
    GraphCheckpoint.Description(
      settings: settings, dataHash: data.hash, modelHash: modelHash, position: position,
      computedOn: backend.record,
      metrics: session.lines)
  }

  /// Prepares a folder for this run and opens its metrics.
  func begin(_ folder: RunFolder, _ report: (TrainingEvent) throws -> Void) throws {
    if isNew, position.step == 0 {
      try save(folder, report)
      try folder.removeResults()
    }
    try AtomicFile.write(
      JSON.encode(GraphTrainingSettings.Record(settings), pretty: true) + "\n", to: folder.settings)
    let known = session.lines.first?.step
    _ = try JSONLines.cut(folder.metrics, keeping: TrainingMetrics.self) { line in
      known.map { line.step < $0 } ?? (line.step <= position.step)
    }
    let log = try JSONLines(appendingTo: folder.metrics)
    for line in session.lines { try log.append(line) }
    self.log = log
  }

  func append(_ line: TrainingMetrics) throws {
    if session.lines.first?.step != line.step { session.lines = [] }
    session.lines.append(line)
    try log?.append(line)
  }

  /// Saves the parameters alone, as the best.
  func saveBest(_ folder: RunFolder) throws {
    try GraphCheckpoint.write(
      description, model.parameters.tensors(), elementType: backend.elementType, to: folder.best)
  }

  /// Saves all that a resumed run needs, behind the metrics that it counts on.
  func save(_ folder: RunFolder, _ report: (TrainingEvent) throws -> Void) throws {
    try log?.synchronize()
    let tensors = try model.parameters.tensors() + optimizer.tensors()
    for (name, tensor) in tensors where tensor.firstNonFinite(in: tensor.elementType) != nil {
      throw divergence(
        "the tensor '\(name)' holds a number that is not finite after step \(position.step)",
        folder)
    }
    try GraphCheckpoint.write(
      description, tensors, elementType: backend.elementType, to: folder.last)
    (session.savedStep, session.savedSeconds) = (position.step, now())
    try report(.saved(step: position.step))
  }

  /// Takes over what a run saved; throws where the data are no longer what they were.
  func load(_ checkpoint: GraphCheckpoint) throws {
    let known = checkpoint.description
    guard known.dataHash == data.hash else {
      throw CarouselError(
        .badData,
        "\(settings.data): expected the data that the run was trained on, with the hash "
          + "\(known.dataHash), found others with the hash \(data.hash)")
    }
    guard known.modelHash == modelHash else {
      throw CarouselError(
        .badData,
        "\(settings.model): expected the weights that the run began with, with the hash "
          + "\(known.modelHash), found others with the hash \(modelHash)")
    }
    var tensors: [String: Tensor] = [:]
    for parameter in model.parameters.descriptions {
      tensors[parameter.name] = try checkpoint.tensor(parameter.name, shape: parameter.shape)
    }
    try model.parameters.load(tensors, source: settings.model)
    try optimizer.load { name, shape in try checkpoint.tensor(name, shape: shape) }
    position = known.position
    session.lines = known.metrics
    session.savedStep = position.step
    earlierSeconds = position.seconds
  }

  // MARK: Progress

  /// The epoch of the last step, counted from 1.
  var epoch: Int { max(position.step - 1, 0) / data.training.count + 1 }

  /// The examples trained on per second in this session, evaluations left out.
  var rate: Double { session.seconds > 0 ? Double(session.steps) / session.seconds : 0 }

  var isSaveDue: Bool {
    guard position.step % settings.training.evaluateEvery != 0 else { return false }
    switch settings.training.saveEvery ?? .standard {
    case .steps(let count): return position.step % count == 0
    case .seconds(let seconds): return now() - session.savedSeconds >= seconds
    }
  }

  /// Which bound the run has met; nil where it goes on.
  var endReason: TrainingResult.Reason? {
    let bounds = settings.training.bounds
    if let patience = settings.training.patience, position.evaluationsSinceBest >= patience {
      return .patience
    }
    if let maxSteps = bounds.maxSteps, position.step >= maxSteps { return .steps }
    if let maxEpochs = bounds.maxEpochs, position.step / data.training.count >= maxEpochs {
      return .epochs
    }
    if let maxSeconds = bounds.maxSeconds, earlierSeconds + now() >= maxSeconds { return .time }
    return nil
  }

  /// How much of the run after the warm-up is over, as the schedule measures it.
  var scheduleFraction: Double {
    let training = settings.training
    if training.scheduleBy == .time {
      return position.seconds / (training.bounds.maxSeconds ?? .infinity)
    }
    guard let horizon = training.bounds.horizon(windowCount: data.training.count) else { return 0 }
    let warmup = training.schedule.warmupSteps
    return Double(position.step - warmup) / Double(max(horizon - warmup, 1))
  }

  /// How far the run is.
  var progress: TrainingProgress {
    let bounds = settings.training.bounds
    let horizon = bounds.horizon(windowCount: data.training.count)
    let byStep = horizon.map { Double(position.step) / Double($0) } ?? 0
    let byTime = bounds.maxSeconds.map { position.seconds / $0 } ?? 0
    let perStep = session.steps == 0 ? nil : session.seconds / Double(session.steps)
    let left = [
      horizon.flatMap { horizon in perStep.map { Double(horizon - position.step) * $0 } },
      bounds.maxSeconds.map { $0 - position.seconds },
    ].compactMap(\.self).min()
    return TrainingProgress(
      step: position.step, epoch: epoch, fraction: min(max(byStep, byTime), 1),
      secondsLeft: left.map { max($0, 0) }, loss: session.loss, rate: rate)
  }
}
