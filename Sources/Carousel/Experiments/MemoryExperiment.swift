import CarouselFormats
import CarouselModel
import CarouselTraining

/// `memory`: over how many steps each cell learns to add, and how much of a sequence it can repeat.
struct MemoryExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var lengths: [Int] { [25, 50, 100, 200, 400] }
  private static var hiddenSize: Int { 32 }
  private static var copyLength: Int { 20 }
  /// An error below this counts as solved; the mean alone has 0.167.
  private static var solvedError: Double { 0.01 }

  init(_ context: ExperimentContext<B>) { self.context = context }

  private struct Case {
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
    /// The errors of the first seed over all its updates.
    var curve: [LineChart.Point] = []
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.map { Self.makeCase($0, isHeld: false) }
    if context.cells.contains(.lstm) { cases.append(Self.makeCase(.lstm, isHeld: true)) }
    let seeds = context.settings.allSeeds
    try context.measure(cases.count * seeds.count * (Self.lengths.count + 1)) {
      for seed in seeds {
        for index in cases.indices { try add(&cases[index], seed, isFirst: seed == seeds[0]) }
      }
      for seed in seeds {
        for index in cases.indices { try copy(&cases[index], seed) }
      }
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [.init("longest", "longest T solved", .count)]
        + Self.lengths.map { .init("error\($0)", "error, T = \($0)") }
        + [
          .init("updates", "updates", .count),
          .init("copyLoss", "copy: share of the loss left", .percent),
        ],
      rows: cases.map(\.row))
    result.finding = Self.finding(cases.filter { !$0.row.all("longest").isEmpty })
    result.figures = Self.figures(cases)
    result.notes = [
      "A length counts as solved where the error on about 1,000 other sequences is below 0.01; a network that "
        + "does not solve one within \(context.updates(1000)) updates is not asked for a longer one.",
      "Copy: the cross-entropy after \(context.updates(300)) updates as a share of that of a network without memory.",
    ]
    return result
  }

  private static func makeCase(_ cell: Cell, isHeld: Bool) -> Case {
    let layers = RecurrentConfiguration(
      experiment: cell, inputSize: 2, hiddenSize: hiddenSize,
      overrides: isHeld ? ["forget": 0] : [:])
    let options = "\(layers.words) --learning-rate 0.01 --schedule constant"
    let folder = "runs/\(cell.rawValue)\(isHeld ? "-f0" : "")"
    return Case(
      layers: layers,
      row: ExperimentResult.Row(
        isHeld ? "\(cell.rawValue), f = 0" : cell.rawValue,
        command: """
          carousel train adding \(options) --sequence-length 25 --output \(folder)-25
          carousel train adding \(options) --sequence-length 50 --from \(folder)-25 --output \(folder)-50
          carousel train copy \(options) --sequence-length \(copyLength)
          """))
  }

  private static var explanation: [String] {
    [
      """
      The adding problem (Hochreiter & Schmidhuber 1997): of T numbers two are marked, and their sum is wanted \
      after the last. Always saying 1 has the squared error 1/6 = 0.167. An RNN has to keep the first number in \
      h = tanh(W·x + R·h'), which every step squeezes; an LSTM keeps it in c = f·c' + i·g, which with f = 1 and \
      i = 0 does not change at all. With f held at 0 the cell state carries nothing, and only h is left.
      """,
      """
      Each network begins at T = 25 and goes on with its weights at twice the length once it has solved one (a \
      curriculum, Bengio et al. 2009). Copy memory asks for 10 symbols again after a pause of \(copyLength) steps.
      """,
    ]
  }

  /// Trains on longer and longer sequences until one is not solved.
  private func add(_ example: inout Case, _ seed: UInt64, isFirst: Bool) throws {
    var weights: InitialWeights?
    var (longest, updates) = (0, 0)
    for (index, length) in Self.lengths.enumerated() {
      try context.begin("adding, \(example.row.name), T = \(length), seed \(seed)")
      let settings = TrainingSettings(
        adding: example.layers, sequenceLength: length, updates: context.updates(1000), seed: seed,
        evaluateEvery: 50)
      let trainer = try Trainer(.adding, settings: settings, backend: context.backend) { _ in
        weights
      }
      let curve = try context.train(trainer) { ($0.validationLoss ?? 1) < Self.solvedError }
      if isFirst {
        example.curve += curve.evaluations.map {
          LineChart.Point(x: Double(updates + $0.step), y: $0.validationLoss ?? .nan)
        }
      }
      updates += curve.steps
      example.row.add("error\(length)", curve.finalLoss)
      guard curve.isSolved else {
        context.advance(Self.lengths.count - index)
        break
      }
      context.advance()
      longest = length
      weights = try trainer.weights()
    }
    example.row.add("longest", Double(longest))
    example.row.add("updates", Double(updates))
  }

  private func copy(_ example: inout Case, _ seed: UInt64) throws {
    try context.begin("copy, \(example.row.name), seed \(seed)")
    var settings = TrainingSettings(
      adding: example.layers, sequenceLength: Self.copyLength, updates: context.updates(300),
      seed: seed)
    settings.recurrent.inputSize = 16
    let data = try SyntheticData(.copy, length: Self.copyLength, batchSize: 32, seed: seed)
    let curve = try context.train(Trainer(.copy, settings: settings, backend: context.backend))
    example.row.add("copyLoss", curve.finalLoss / data.baseline)
    context.advance()
  }
}

