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

  /// Measures how long an evaluation will take, once where the time of the run is bounded.
  ///
  /// Two passes of it are computed after the first step, the first of which compiles.
  func estimateEvaluation(_ shouldStop: () throws -> Bool) throws {
    guard settings.bounds.maxSeconds != nil, session.evaluatingSeconds == nil, let evaluator else {
      return
    }
    var times: [Double] = []
    let loss = try evaluator.measure {
      times.append(now())
      return try times.count == 3 || shouldStop()
    }
    if loss != nil { times.append(now()) }
    guard times.count > 1 else { return }
    session.evaluatingSeconds =
      (times[times.count - 1] - times[times.count - 2]) * Double(evaluator.passCount)
  }

  /// The seconds that one more step takes, with the evaluation and the saving that then end the run.
  var closingSeconds: Double {
    (session.stepSeconds ?? 0) + (session.evaluatingSeconds ?? 0) + 2 * session.savingSeconds
  }
}

extension Communicator {
  /// Which bound a run has met, by the clock of rank 0.
  func agree(on reason: TrainingResult.Reason?) throws -> TrainingResult.Reason? {
    let reasons: [TrainingResult.Reason] = [.epochs, .steps, .time, .patience]
    let number = try fromFirst(reason.flatMap { reasons.firstIndex(of: $0) } ?? -1)
    return number < 0 ? nil : reasons[number]
  }
}

extension Duration {
  /// The duration in seconds.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
