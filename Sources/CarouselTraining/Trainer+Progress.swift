import CarouselModel

extension Trainer {
  /// The steps of an epoch.
  public var epochSteps: Int { work.epochSteps }

  /// The epoch of the last step, counted from 1.
  var epoch: Int { max(position.step - 1, 0) / epochSteps + 1 }

  var isEvaluationDue: Bool {
    position.step > 0 && position.step % settings.evaluateEvery == 0
  }

  /// Which bound the run has met; nil where it goes on.
  var endReason: TrainingResult.Reason? {
    let bounds = settings.bounds
    if let patience = settings.patience, position.evaluationsSinceBest >= patience {
      return .patience
    }
    if let maxSteps = bounds.maxSteps, position.step >= maxSteps { return .steps }
    if let maxEpochs = bounds.maxEpochs, position.step / epochSteps >= maxEpochs {
      return .epochs
    }
    if let maxSeconds = bounds.maxSeconds,
      position.seconds >= maxSeconds || position.seconds + closingSeconds > maxSeconds
    {
      return .time
    }
    return nil
  }

  /// How much of the run after the warm-up is over, as the schedule measures it.
  var scheduleFraction: Double {
    switch settings.scheduleBy {
    case .time:
      return position.seconds / (settings.bounds.maxSeconds ?? .infinity)
    case .steps:
      guard let horizon = settings.bounds.horizon(windowCount: epochSteps) else {
        return 0
      }
      let warmup = settings.schedule.warmupSteps
      return Double(position.step - warmup) / Double(max(horizon - warmup, 1))
    }
  }

  /// How far the run is.
  var progress: TrainingProgress {
    let horizon = settings.bounds.horizon(windowCount: epochSteps)
    let byStep = horizon.map { Double(position.step) / Double($0) } ?? 0
    let byTime = settings.bounds.maxSeconds.map { position.seconds / $0 } ?? 0
    let perStep = session.steps == 0 ? nil : session.seconds / Double(session.steps)
    let left = [
      horizon.flatMap { horizon in perStep.map { Double(horizon - position.step) * $0 } },
      settings.bounds.maxSeconds.map { $0 - position.seconds },
    ].compactMap(\.self).min()
    return TrainingProgress(
      step: position.step, epoch: epoch, fraction: min(max(byStep, byTime), 1),
      secondsLeft: left.map { max($0, 0) }, loss: session.loss,
      rate: rate(seconds: session.seconds, steps: session.steps))
  }

  /// The bytes of a text trained on per second, or the sequences of other tasks.
  func rate(seconds: Double, steps: Int) -> Double {
    seconds > 0 ? Double(steps * work.unitsPerStep) / seconds : 0
  }
}

extension Duration {
  /// The duration in seconds.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
