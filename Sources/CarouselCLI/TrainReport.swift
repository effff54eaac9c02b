import Carousel

/// How a run ended, as it goes to standard output.
struct TrainReport: Encodable {
  let run: String
  let task: TrainingTask
  let device: String
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
  private(set) var test: TaskMetrics?
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
    task = trainer.task
    device = trainer.network.backend.name
    (ranks, shards) = (trainer.ranks.count, trainer.settings.shards ?? 1)
    communication = trainer.communication
    stopped = result.reason
    step = result.position.step
    epoch = result.epoch
    seconds = result.position.seconds
    bytesPerSecond = task == .text ? result.rate : nil
    sequencesPerSecond = task == .text ? nil : result.rate
    train = result.position.trainingLoss.map(trainer.trainingMetrics)
    validation =
      trainer.holdsOut
      ? result.position.evaluation.map { trainer.evaluationMetrics($0.loss) } : nil
    best = result.position.best.map {
      Best(step: $0.step, metrics: $0.metrics ?? trainer.evaluationMetrics($0.loss))
    }
  }

  /// The same for people.
  var text: String {
    let lines = ["\(run): \(step) steps, epoch \(epoch), \(seconds.timeText)"]
    let parts = [("train", train), ("validation", validation), ("test", test)]
    let isMeasured = train?.accuracy != nil || train?.forecast != nil
    return (lines + (best.map { ["best: \($0.metrics.text) after step \($0.step)"] } ?? []))
      .joined(separator: "\n")
      + (isMeasured
        ? parts.compactMap { name, metrics in metrics.map { "\n\(name): \($0.text)" } }.joined()
        : "")
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
}
