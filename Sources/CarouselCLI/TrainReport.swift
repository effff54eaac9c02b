import Carousel

/// How a run ended, as it goes to standard output.
struct TrainReport: Encodable {
  let run: String
  let task: String
  let device: String
  /// The file that a trained graph comes back in.
  let model: String?
  /// The processes or threads that trained together, and into how many shards a batch was cut.
  let ranks: Int, shards: Int
  /// What the first rank's exchanges with the others cost.
  let communication: Communication?
  let stopped: TrainingResult.Reason
  let step: Int
  let epoch: Int
  let seconds: Double
  let bytesPerSecond: Double?
  let sequencesPerSecond: Double?
  private(set) var train: TaskMetrics?
  private(set) var validation: TaskMetrics?
  var test: TaskMetrics?
  let best: Best?
  /// The classes or tags in the order of a confusion's rows.
  private(set) var classes: [String]?

  /// The best evaluation: the step, and beside it the task's metrics.
  struct Best: Encodable {
    let step: Int
    let metrics: TaskMetrics

    private enum CodingKeys: CodingKey { case step }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(step, forKey: .step)
      try metrics.encode(to: encoder)
    }
  }

  init<B: Backend>(_ result: TrainingResult, of trainer: Trainer<B>, in folder: RunFolder) {
    run = folder.path
    task = trainer.task.rawValue
    device = trainer.network.backend.name
    model = nil
    (ranks, shards) = (trainer.ranks.count, trainer.settings.shards ?? 1)
    communication = trainer.communication
    stopped = result.reason
    (step, epoch, seconds) = (result.position.step, result.epoch, result.position.seconds)
    bytesPerSecond = trainer.task == .text ? result.rate : nil
    sequencesPerSecond = trainer.task == .text ? nil : result.rate
    train = result.position.trainingLoss.map(trainer.trainingMetrics)
    validation =
      trainer.holdsOut
      ? result.position.evaluation.map { trainer.evaluationMetrics($0.loss) } : nil
    best = result.position.best.map {
      Best(step: $0.step, metrics: $0.metrics ?? trainer.evaluationMetrics($0.loss))
    }
  }

  /// The same of a graph, which comes back in the file `model`.
  init<B: Backend>(
    _ result: TrainingResult, of trainer: GraphTrainer<B>, in folder: RunFolder, model: String
  ) {
    run = folder.path
    task = "graph"
    device = trainer.backend.name
    self.model = model
    (ranks, shards) = (trainer.ranks.count, trainer.settings.training.shards ?? 1)
    communication = trainer.communication
    stopped = result.reason
    (step, epoch, seconds) = (result.position.step, result.epoch, result.position.seconds)
    (bytesPerSecond, sequencesPerSecond) = (nil, result.rate)
    train = result.position.trainingLoss.map(TaskMetrics.init)
    best = result.position.best.map {
      Best(step: $0.step, metrics: TaskMetrics(loss: $0.loss))
    }
  }

  /// The same for people.
  var text: String {
    let lines = ["\(run): \(step) steps, epoch \(epoch), \(seconds.timeText)"]
    let isMeasured = train?.accuracy != nil || train?.forecast != nil || model != nil
    let parts =
      (isMeasured ? [("train", train), ("validation", validation)] : []) + [("test", test)]
    let place = model.map { ", in \($0)" } ?? ""
    return
      (lines + (best.map { ["best: \($0.metrics.text) after step \($0.step)\(place)"] } ?? []))
      .joined(separator: "\n")
      + parts.compactMap { name, metrics in metrics.map { "\n\(name): \($0.text)" } }.joined()
  }

  /// Takes over what the best model is worth.
  mutating func take(
    _ metrics: (train: TaskMetrics?, validation: TaskMetrics?, test: TaskMetrics?)?,
    classes: [String]?
  ) {
    self.classes = classes
    guard let metrics else { return }
    (train, validation, test) = metrics
  }

  /// The same of a graph.
  mutating func take(_ losses: (training: Double, validation: Double?, test: Double?)?) {
    guard let losses else { return }
    train = TaskMetrics(loss: losses.training)
    validation = losses.validation.map(TaskMetrics.init)
    test = losses.test.map(TaskMetrics.init)
  }
}
