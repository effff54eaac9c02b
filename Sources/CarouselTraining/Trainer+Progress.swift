import CarouselModel

extension Trainer {
  /// The steps of an epoch.
  public var epochSteps: Int { work.epochSteps }

  /// The epoch of the last step, counted from 1.
  var epoch: Int { position.epoch(epochSteps) }

  var isEvaluationDue: Bool { settings.isEvaluationDue(position) }

  /// Which bound the run has met; nil where it goes on.
  var endReason: TrainingResult.Reason? {
    settings.endReason(position, epochSteps: epochSteps, closingSeconds: closingSeconds)
  }

  /// The same on every rank: by the clock of rank 0.
  func agreedEndReason() throws -> TrainingResult.Reason? {
    let reasons: [TrainingResult.Reason] = [.epochs, .steps, .time, .patience]
    let number = try ranks.fromFirst(endReason.flatMap { reasons.firstIndex(of: $0) } ?? -1)
    return number < 0 ? nil : reasons[number]
  }

  /// `scheduleFraction`, by the clock of rank 0 where it goes by time.
  func agreedScheduleFraction() throws -> Double {
    settings.scheduleBy == .time ? try ranks.fromFirst(scheduleFraction) : scheduleFraction
  }

  /// How much of the run after the warm-up is over, as the schedule measures it.
  var scheduleFraction: Double { settings.scheduleFraction(position, epochSteps: epochSteps) }

  /// How far the run is.
  var progress: TrainingProgress {
    settings.progress(
      position, epochSteps: epochSteps,
      stepSeconds: session.steps == 0 ? nil : session.seconds / Double(session.steps),
      loss: session.loss, rate: rate(seconds: session.seconds, steps: session.steps))
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
