import CarouselFormats
import CarouselModel
import CarouselTraining

/// `gates`: each gate held at 0, ½ and 1, while a network learns and afterwards.
struct GatesExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var length: Int { 25 }
  private static var hiddenSize: Int { 32 }

  init(_ context: ExperimentContext<B>) { self.context = context }

  private struct Case {
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
    let seeds = context.settings.allSeeds
    try context.measure(cases.count * seeds.count) {
      for seed in seeds {
        var free: [Cell: [String: Tensor]] = [:]
        for index in cases.indices { try measure(&cases[index], seed, &free) }
      }
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("trainedError", "error, held while training"),
        .init("heldError", "error, held afterwards"),
        .init("firstNorm", "‖∂loss/∂h₁‖, held while training"),
      ], rows: cases.map(\.row))
    result.finding = Self.finding(cases.filter { !$0.row.all("trainedError").isEmpty })
    result.figures = Self.figures(cases.filter { !$0.row.all("trainedError").isEmpty })
    result.notes = [
      "Each network has \(context.updates(600)) updates on the adding problem with T = \(Self.length); always "
        + "predicting the mean has the error 0.167.",
      "The gradient is that of a projection of the last h with the norm 1, as it arrives at step 1.",
    ]
    return result
  }

  private static func makeCase(_ cell: Cell, _ held: (gate: String, value: Double)?) -> Case {
    let layers = layers(cell, held)
    let options = "--sequence-length \(length) --learning-rate 0.01 --schedule constant"
    let name = "runs/\(cell.rawValue)"
    let training =
      "carousel train adding \(layers.words) \(options)" + (held == nil ? " --output \(name)" : "")
    let afterwards = held.map {
      "\ncarousel evaluate \(name) --override \($0.gate)=\($0.value.formatted())"
    }
    return Case(
      cell: cell, held: held,
      row: ExperimentResult.Row(
        held.map { "\(cell.rawValue), \($0.gate) = \($0.value.formatted())" }
          ?? "\(cell.rawValue), free", command: training + (afterwards ?? ""),
        note: held.map { HeldGate.equation(of: cell, $0.gate, $0.value) } ?? HeldGate.free(cell)))
  }

  private static func layers(
    _ cell: Cell, _ held: (gate: String, value: Double)?
  ) -> RecurrentConfiguration {
    RecurrentConfiguration(
      experiment: cell, inputSize: 2, hiddenSize: hiddenSize,
      overrides: held.map { [$0.gate: $0.value] } ?? [:])
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

  private func measure(
    _ example: inout Case, _ seed: UInt64, _ free: inout [Cell: [String: Tensor]]
  ) throws {
    try context.begin("\(example.row.name), seed \(seed)")
    let layers = Self.layers(example.cell, example.held)
    let settings = TrainingSettings(
      adding: layers, sequenceLength: Self.length, updates: context.updates(600), seed: seed)
    let trainer = try Trainer(.adding, settings: settings, backend: context.backend)
    let curve = try context.train(trainer)
    let data = try SyntheticData(.adding, length: Self.length, batchSize: 32, seed: seed)
    if example.held == nil {
      free[example.cell] = Dictionary(
        uniqueKeysWithValues: try trainer.network.parameters.tensors().map { ($0.name, $0.tensor) })
      example.row.add("heldError", curve.finalLoss)
    } else if let tensors = free[example.cell] {
      let network = try Network(data.network(layers), backend: context.backend, seed: nil)
      try network.parameters.load(tensors, source: "the free network")
      let error = try SyntheticDataEvaluator(network, like: data).evaluate()
      example.row.add("heldError", error ?? .nan)
    }
    example.row.add("trainedError", curve.finalLoss)
    let flow = try GradientFlow(
      trainer.network, sequenceLength: Self.length, batchSize: 8, seed: seed)
    example.row.add("firstNorm", try flow.norms(on: context.backend).first?.hidden ?? .nan)
    context.advance()
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

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
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