extension MemoryExperiment {
  private static func finding(_ cases: [Case]) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    let parts = cases.map { example in
      let all = example.row.all("longest").map { Int($0) }
      let (least, most) = (all.min() ?? 0, all.max() ?? 0)
      let reached = least == most ? "T = \(least)" : "T = \(least) to \(most)"
      return most == 0
        ? "\(example.row.name) solves none of the lengths" : "\(example.row.name) \(reached)"
    }
    var words =
      "The longest sequences that each network learns to add: "
      + parts.joined(separator: ", ") + "."
    func least(_ name: String) -> Double? {
      cases.first { $0.row.name == name }?.row.all("longest").min()
    }
    func most(_ name: String) -> Double? {
      cases.first { $0.row.name == name }?.row.all("longest").max()
    }
    let gated = ["lstm", "gru"].compactMap(least)
    let others = ["rnn", "lstm, f = 0"].compactMap(most)
    if let worst = gated.min(), let best = others.max() {
      words +=
        worst > best
        ? " With every seed the gated cells go further than the RNN and the LSTM whose f is 0."
        : " The gated cells do not go further with every seed, as the textbook says they do."
    }
    return words
  }

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    let shown = cases.enumerated().filter { !$0.element.curve.isEmpty }
    guard !shown.isEmpty else { return [] }
    let curves = LineChart(
      "The error of each network over its updates",
      x: LineChart.Axis("update, of all lengths together"),
      y: LineChart.Axis("squared error on other sequences", scale: .logarithmic),
      series: shown.map {
        LineChart.Series($0.element.row.name, points: $0.element.curve, colour: $0.offset)
      },
      marks: [
        LineChart.Mark(y: 1.0 / 6, name: "always the mean"),
        LineChart.Mark(y: solvedError, name: "solved"),
      ])
    let longest = BarChart(
      "The longest T that each network solves", axis: LineChart.Axis("longest T solved"),
      series: ["longest T"],
      groups: cases.filter { !$0.row.all("longest").isEmpty }.map {
        BarChart.Group(
          $0.row.name, [BarChart.Value($0.row.mean("longest"), spread: $0.row.spread("longest"))])
      })
    return [
      ExperimentResult.Figure(
        name: "longest", picture: longest,
        caption:
          "The longest T that is solved, the mean over the seeds, with lines from the least to the largest."
      ),
      ExperimentResult.Figure(
        name: "curves", picture: curves,
        caption: "The first seed: where the error falls below 0.01, T doubles and it rises again."),
    ]
  }
}
