import Carousel
import Foundation

/// The progress of a run on standard error: a bar on a terminal, plain lines otherwise.
struct TrainProgressDisplay: Sendable {
  private let task: TrainingTask

  init(_ task: TrainingTask) { self.task = task }

  /// Says what is about to be trained.
  func begin<B: Backend>(
    _ trainer: Trainer<B>, _ examples: TrainingExamples?, in folder: RunFolder
  ) {
    let data =
      examples?.summary
      ?? (task == .text
        ? "\(trainer.vocabulary.count) bytes in the vocabulary" : "the task \(task.rawValue)")
    Output.note(
      "\(folder.path): \(data), "
        + "\(trainer.network.parameters.descriptions.reduce(0) { $0 + $1.shape.count }) parameters, "
        + "\(counted(trainer.epochSteps, "step")) an epoch, on \(trainer.network.backend.name)"
        + (trainer.ranks.count > 1
          ? ", \(trainer.ranks.count) ranks of \(trainer.settings.shards ?? 1) shards" : ""))
    Progress.show(Status("preparing the first step"))
  }

  /// Shows an event.
  func show(_ event: TrainingEvent) {
    switch event {
    case .stepped(let progress): Progress.show(status(progress))
    case .logged(let metrics, let progress):
      if !Terminal.canRedraw { Output.note(line(metrics, progress)) }
    case .evaluating(let share):
      Progress.show(Status("validating, \(Int(share * 100))%", fraction: share))
    case .evaluated(let metrics, _):
      Output.note(line(metrics))
      Progress.show(Status("saving"))
    case .ranks(let step, let ranks):
      for rank in ranks {
        Output.note(
          "step \(step)  rank \(rank.rank) on \(rank.place)  \(rate(rank.rate)) alone, "
            + "\(Int((rank.communicationShare * 100).rounded()))% of its time in exchanges")
      }
    case .saved, .warned: break
    }
  }

  /// Says how long a run on the reference takes, where that is more than a minute.
  func warnOfTheReference(_ progress: TrainingProgress) {
    guard let seconds = progress.secondsLeft, seconds > 60 else { return }
    Output.note(
      "carousel: warning: the reference checks numbers and is slow: at \(rate(progress.rate)) this run "
        + "takes \(seconds.timeText); any OpenCL device, a CPU too, is many times as fast")
  }

  private func status(_ progress: TrainingProgress) -> Status {
    var status = Status(
      "\(Int(progress.fraction * 100))%", "step \(progress.step)",
      "loss \(progress.loss.text(decimals: 3))", fraction: progress.fraction)
    if let seconds = progress.secondsLeft { status.words.append("\(seconds.timeText) left") }
    status.words += [rate(progress.rate), "epoch \(progress.epoch)"]
    status.countsSeconds = false
    return status
  }

  private func line(_ metrics: TrainingMetrics, _ progress: TrainingProgress) -> String {
    "step \(metrics.step)  epoch \(metrics.epoch)  "
      + "loss \((metrics.trainingLoss ?? progress.loss).text(decimals: 4))  "
      + rate(metrics.bytesPerSecond ?? metrics.sequencesPerSecond ?? 0) + left(progress)
  }

  private func line(_ metrics: TrainingMetrics) -> String {
    let found =
      metrics.bitsPerByte.map { "held out: \(bitsText($0, metrics.bitsPerCharacter))" }
      ?? metrics.validationLoss.map { "held out: " + TaskMetrics.text($0, metrics) } ?? "saved"
    // 80 columns hold the bits of a text to step 999,999.
    return "step \(metrics.step)  \(found)" + (metrics.isBest == true ? ", best" : "")
  }

  private func rate(_ perSecond: Double) -> String {
    task == .text
      ? "\((perSecond / 1000).text(decimals: 1)) kB/s"
      : "\(perSecond.text(decimals: 0)) sequences/s"
  }

  private func left(_ progress: TrainingProgress) -> String {
    progress.secondsLeft.map { "  \($0.timeText) left" } ?? ""
  }
}

/// Bits per byte, and of a text in UTF-8 bits per character.
func bitsText(_ perByte: Double, _ perCharacter: Double?) -> String {
  "\(perByte.text(decimals: 4)) bits per byte"
    + (perCharacter.map { ", \($0.text(decimals: 4)) bits per character" } ?? "")
}

extension TaskMetrics {
  /// The metrics for people.
  var text: String {
    if let bitsPerByte { return bitsText(bitsPerByte, bitsPerCharacter) }
    let others = [
      ("accuracy", accuracy), ("macro F1", macroF1), ("span F1", spanF1),
      ("most frequent tag", mostFrequentTag), ("MAE", forecast?.mae), ("RMSE", forecast?.rmse),
      ("MASE", forecast?.mase), ("sMAPE", forecast?.smape),
      ("persistence's MAE", persistence?.mae), ("seasonal persistence's", seasonalPersistence?.mae),
      ("coverage", coverage),
    ].compactMap { name, value in value.map { "\(name) \($0.text(decimals: 4))" } }
    return (["a loss of \(loss.text(decimals: 5))"] + others).joined(separator: ", ")
  }

  /// What an evaluation on the way found.
  fileprivate static func text(_ loss: Double, _ line: TrainingMetrics) -> String {
    var metrics = TaskMetrics(loss: loss)
    (metrics.accuracy, metrics.spanF1) = (line.accuracy, line.spanF1)
    let mae = line.mae.map { ", MAE \($0.text(decimals: 4))" } ?? ""
    return metrics.text + mae
  }
}

extension Double {
  /// The number with a fixed count of decimals.
  func text(decimals: Int) -> String { String(format: "%.\(decimals)f", self) }

  /// Seconds as people say them: `42 s`, `3 min 05 s`, `2 h 10 min`.
  var timeText: String {
    let seconds = Int(min(self, 1e9).rounded())
    if seconds < 60 { return "\(seconds) s" }
    if seconds < 3600 { return String(format: "%d min %02d s", seconds / 60, seconds % 60) }
    return String(format: "%d h %02d min", seconds / 3600, seconds / 60 % 60)
  }
}
