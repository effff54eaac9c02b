import CarouselFormats
import CarouselModel
import CarouselTraining

/// `reductions`: all ways to give a cell fewer parameters, trained alike on a text and on the adding problem.
struct ReductionsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private let hiddenSize: Int, length: Int
  /// The updates on the text and on the adding problem.
  private let textUpdates: Int, addingUpdates: Int
  private static var inputSize: Int { 32 }

  init(_ context: ExperimentContext<B>) {
    self.context = context
    hiddenSize = context.hiddenSize(64)
    length = context.sequenceLength(20)
    textUpdates = context.updates(150)
    addingUpdates = context.updates(450)
  }

  private struct Case: ExperimentCase {
    let name: String
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { makeCases($0) }
    let round = try context.measureInRounds(&cases, begin: begin, train: train)
    for index in cases.indices where !cases[index].row.values.isEmpty {
      let count = cases[index].layers.parameterDescriptions.reduce(0) { $0 + $1.shape.count }
      cases[index].row.set("parameters", Double(count))
      cases[index].row.set("bytes", Double(count * ElementType.float32.byteCount))
      cases[index].row.command = commands(cases[index], round)
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("parameters", "parameters", .count), .init("bytes", "memory", .bytes),
        .init("updatesPerSecond", "updates a second"), .init("bitsPerByte", "text, bits per byte"),
        .init("addingError", "adding, error"),
      ], rows: cases.map(\.row))
    let measured = cases.filter { !$0.row.all("bitsPerByte").isEmpty }
    result.finding = Self.finding(measured)
    result.figures = Self.figures(measured)
    result.notes = [
      "Each has \(round.updates(of: textUpdates)) updates on the first nine chapters of Genesis, of which the last "
        + "tenth is held out, and \(round.updates(of: addingUpdates)) on the adding problem with T = \(length) "
        + "(always the mean: 0.167).",
      "Parameters are those of the recurrent layer that reads the text. The rate of updates depends on what else "
        + "the machine does.",
    ]
    return result
  }

  private func makeCases(_ cell: Cell) -> [Case] {
    let standard = RecurrentConfiguration(
      experiment: cell, inputSize: Self.inputSize, hiddenSize: hiddenSize)
    // A forget gate without weights of its own has no bias to begin with, so that it is set behind.
    var plain = standard
    plain.options.forgetBias = nil
    var all = ParameterReduction.all(of: plain).map { reduction in
      var layers = reduction.configuration
      if layers.options.hasForgetBias(in: cell) {
        layers.options.forgetBias = standard.options.forgetBias
      }
      return (name: "\(cell.rawValue) \(reduction.options)", layers: layers)
    }
    if cell == .lstm {
      all += [Cell.gru, .mingru].map { other in
        (
          name: other.rawValue,
          layers: RecurrentConfiguration(
            experiment: other, inputSize: Self.inputSize, hiddenSize: hiddenSize)
        )
      }
    }
    return all.map { way in
      let name = way.name.hasSuffix(" ") ? String(way.name.dropLast()) : way.name
      return Case(name: name, layers: way.layers, row: ExperimentResult.Row(name))
    }
  }

  private func textSettings(_ example: Case, _ seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      experiment: example.layers, sequenceLength: 32, batchSize: 16, updates: textUpdates,
      rate: 0.005, seed: seed, evaluateEvery: ExperimentRound.length(textUpdates))
  }

  private func addingSettings(_ example: Case, _ seed: UInt64) -> TrainingSettings {
    var layers = example.layers
    layers.inputSize = 2
    return TrainingSettings(
      experiment: layers, sequenceLength: length, updates: addingUpdates, seed: seed,
      evaluateEvery: ExperimentRound.length(addingUpdates))
  }

  private func commands(_ example: Case, _ round: ExperimentRound) -> String {
    let seed = context.settings.seed
    var (text, adding) = (textSettings(example, seed), addingSettings(example, seed))
    text.bounds.maxSteps = round.updates(of: textUpdates)
    adding.bounds.maxSteps = round.updates(of: addingUpdates)
    return text.command(for: .text, file: context.experiment.dataFile) + "\n"
      + adding.command(for: .adding)
  }

  private static var explanation: [String] {
    [
      """
      An LSTM has 4·H·(C + H) weights and biases beside. A smaller input C or a projection of h to P < H makes \
      the matrices narrower; tied or coupled gates (f = i, f = o, f = 1 − i) and a constant decay spare one gate \
      of four; a diagonal or block-diagonal R spares most of H·H; a GRU has three gates, minGRU two and no R.
      """,
      """
      Each way is trained alike. The Pareto front holds those than which no other has both fewer parameters and a \
      lower loss.
      """,
    ]
  }

  /// The two trainings of a case.
  private struct Runs {
    let text: TrainingRun<B>, adding: TrainingRun<B>
  }

  private func begin(_ example: Case, _ seed: UInt64) throws -> Runs {
    let text = TrainingText(SampleText.genesis.utf8)
    return Runs(
      text: TrainingRun(
        try Trainer(text, settings: textSettings(example, seed), backend: context.backend)),
      adding: TrainingRun(
        try Trainer(.adding, settings: addingSettings(example, seed), backend: context.backend)))
  }

  private func train(
    _ example: Case, _ runs: Runs, _ seed: UInt64, _ round: ExperimentRound
  ) throws -> [String: Double] {
    try context.train(runs.text, to: round.updates(of: textUpdates))
    try context.train(runs.adding, to: round.updates(of: addingUpdates))
    let curve = runs.text.curve
    return [
      "updatesPerSecond": curve.stepsPerSecond,
      "bitsPerByte": curve.evaluations.last?.bitsPerByte ?? .nan,
      "addingError": runs.adding.curve.finalLoss,
    ]
  }
}

