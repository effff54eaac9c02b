import CarouselModel

/// A textbook question about recurrent networks that is answered by measuring: rows of numbers over several
/// seeds, pictures, and a sentence that says what they show.
///
/// `carousel experiment NAME` runs one; docs/textbook.md explains all of them.
public enum Experiment: String, CaseIterable, Sendable {
  /// What grows when a network is unrolled?
  case unrolling
  /// Why do gradients vanish or explode?
  case gradients
  /// What does the cell state buy?
  case memory
  /// What if a gate is held?
  case gates
  /// How can an LSTM have fewer parameters, and what does it cost?
  case reductions
  /// What does a bidirectional layer see?
  case directions
  /// What keeps a network from learning a small text by heart?
  case regularisation
  /// What do units learn?
  case cells

  /// The question.
  public var question: String {
    switch self {
    case .unrolling: "What grows when a network is unrolled?"
    case .gradients: "Why do gradients vanish or explode?"
    case .memory: "What does the cell state buy?"
    case .gates: "What if a gate is held?"
    case .reductions: "How can an LSTM have fewer parameters, and what does it cost?"
    case .directions: "What does a bidirectional layer see?"
    case .regularisation: "What keeps a network from learning a small text by heart?"
    case .cells: "What do units learn?"
    }
  }

  /// The cells that it compares where none are named.
  public var standardCells: [Cell] {
    switch self {
    case .unrolling: Cell.allCases
    case .gradients, .memory: [.rnn, .lstm, .gru]
    case .gates: [.lstm, .gru]
    case .reductions, .regularisation, .cells: [.lstm]
    case .directions: [.lstm]
    }
  }

  /// The cells that it can compare.
  public var possibleCells: [Cell] {
    switch self {
    case .gates: [.lstm, .gru, .mingru]
    case .reductions, .regularisation, .cells: [.rnn, .lstm, .gru, .mingru, .slstm]
    case .unrolling, .gradients, .memory, .directions: Cell.allCases
    }
  }

  /// Whether all its sequences have one length, which can be chosen.
  public var takesSequenceLength: Bool {
    switch self {
    case .gradients, .gates, .reductions, .directions: true
    case .unrolling, .memory, .regularisation, .cells: false
    }
  }

  /// Runs the experiment on a backend until it is done, its budget is used up or `monitor` stops it; then
  /// the result has what was measured so far, and says so.
  ///
  /// The same settings on the same device and driver give the same numbers, bit for bit, unless the budget
  /// cuts the experiment short; only measured times differ. Throws a usage error where a cell or a number makes no sense.
  public func run<B: Backend>(
    _ settings: ExperimentSettings, on backend: B,
    monitor: ExperimentMonitor = ExperimentMonitor()
  ) throws -> ExperimentResult {
    try settings.validate(for: self)
    let context = ExperimentContext(
      experiment: self, settings: settings, backend: backend, monitor: monitor)
    var result: ExperimentResult
    switch self {
    case .unrolling: result = try UnrollingExperiment(context).run()
    case .gradients: result = try GradientsExperiment(context).run()
    case .memory: result = try MemoryExperiment(context).run()
    case .gates: result = try GatesExperiment(context).run()
    case .reductions: result = try ReductionsExperiment(context).run()
    case .directions: result = try DirectionsExperiment(context).run()
    case .regularisation: result = try RegularisationExperiment(context).run()
    case .cells: result = try CellsExperiment(context).run()
    }
    result.device = backend.name
    result.seconds = context.seconds
    result.end = context.end
    return result
  }
}

/// What an experiment is run with.
public struct ExperimentSettings: Sendable {
  /// The cells to compare; nil takes the experiment's own.
  public var cells: [Cell]?
  /// H, the units of a layer; nil takes the experiment's own.
  public var hiddenSize: Int?
  /// T, of the experiments that have one; nil takes the experiment's own.
  public var sequenceLength: Int?
  /// How many seeds, counted from `seed`.
  public var seeds = 3
  /// The first seed.
  public var seed: UInt64 = 1
  /// The seconds that it may take; trainings are as long as this allows on two cores of a CPU.
  public var budgetSeconds = ExperimentSettings.standardBudgetSeconds

  /// Two minutes.
  public static let standardBudgetSeconds = 120.0

  /// Three seeds from 1 on, in two minutes.
  public init() {}

  /// The seeds.
  var allSeeds: [UInt64] { (0..<seeds).map { seed &+ UInt64($0) } }

  /// Throws a usage error where a number makes no sense, or the experiment does not take a cell.
  public func validate(for experiment: Experiment) throws(CarouselError) {
    guard 1...100 ~= seeds else {
      throw CarouselError(
        .usage, "the number of seeds must be between 1 and 100, but is \(seeds)")
    }
    guard budgetSeconds >= 1, budgetSeconds <= 1e6 else {
      throw CarouselError(
        .usage, "the budget must be between 1 s and a million, but is \(budgetSeconds) s")
    }
    if let hiddenSize, !(1...4096 ~= hiddenSize) {
      throw CarouselError(
        .usage,
        "the hidden size of an experiment must be between 1 and 4096, but is \(hiddenSize)")
    }
    if let sequenceLength {
      guard experiment.takesSequenceLength else {
        throw CarouselError(
          .usage,
          "the experiment \(experiment.rawValue) has sequence lengths of its own, but "
            + "\(sequenceLength) was asked for")
      }
      guard 4...4096 ~= sequenceLength else {
        throw CarouselError(
          .usage,
          "the sequence length of an experiment must be between 4 and 4096, but is \(sequenceLength)"
        )
      }
    }
    let possible = experiment.possibleCells
    for cell in cells ?? [] where !possible.contains(cell) {
      throw CarouselError(
        .usage,
        "the experiment \(experiment.rawValue) takes the cells "
          + possible.map(\.rawValue).joined(separator: ", ") + ", but not \(cell.rawValue)")
    }
  }
}

/// How a running experiment reports its progress, and how it is told to stop.
public struct ExperimentMonitor {
  /// How far the experiment is.
  public struct Progress: Sendable {
    /// What is measured now.
    public var words: String
    /// How much of the experiment is done, from 0 to 1.
    public var fraction: Double
  }

  /// Hears how far the experiment is, several times a second.
  public var report: (Progress) -> Void
  /// Is asked before each training step: true ends the experiment.
  public var shouldStop: () -> Bool

  /// Hears nothing and never stops.
  public init(
    report: @escaping (Progress) -> Void = { _ in }, shouldStop: @escaping () -> Bool = { false }
  ) {
    self.report = report
    self.shouldStop = shouldStop
  }
}
