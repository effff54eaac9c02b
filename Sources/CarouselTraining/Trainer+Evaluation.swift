import CarouselModel

extension Trainer {
  /// Whether a part of the data is held out, on which evaluations measure the network.
  public var holdsOut: Bool { evaluator != nil }

  /// What a loss in training says.
  public func trainingMetrics(_ loss: Double) -> TaskMetrics {
    task == .text
      ? TaskMetrics(lossPerByte: loss, bytesPerCharacter: bytesPerCharacter.training)
      : TaskMetrics(loss: loss)
  }

  /// What the loss of an evaluation says: of the held-out part, or of the training steps where nothing
  /// is held out.
  public func evaluationMetrics(_ loss: Double) -> TaskMetrics {
    guard task == .text, holdsOut else { return trainingMetrics(loss) }
    return TaskMetrics(lossPerByte: loss, bytesPerCharacter: bytesPerCharacter.heldOut)
  }

  /// Evaluates, and saves what is best and what is last; false where it was asked to stop before.
  func evaluate(
    due: Bool, _ folder: RunFolder?, _ shouldStop: () throws -> Bool,
    _ report: (TrainingEvent) throws -> Void
  ) throws -> Bool {
    let line = try withEvaluatedWeights { try measure(due: due, folder, shouldStop, report) }
    guard let line else { return false }
    try saveLast(folder, report)
    try report(.evaluated(line, progress))
    return true
  }

  /// Computes with the weights that evaluations measure: the average where there is one.
  public func withEvaluatedWeights<Result>(_ body: () throws -> Result) throws -> Result {
    try average.map { try $0.inPlace(body) } ?? body()
  }

  /// Evaluates and saves what is best; nil where it was asked to stop before.
  private func measure(
    due: Bool, _ folder: RunFolder?, _ shouldStop: () throws -> Bool,
    _ report: (TrainingEvent) throws -> Void
  ) throws -> TrainingMetrics? {
    var line = TrainingMetrics(step: position.step, epoch: epoch, seconds: position.seconds)
    let loss: Double
    var found: TaskMetrics?
    if let evaluator {
      let began = now()
      var passes = 0
      let measured = try evaluator.measure {
        try report(.evaluating(Double(passes) / Double(max(evaluator.passCount, 1))))
        passes += 1
        return try shouldStop()
      }
      guard let measured else { return nil }
      session.evaluatingSeconds = now() - began
      loss = measured.loss
      found = task.readsExamples ? measured : evaluationMetrics(loss)
      line.take(found)
    } else {
      loss = position.evaluated.value ?? session.loss
    }
    guard loss.isFinite else {
      throw divergence("the validation loss became \(loss) after step \(position.step)", folder)
    }
    let isBest = position.record(loss, task.readsExamples ? found : nil, due: due)
    position.seconds = earlierSeconds + now()
    line.isBest = isBest
    try write(line)
    if isBest, let folder { try save(to: folder.best, resumable: false, folder) }
    return line
  }

  /// The error for numbers that are no longer finite.
  func divergence(_ event: String, _ folder: RunFolder?) -> CarouselError {
    let kept = folder.map { "; '\($0.last)' keeps the last good checkpoint" } ?? ""
    return CarouselError(
      .checkFailed, "training stopped because \(event), expected a finite number\(kept)")
  }
}
