import CarouselFormats
import CarouselModel

extension Trainer {
  /// Writes a line of metrics and remembers it for the next checkpoint.
  func write(_ line: TrainingMetrics) throws {
    if session.lines.first?.step != line.step { session.lines = [] }
    session.lines.append(line)
    try log?.append(line)
  }

  /// Whether a checkpoint is due beside those of evaluations.
  var isSaveDue: Bool {
    guard !isEvaluationDue else { return false }
    switch saveEvery {
    case .steps(let count): return position.step % count == 0
    case .seconds(let seconds): return now() - (session.saved?.seconds ?? 0) >= seconds
    }
  }

  /// Saves all that a resumed run needs, behind the metrics that it counts on.
  func saveLast(_ folder: RunFolder?, _ report: (TrainingEvent) throws -> Void) throws {
    guard let folder else { return }
    let began = now()
    try log?.synchronize()
    try save(to: folder.last, resumable: true, folder)
    session.saved = (position, now())
    session.savingSeconds = now() - began
    try report(.saved(step: position.step))
  }

  /// Measures how long an evaluation will take, once where the time of the run is bounded.
  ///
  /// Two passes of it are computed after the first step, the first of which compiles.
  func estimateEvaluation(_ shouldStop: () -> Bool) throws {
    guard settings.bounds.maxSeconds != nil, session.evaluatingSeconds == nil, let evaluator else {
      return
    }
    var times: [Double] = []
    let loss = try evaluator.measure {
      times.append(now())
      return times.count == 3 || shouldStop()
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
