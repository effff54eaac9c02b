import CarouselFormats
import CarouselModel
import CarouselTraining

/// `cells`: units that follow the position in a line, quotation marks and brackets of a text, and how far gates
/// are open.
struct CellsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var embeddingSize: Int { 24 }
  private static var testCount: Int { 1200 }
  private static var gateSteps: Int { 200 }
  private static var binCount: Int { 20 }

  private let hiddenSize: Int

  init(_ context: ExperimentContext<B>) {
    self.context = context
    hiddenSize = context.hiddenSize(96)
  }

  private struct Case {
    let cell: Cell
    var features: [ExperimentResult.Row]
    var gates: [ExperimentResult.Row]
    /// Of the first seed: the text with the activation of the unit that is best for each feature, and how
    /// the values of each gate are spread.
    var strips: [HeatStrip.Row] = []
    var histograms: [LineChart.Series] = []
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.map { cell in
      let command = settings(cell, context.settings.seed).command(
        for: .text, file: context.experiment.dataFile)
      return Case(
        cell: cell,
        features: StructuredText(seed: 1, count: 1).features.map {
          ExperimentResult.Row("\(cell.rawValue): \($0.name)", command: command)
        },
        gates: HeldGate.names(of: cell).map {
          ExperimentResult.Row("\(cell.rawValue): gate \($0)", command: command)
        })
    }
    let seeds = context.settings.allSeeds
    try context.measure(&cases) { try measure(&$0, $1, isFirst: $1 == seeds[0]) }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("explained", "explained by one unit", .percent),
        .init("untrained", "the same before training", .percent),
        .init("closed", "values below 0.1", .percent), .init("open", "values above 0.9", .percent),
        .init("bitsPerByte", "bits per byte"),
      ], rows: cases.flatMap { $0.features + $0.gates })
    result.finding = Self.finding(cases.filter { !$0.strips.isEmpty })
    result.figures = Self.figures(cases.filter { !$0.strips.isEmpty })
    result.notes = [
      "Explained: the square of the correlation of the best of \(hiddenSize) units with the feature over "
        + "\(Self.testCount) bytes that the network was not trained on. A unit is c of an LSTM, h of other cells.",
      "The text is synthetic: words in lines of at most \(StructuredText.lineLength) bytes, some between quotation "
        + "marks, some in brackets up to three deep.",
    ]
    return result
  }

  private func settings(_ cell: Cell, _ seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      experiment: RecurrentConfiguration(
        experiment: cell, inputSize: Self.embeddingSize, hiddenSize: hiddenSize),
      sequenceLength: 64, batchSize: 16, updates: context.updates(1600), rate: 0.005, seed: seed)
  }

  private static var explanation: [String] {
    [
      """
      A network that predicts the next byte of a text has to know where in the text it is: whether a quotation \
      is open, how many brackets are, how long the line has become. Single units take over such counts \
      (Karpathy, Johnson & Fei-Fei 2015). Here they are looked for: of all units the one whose activation goes \
      most nearly with the feature, by the share of the feature's variance that it explains.
      """,
      """
      A gate near 1 lets everything through, one near 0 nothing. The histograms say how often each gate is \
      saturated while the network reads.
      """,
    ]
  }

  private func measure(_ example: inout Case, _ seed: UInt64, isFirst: Bool) throws {
    try context.begin("\(example.cell.rawValue), seed \(seed)")
    let test = StructuredText(seed: seed &+ 1 << 32, count: Self.testCount)
    let text = TrainingText(StructuredText.training(seed: seed).bytes)
    let trainer = try Trainer(
      text, settings: settings(example.cell, seed), backend: context.backend)
    func activations() throws -> UnitActivations {
      try UnitActivations(
        trainer.network, vocabulary: trainer.vocabulary, bytes: test.bytes[...],
        gateSteps: Self.gateSteps)
    }
    let before = try activations()
    let curve = try context.train(trainer)
    let after = try activations()
    for (index, feature) in test.features.enumerated() {
      let values = Array(feature.values.prefix(after.units.count))
      let best = after.best(for: values)
      example.features[index].add("explained", best.share)
      example.features[index].add("untrained", before.best(for: values).share)
      example.features[index].add("bitsPerByte", curve.evaluations.last?.bitsPerByte ?? .nan)
      guard isFirst else { continue }
      let shown = 480..<480 + 168
      let largest = max(after.units.map { $0[best.unit].magnitude }.max() ?? 1, 1e-9)
      example.strips.append(
        HeatStrip.Row(
          "\(example.cell.rawValue), unit \(best.unit): \(feature.name), "
            + "\(Int((best.share * 100).rounded())) % explained",
          values: after.units[shown].map { $0[best.unit] / largest },
          characters: test.bytes[shown].map { $0 == 10 ? "↵" : Character(Unicode.Scalar($0)) }))
    }
    for (index, gate) in after.gates.enumerated() {
      let count = Double(gate.values.count)
      example.gates[index].add("closed", Double(gate.values.count { $0 < 0.1 }) / count)
      example.gates[index].add("open", Double(gate.values.count { $0 > 0.9 }) / count)
      guard isFirst else { continue }
      var bins = [Double](repeating: 0, count: Self.binCount)
      for value in gate.values {
        bins[min(Int(value * Double(Self.binCount)), Self.binCount - 1)] += 100 / count
      }
      example.histograms.append(
        LineChart.Series(
          "\(example.cell.rawValue) \(gate.name)",
          points: bins.enumerated().map {
            LineChart.Point(x: (Double($0.offset) + 0.5) / Double(Self.binCount), y: $0.element)
          }))
    }
    context.advance()
  }
}

extension CellsExperiment {
  private static func finding(_ cases: [Case]) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    return cases.map { example in
      let parts = example.features.map { row in
        let name = row.name.split(separator: ": ").last.map(String.init) ?? row.name
        let (after, before) = (row.all("explained"), row.all("untrained"))
        let grows = zip(after, before).allSatisfy { $0 > $1 + 0.1 }
        return "\(name) \(Int((after.mean * 100).rounded())) % "
          + "(\(Int((before.mean * 100).rounded())) % before training"
          + (grows ? ")" : ", not clearly more with every seed)")
      }
      return "One unit of the \(example.cell.rawValue) explains on average: "
        + parts.joined(separator: ", ") + "."
    }.joined(separator: " ")
  }

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    guard !cases.isEmpty else { return [] }
    let strips = HeatStrip(
      "A text coloured by the activations of single units", rows: cases.flatMap(\.strips))
    let histograms = cases.flatMap(\.histograms)
    let chart = LineChart(
      "How the values of the gates are spread",
      x: LineChart.Axis("value of the gate", including: 0...1),
      y: LineChart.Axis("share of the values, %", including: 0...10), series: histograms)
    return [
      ExperimentResult.Figure(
        name: "units", picture: strips,
        caption:
          "Orange: above 0, blue: below, as a share of the unit's largest value, after the character was read; the first seed."
      )
    ]
      + (histograms.isEmpty
        ? []
        : [
          ExperimentResult.Figure(
            name: "gates", picture: chart,
            caption:
              "How often each gate has which value: near 0 closed, near 1 open; the first seed.")
        ])
  }
}
