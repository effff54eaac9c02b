import CarouselFormats
import CarouselModel
import CarouselTraining

/// `gates`: each gate held at 0, ½ and 1, while a network learns and afterwards.
struct GatesExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private let length: Int, hiddenSize: Int, updates: Int

  init(_ context: ExperimentContext<B>) {
    self.context = context
    length = context.sequenceLength(25)
    hiddenSize = context.hiddenSize(32)
    updates = context.updates(600)
  }

  private struct Case: ExperimentCase {
    let cell: Cell
    /// The gate that is held, and at what; nil is the free cell.
    let held: (gate: String, value: Double)?
    var row: ExperimentResult.Row
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { cell in
      [Self.makeCase(cell, nil)]
        + HeldGate.names(of: cell).flatMap { gate in
          [0, 0.5, 1].map { Self.makeCase(cell, (gate, $0)) }
        }
    }
    // The parameters of each free cell by its seed: those of a round come before those held in it.
    var free: [String: [String: Tensor]] = [:]
    let round = try context.measureInRounds(&cases, begin: begin) { example, run, seed, round in
      try train(example, run, seed, round, &free)
    }
    let settings = context.settings
    for index in cases.indices {
      cases[index].row.command = commands(cases[index], settings.seed, round)
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("trainedError", "error, held while training"),
        .init("heldError", "error, held afterwards"),
        .init("firstNorm", "‖∂loss/∂h₁‖, held while training"),
      ], rows: cases.map(\.row))
    result.finding = Self.finding(cases.filter { !$0.row.all("trainedError").isEmpty })
    result.figures = figures(cases.filter { !$0.row.all("trainedError").isEmpty })
    result.notes = [
      "Each network has \(round.updates(of: updates)) updates on the adding problem with T = \(length); always "
        + "predicting the mean has the error 0.167.",
      "The gradient is that of a projection of the last h with the norm 1, as it arrives at step 1.",
    ]
    return result
  }

  private static func makeCase(_ cell: Cell, _ held: (gate: String, value: Double)?) -> Case {
    Case(
      cell: cell, held: held,
      row: ExperimentResult.Row(
        held.map { "\(cell.rawValue), \($0.gate) = \($0.value.formatted())" }
          ?? "\(cell.rawValue), free",
        note: held.map { HeldGate.equation(of: cell, $0.gate, $0.value) } ?? HeldGate.free(cell)))
  }

  private func layers(_ cell: Cell, _ held: (gate: String, value: Double)?)
    -> RecurrentConfiguration
  {
    RecurrentConfiguration(
      experiment: cell, inputSize: 2, hiddenSize: hiddenSize,
      overrides: held.map { [$0.gate: $0.value] } ?? [:])
  }

  private func settings(_ example: Case, _ seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      experiment: layers(example.cell, example.held), sequenceLength: length, updates: updates,
      seed: seed, evaluateEvery: ExperimentRound.length(updates))
  }

  private func commands(_ example: Case, _ seed: UInt64, _ round: ExperimentRound) -> String {
    var settings = settings(example, seed)
    settings.bounds.maxSteps = round.updates(of: updates)
    let folder = "runs/\(example.cell.rawValue)"
    guard let held = example.held else {
      return settings.command(for: .adding, more: "--output \(folder)")
    }
    return settings.command(for: .adding) + "\ncarousel evaluate \(folder) --override "
      + "\(held.gate)=\(held.value.formatted())"
  }

  private static var explanation: [String] {
    [
      """
      A gate is a number between 0 and 1 for each unit and step. Held at a constant it no longer looks at the \
      input, and a simpler network remains, whose equation stands behind each row. Held while training, the \
      other weights can make up for it; held afterwards, in the network that learned with all its gates, they \
      cannot.
      """
    ]
  }

  private func begin(_ example: Case, _ seed: UInt64) throws -> TrainingRun<B> {
    TrainingRun(
      try Trainer(.adding, settings: settings(example, seed), backend: context.backend))
  }

  /// The numbers of a network, and of the free network of its cell with the same gate held.
  private func train(
    _ example: Case, _ run: TrainingRun<B>, _ seed: UInt64, _ round: ExperimentRound,
    _ free: inout [String: [String: Tensor]]
  ) throws -> [String: Double] {
    try context.train(run, to: round.updates(of: updates))
    let key = "\(example.cell.rawValue) \(seed)"
    var heldError = run.curve.finalLoss
    if example.held == nil {
      free[key] = try run.trainer.tensors()
    } else if let tensors = free[key] {
      let data = try SyntheticData(.adding, length: length, batchSize: 32, seed: seed)
      let network = try Network(
        data.network(layers(example.cell, example.held)), backend: context.backend, seed: nil)
      try network.parameters.load(tensors, source: "the free network")
      heldError = try SyntheticDataEvaluator(network, like: data).evaluate() ?? .nan
    }
    let flow = try GradientFlow(
      run.trainer.network, sequenceLength: length, batchSize: 8, seed: seed)
    let norms = try flow.norms(on: context.backend, ofCell: false)
    return [
      "trainedError": run.curve.finalLoss, "heldError": heldError,
      "firstNorm": norms.first?.hidden ?? .nan,
    ]
  }
}

