import CarouselModel

extension TrainingLoop {
  /// Evaluates, and saves what is best and what is last; false where it was asked to stop before.
  func evaluate(
    due: Bool, _ folder: RunFolder?, _ shouldStop: () throws -> Bool,
    _ report: (TrainingEvent) throws -> Void
  ) throws -> Bool {
    // Before the first step there is nothing to go by but what is held out.
    guard loop.evaluator != nil || loop.position.step > 0 else { return true }
    let line = try withAverage { try measure(due: due, folder, shouldStop, report) }
    guard let line else { return false }
    try saveLast(folder, report)
    try report(.evaluated(line, progress))
    return true
  }

  /// Computes with the weights that evaluations measure: the average where there is one.
  func withAverage<Result>(_ body: () throws -> Result) throws -> Result {
    try loop.average.map { try $0.inPlace(body) } ?? body()
  }

  /// Evaluates and saves what is best; nil where it was asked to stop before.
  private func measure(
    due: Bool, _ folder: RunFolder?, _ shouldStop: () throws -> Bool,
    _ report: (TrainingEvent) throws -> Void
  ) throws -> TrainingMetrics? {
    let step = loop.position.step
    var line = TrainingMetrics(step: step, epoch: epoch, seconds: loop.position.seconds)
    let loss: Double
    var kept: TaskMetrics?
    if let evaluator = loop.evaluator {
      let began = loop.now()
      var passes = 0
      let measured = try evaluator.measure {
        try report(.evaluating(Double(passes) / Double(max(evaluator.passCount, 1))))
        passes += 1
        return try shouldStop()
      }
      guard let measured else { return nil }
      loop.session.evaluatingSeconds = loop.now() - began
      loss = measured.loss
      let judged = judge(measured)
      line.take(judged.found)
      kept = judged.kept
    } else {
      loss = loop.position.evaluated.value ?? loop.session.loss
    }
    guard loss.isFinite else {
      throw divergence("the validation loss became \(loss) after step \(step)", folder)
    }
    let isBest = loop.position.record(loss, kept, due: due)
    loop.position.seconds = loop.earlierSeconds + loop.now()
    line.isBest = isBest
    try write(line)
    if isBest { try keepBest(in: folder) }
    return line
  }

  /// Measures how long an evaluation will take, once where the time of the run is bounded.
  ///
  /// Two passes of it are computed after the first step, the first of which compiles.
  func estimateEvaluation(_ shouldStop: () throws -> Bool) throws {
    guard loop.settings.bounds.maxSeconds != nil, loop.session.evaluatingSeconds == nil,
      let evaluator = loop.evaluator
    else { return }
    var times: [Double] = []
    let loss = try evaluator.measure {
      times.append(loop.now())
      return try times.count == 3 || shouldStop()
    }
    if loss != nil { times.append(loop.now()) }
    guard times.count > 1 else { return }
    loop.session.evaluatingSeconds =
      (times[times.count - 1] - times[times.count - 2]) * Double(evaluator.passCount)
  }

  // MARK: Progress

  /// The epoch of the last step, counted from 1.
  var epoch: Int { loop.position.epoch(loop.work.epochSteps) }

  var isEvaluationDue: Bool {
    loop.settings.isEvaluationDue(loop.position)
      || loop.evaluatesFirst && loop.position.step == 0
  }

  /// Which bound the run has met; nil where it goes on.
  var endReason: TrainingResult.Reason? {
    loop.settings.endReason(
      loop.position, epochSteps: loop.work.epochSteps, closingSeconds: closingSeconds)
  }

  /// The seconds that one more step takes, with the evaluation and the saving that then end the run.
  private var closingSeconds: Double {
    let session = loop.session
    return (session.stepSeconds ?? 0) + (session.evaluatingSeconds ?? 0) + 2 * session.savingSeconds
  }

  /// How much of the run after the warm-up is over, as the schedule measures it.
  var scheduleFraction: Double {
    loop.settings.scheduleFraction(loop.position, epochSteps: loop.work.epochSteps)
  }

  /// The same, by the clock of rank 0 where it goes by time.
  func agreedScheduleFraction() throws -> Double {
    loop.settings.scheduleBy == .time
      ? try loop.ranks.fromFirst(scheduleFraction) : scheduleFraction
  }

  /// How far the run is.
  var progress: TrainingProgress {
    let session = loop.session
    return loop.settings.progress(
      loop.position, epochSteps: loop.work.epochSteps,
      stepSeconds: session.steps == 0 ? nil : session.seconds / Double(session.steps),
      loss: session.loss, rate: rate(seconds: session.seconds, steps: session.steps))
  }

  /// The bytes of a text trained on per second, or the sequences of other tasks.
  func rate(seconds: Double, steps: Int) -> Double {
    seconds > 0 ? Double(steps * loop.work.unitsPerStep) / seconds : 0
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
