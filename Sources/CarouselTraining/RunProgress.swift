import CarouselModel

// How far a run is by its bounds, whatever it trains.
extension TrainingSettings {
  /// Whether an evaluation is due after the steps so far.
  func isEvaluationDue(_ position: TrainingPosition) -> Bool {
    position.step > 0 && position.step % evaluateEvery == 0
  }

  /// Whether a checkpoint is due beside those of evaluations, the last one being `age` seconds old.
  func isSaveDue(_ position: TrainingPosition, age: Double) -> Bool {
    guard !isEvaluationDue(position) else { return false }
    switch saveEvery ?? .standard {
    case .steps(let count): return position.step % count == 0
    case .seconds(let seconds): return age >= seconds
    }
  }

  /// Which bound a run has met; nil where it goes on.
  ///
  /// `closingSeconds` are those that one more step takes, with what then ends the run.
  func endReason(
    _ position: TrainingPosition, epochSteps: Int, closingSeconds: Double = 0
  ) -> TrainingResult.Reason? {
    if let patience, position.evaluationsSinceBest >= patience { return .patience }
    if let maxSteps = bounds.maxSteps, position.step >= maxSteps { return .steps }
    if let maxEpochs = bounds.maxEpochs, position.step / epochSteps >= maxEpochs { return .epochs }
    if let maxSeconds = bounds.maxSeconds,
      position.seconds >= maxSeconds || position.seconds + closingSeconds > maxSeconds
    {
      return .time
    }
    return nil
  }

  /// How much of a run after the warm-up is over, as the schedule measures it.
  func scheduleFraction(_ position: TrainingPosition, epochSteps: Int) -> Double {
    switch scheduleBy {
    case .time: return position.seconds / (bounds.maxSeconds ?? .infinity)
    case .steps:
      guard let horizon = bounds.horizon(windowCount: epochSteps) else { return 0 }
      let warmup = schedule.warmupSteps
      return Double(position.step - warmup) / Double(max(horizon - warmup, 1))
    }
  }

  /// How far a run is.
  ///
  /// `stepSeconds` are those of a step in this session, nil before the first; `loss` and `rate` are the
  /// session's.
  func progress(
    _ position: TrainingPosition, epochSteps: Int, stepSeconds: Double?, loss: Double, rate: Double
  ) -> TrainingProgress {
    let horizon = bounds.horizon(windowCount: epochSteps)
    let byStep = horizon.map { Double(position.step) / Double($0) } ?? 0
    let byTime = bounds.maxSeconds.map { position.seconds / $0 } ?? 0
    let left = [
      horizon.flatMap { horizon in stepSeconds.map { Double(horizon - position.step) * $0 } },
      bounds.maxSeconds.map { $0 - position.seconds },
    ].compactMap(\.self).min()
    return TrainingProgress(
      step: position.step, epoch: position.epoch(epochSteps),
      fraction: min(max(byStep, byTime), 1), secondsLeft: left.map { max($0, 0) }, loss: loss,
      rate: rate)
  }
}

extension TrainingPosition {
  /// The epoch of the last step, counted from 1.
  func epoch(_ epochSteps: Int) -> Int { max(step - 1, 0) / epochSteps + 1 }
}