extension ReductionsExperiment {
  /// Those than which no other has both fewer parameters and a lower loss, from the smallest.
  private static func front(_ cases: [Case]) -> [Case] {
    func isBeaten(_ example: Case) -> Bool {
      cases.contains { other in
        let (a, b) = (other.row.mean("parameters"), example.row.mean("parameters"))
        let (lossA, lossB) = (other.row.mean("bitsPerByte"), example.row.mean("bitsPerByte"))
        return a <= b && lossA <= lossB && (a < b || lossA < lossB)
      }
    }
    return cases.filter { !isBeaten($0) }
      .sorted { $0.row.mean("parameters") < $1.row.mean("parameters") }
  }

  private static func finding(_ cases: [Case]) -> String {
    guard let standard = cases.first else { return "Nothing was measured." }
    let front = front(cases)
    let loss = standard.row.mean("bitsPerByte")
    let parts = front.map { example in
      let share = example.row.mean("parameters") / standard.row.mean("parameters") * 100
      let cost = example.row.mean("bitsPerByte") - loss
      return "\(example.name) (\(share.readable) % of the parameters, "
        + "\(cost < 0 ? "−" : "+")\(abs(cost).readable) bits per byte)"
    }
    let learned = cases.filter { $0.row.all("addingError").allSatisfy { $0 < 0.05 } }
    let failed = cases.filter { $0.row.all("addingError").allSatisfy { $0 > 0.15 } }
    return """
      Beside the \(standard.name) with \(Int(standard.row.mean("parameters")).grouped) parameters and \
      \(loss.readable) bits per byte, the Pareto front on the text is: \(parts.joined(separator: ", ")). To add \
      \(learned.count) of \(cases.count) learned with every seed, and with none: \
      \(failed.isEmpty ? "no way" : failed.map(\.name).joined(separator: "; ")).
      """
  }

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    guard !cases.isEmpty else { return [] }
    func point(_ example: Case, _ name: String?) -> LineChart.Point {
      LineChart.Point(
        x: example.row.mean("parameters"), y: example.row.mean("bitsPerByte"),
        spread: name == nil ? nil : example.row.spread("bitsPerByte"), name: name)
    }
    let pareto = LineChart(
      "Bits per byte over the parameters of each way",
      x: LineChart.Axis("parameters of the layer", scale: .logarithmic),
      y: LineChart.Axis("text, bits per byte (lower is better)"),
      series: [
        LineChart.Series(
          "Pareto front", points: front(cases).map { point($0, nil) }, style: .dashed, colour: 1),
        LineChart.Series(
          "ways", points: cases.map { point($0, $0.name.replacing("lstm --", with: "")) },
          style: .dots, colour: 0),
      ], plotHeight: 420)
    let adding = BarChart(
      "The error on the adding problem of each way",
      axis: LineChart.Axis("squared error", scale: .logarithmic), series: ["error"],
      groups: cases.map {
        BarChart.Group(
          $0.name,
          [BarChart.Value($0.row.mean("addingError"), spread: $0.row.spread("addingError"))])
      }, mark: LineChart.Mark(y: 1.0 / 6, name: "always the mean"))
    return [
      ExperimentResult.Figure(
        name: "pareto", picture: pareto,
        caption:
          "The mean over the seeds, with lines from the least to the largest; point at a dot for its name."
      ),
      ExperimentResult.Figure(
        name: "adding", picture: adding, caption: "A shorter bar is better."),
    ]
  }
}