/// What remains of a cell whose gate is held.
enum HeldGate {
  /// The gates that hold back or let through: those with a σ.
  static func names(of cell: Cell) -> [String] {
    cell.traits.gates.filter { $0.canBeHeld && $0.activation == .sigmoid }.map(\.name)
  }

  /// The cell as it is.
  static func free(_ cell: Cell) -> String {
    switch cell {
    case .lstm: "c = f·c' + i·g, h = o·tanh(c)"
    case .gru: "n = tanh(W·x + r·(R·h')), h = (1 − z)·n + z·h'"
    case .mingru: "h = (1 − z)·h' + z·g"
    default: ""
    }
  }

  /// The equation that remains where a gate is held at 0, ½ or 1.
  static func equation(of cell: Cell, _ gate: String, _ value: Double) -> String {
    let factor = value == 0 ? "" : value == 1 ? "" : "\(value.formatted())·"
    switch (cell, gate) {
    case (.lstm, "input"):
      return value == 0 ? "c = f·c': nothing is ever written, h = 0" : "c = f·c' + \(factor)g"
    case (.lstm, "forget"):
      if value == 0 { return "c = i·g: nothing is remembered but through h" }
      return "c = \(factor)c' + i·g" + (value == 1 ? ": nothing is forgotten" : "")
    case (.lstm, "output"):
      return value == 0 ? "h = 0: nothing is ever read" : "h = \(factor)tanh(c)"
    case (.gru, "reset"):
      return value == 0
        ? "n = tanh(W·x + b): the new value does not see h'"
        : "n = tanh(W·x + \(factor)(R·h'))"
    case (.gru, "update"):
      if value == 0 { return "h = n: an RNN with a reset gate" }
      return value == 1 ? "h = h': nothing changes, h = 0" : "h = (n + h')/2"
    case (.mingru, "update"):
      if value == 0 { return "h = h': nothing changes, h = 0" }
      return value == 1 ? "h = g: nothing is remembered" : "h = (h' + g)/2"
    default: return "\(gate) = \(value.formatted())"
    }
  }
}

extension GatesExperiment {
  private static func finding(_ cases: [Case]) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    let words = Dictionary(grouping: cases, by: \.cell).sorted { $0.key.rawValue < $1.key.rawValue }
      .map { cell, own in
        let solved = own.filter { $0.row.all("trainedError").allSatisfy { $0 < 0.02 } }
        let stuck = own.filter { $0.row.all("trainedError").allSatisfy { $0 > 0.15 } }
        let names = { (list: [Case]) in
          list.map { $0.held.map { "\($0.gate) = \($0.value.formatted())" } ?? "no gate held" }
            .joined(separator: "; ")
        }
        let held = own.filter { $0.held != nil }
        let harmless = held.filter { $0.row.all("heldError").allSatisfy { $0 < 0.02 } }
        let afterwards =
          held.isEmpty
          ? ""
          : "; held afterwards, "
            + (harmless.isEmpty
              ? "every gate is missed" : "what is not missed is \(names(harmless))")
        return """
          The \(cell.rawValue) learns to add with every seed with \
          \(solved.isEmpty ? "nothing" : names(solved)), and stays at the mean with \
          \(stuck.isEmpty ? "nothing" : names(stuck))\(afterwards).
          """
      }
    return words.joined(separator: " ")
  }

  private func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    guard !cases.isEmpty else { return [] }
    func value(_ example: Case, _ key: String) -> BarChart.Value? {
      example.row.all(key).isEmpty
        ? nil : BarChart.Value(example.row.mean(key), spread: example.row.spread(key))
    }
    let chart = BarChart(
      "The error with each gate held, while training and afterwards",
      axis: LineChart.Axis("squared error", scale: .logarithmic),
      series: ["held while training", "held afterwards"],
      groups: cases.map {
        BarChart.Group($0.row.name, [value($0, "trainedError"), value($0, "heldError")])
      }, mark: LineChart.Mark(y: 1.0 / 6, name: "always the mean"))
    let flow = BarChart(
      "The gradient at step 1 with each gate held",
      axis: LineChart.Axis("‖∂loss/∂h₁‖ after training", scale: .logarithmic), series: ["norm"],
      groups: cases.map { BarChart.Group($0.row.name, [value($0, "firstNorm")]) })
    return [
      ExperimentResult.Figure(
        name: "errors", picture: chart,
        caption: "A shorter bar is better; lines from the least to the largest seed."),
      ExperimentResult.Figure(
        name: "flow", picture: flow,
        caption:
          "What is left at step 1 of a gradient of 1 at step \(length), in the trained networks."),
    ]
  }
}
