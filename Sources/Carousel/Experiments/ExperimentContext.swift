import CarouselModel
import CarouselTraining
import Foundation

/// What all experiments share: the backend, the budget, and the loop that trains.
final class ExperimentContext<B: Backend> {
  let experiment: Experiment
  let settings: ExperimentSettings
  let backend: B
  private let monitor: ExperimentMonitor
  private let start = ContinuousClock.now
  private var done = 0.0, planned = 1.0
  private var words = ""
  /// Why the experiment ended.
  private(set) var end = ExperimentResult.End.complete

  /// Ends the measurements, whatever they are.
  private struct Stop: Error {}

  init(
    experiment: Experiment, settings: ExperimentSettings, backend: B, monitor: ExperimentMonitor
  ) {
    self.experiment = experiment
    self.settings = settings
    self.backend = backend
    self.monitor = monitor
  }

  /// The cells to compare.
  var cells: [Cell] { settings.cells ?? experiment.standardCells }

  /// H: what was asked for, or the experiment's own.
  func hiddenSize(_ standard: Int) -> Int { settings.hiddenSize ?? standard }

  /// T: what was asked for, or the experiment's own.
  func sequenceLength(_ standard: Int) -> Int { settings.sequenceLength ?? standard }

  /// The seconds since the experiment began.
  var seconds: Double { start.duration(to: .now) / .seconds(1) }

  /// As many training steps as the budget allows where the standard one allows `count` for each of three
  /// seeds: a function of the settings alone, so that results can be repeated.
  func updates(_ count: Int) -> Int {
    let share = settings.budgetSeconds / ExperimentSettings.standardBudgetSeconds
    return max(Int((Double(count) * share * 3 / Double(settings.seeds)).rounded()), 1)
  }

  /// Runs measurements, of which `planned` units of work are announced by `advance`, and keeps what they
  /// noted when they are stopped.
  func measure(_ planned: Int, _ measurements: () throws -> Void) throws {
    self.planned = Double(max(planned, 1))
    do { try measurements() } catch is Stop {}
  }

  /// Measures every case with every seed, a unit of work each; all cases with a seed before the next seed, so
  /// that a budget that is too small leaves no case out.
  func measure<Case>(
    _ cases: inout [Case], _ measurement: (inout Case, _ seed: UInt64) throws -> Void
  ) throws {
    let seeds = settings.allSeeds
    try measure(cases.count * seeds.count) {
      for seed in seeds {
        for index in cases.indices { try measurement(&cases[index], seed) }
      }
    }
  }

  /// Says what is measured next; stops where the time is up.
  func begin(_ words: String) throws {
    self.words = words
    try check()
    report(0)
  }

  /// Notes that a unit of work is done.
  func advance(_ units: Int = 1) { done += Double(units) }

  /// Stops the experiment when its time is up or its monitor asks for it.
  func check() throws { if isOver { throw Stop() } }

  private var isOver: Bool {
    if monitor.shouldStop() {
      end = .interrupted
    } else if seconds > settings.budgetSeconds {
      end = .budget
    }
    return end != .complete
  }

  private func report(_ part: Double) {
    monitor.report(.init(words: words, fraction: min((done + part) / planned, 1)))
  }

  /// Trains to the end of the trainer's bounds, or until `isSolved` is true of an evaluation, as one unit of
  /// work; returns the evaluations and the lines of metrics.
  ///
  /// Throws where the experiment is stopped. A loss that is no longer finite ends the training, and is
  /// said by `diverged`.
  func train(
    _ trainer: Trainer<B>, isSolved: (TrainingMetrics) -> Bool = { _ in false }
  ) throws -> TrainingCurve {
    let run = TrainingRun(trainer)
    try train(run, isSolved: isSolved)
    return run.curve
  }

  /// Goes on with a training until it has taken so many updates and was evaluated there, to the end of its
  /// bounds where nil; as one unit of work.
  ///
  /// The evaluations of the trainer must hit `updates`. Throws where the experiment is stopped.
  func train(
    _ run: TrainingRun<B>, to updates: Int? = nil,
    isSolved: (TrainingMetrics) -> Bool = { _ in false }
  ) throws {
    guard !run.curve.diverged else { return }
    let trainer = run.trainer
    let first = trainer.position.step
    let last = updates ?? trainer.settings.bounds.maxSteps ?? .max
    func isAtEnd() -> Bool {
      trainer.position.step >= last && run.curve.evaluations.last?.step == trainer.position.step
    }
    var ended: ContinuousClock.Instant?
    do {
      _ = try trainer.run(
        shouldStop: { run.curve.isSolved || isAtEnd() || self.isOver },
        report: { event in
          switch event {
          case .stepped(let progress):
            let now = ContinuousClock.now
            if let ended { run.curve.stepSeconds.append(ended.duration(to: now) / .seconds(1)) }
            ended = now
            report(Double(progress.step - first) / Double(max(last - first, 1)))
          case .logged(let metrics, _): run.curve.lines.append(metrics)
          case .evaluated(let metrics, _):
            run.curve.evaluations.append(metrics)
            run.curve.isSolved = isSolved(metrics)
          case .evaluating, .saved, .ranks, .warned: break
          }
        })
    } catch let error as CarouselError where error.kind == .checkFailed {
      run.curve.diverged = true
    }
    if !run.curve.isSolved, !run.curve.diverged, !isAtEnd() { try check() }
  }
}

/// A training that is continued in each round, and its measurements so far.
final class TrainingRun<B: Backend> {
  let trainer: Trainer<B>
  var curve = TrainingCurve()

  init(_ trainer: Trainer<B>) { self.trainer = trainer }
}

/// What was measured while a network was trained.
struct TrainingCurve {
  /// The evaluations, and the lines of metrics.
  var evaluations: [TrainingMetrics] = [], lines: [TrainingMetrics] = []
  /// Whether it was stopped because it had learned its task; whether its loss was no longer finite.
  var isSolved = false, diverged = false
  /// The seconds from the end of each step to that of the next in the same round.
  var stepSeconds: [Double] = []

  /// The loss of the last evaluation; NaN where there is none.
  var finalLoss: Double { diverged ? .nan : evaluations.last?.validationLoss ?? .nan }
  /// The training steps that were taken.
  var steps: Int { max(evaluations.last?.step ?? 0, lines.last?.step ?? 0) }
  /// How many steps a second has room for, by their median; 0 without two steps.
  ///
  /// Kernels that were compiled do not count, nor evaluations, nor other trainings that took their turns meanwhile.
  var stepsPerSecond: Double {
    stepSeconds.isEmpty ? 0 : 1 / stepSeconds.sorted()[stepSeconds.count / 2]
  }
}

extension Trainer {
  /// The parameters as they are now, to begin another training with.
  func weights() throws -> InitialWeights { InitialWeights(tensors: try tensors()) }

  /// The parameters as they are now, by their names.
  func tensors() throws -> [String: Tensor] {
    Dictionary(
      uniqueKeysWithValues: try network.parameters.tensors().map { ($0.name, $0.tensor) })
  }
}
