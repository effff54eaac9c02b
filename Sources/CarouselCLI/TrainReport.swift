import Carousel

/// How a run ended, as it goes to standard output.
struct TrainReport: Encodable {
  let run: String
  let device: String
  let stopped: TrainingResult.Reason
  let step: Int
  let epoch: Int
  let seconds: Double
  let charactersPerSecond: Double?
  let sequencesPerSecond: Double?
  let trainingLoss: Double?
  let validationLoss: Double?
  let bitsPerCharacter: Double?
  let best: Best?

  struct Best: Encodable {
    let step: Int
    let loss: Double
    let bitsPerCharacter: Double?
  }

  init(_ result: TrainingResult, task: TrainingTask, folder: RunFolder, device: String) {
    run = folder.path
    self.device = device
    stopped = result.reason
    step = result.position.step
    epoch = result.epoch
    seconds = result.position.seconds
    let isText = task == .text
    charactersPerSecond = isText ? result.rate : nil
    sequencesPerSecond = isText ? nil : result.rate
    trainingLoss = result.position.trainingLoss
    validationLoss = result.position.evaluation?.loss
    bitsPerCharacter = isText ? result.position.evaluation?.bitsPerCharacter : nil
    best = result.position.best.map {
      Best(
        step: $0.step, loss: $0.loss, bitsPerCharacter: isText ? $0.bitsPerCharacter : nil)
    }
  }

  /// The same for people.
  var text: String {
    var lines = ["\(run): \(step) steps, epoch \(epoch), \(seconds.timeText)"]
    if let best {
      let found =
        best.bitsPerCharacter.map { "\($0.text(decimals: 4)) bits per character" }
        ?? "a loss of \(best.loss.text(decimals: 5))"
      lines.append("best: \(found) after step \(best.step)")
    }
    return lines.joined(separator: "\n")
  }
}
