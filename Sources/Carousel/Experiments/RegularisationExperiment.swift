import CarouselFormats
import CarouselModel
import CarouselTraining

/// `regularisation`: what several ways to disturb a network in training do on a text that is too small for it.
struct RegularisationExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private let hiddenSize: Int, updates: Int
  private static var evaluateEvery: Int { 25 }

  init(_ context: ExperimentContext<B>) {
    self.context = context
    hiddenSize = context.hiddenSize(96)
    updates = context.updates(400)
  }

  private struct Case: ExperimentCase {
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
    /// The evaluations of each seed.
    var evaluations: [[TrainingMetrics]] = []
    var lines: [[TrainingMetrics]] = []
  }

  /// A way, and what it changes.
  private static var ways: [(name: String, change: (inout RecurrentConfiguration) -> Void)] {
    [
      ("none", { _ in }),
      ("dropout 0.5", { $0.dropout = 0.5 }),
      ("recurrent dropout 0.3", { $0.options.recurrentDropout = 0.3 }),
      (
        "zoneout 0.15",
        {
          $0.options.zoneoutHidden = 0.15
          if $0.cell.has(.zoneoutCell) { $0.options.zoneoutCell = 0.15 }
        }
      ),
      ("DropConnect 0.3", { $0.options.dropConnect = 0.3 }),
      ("layer norm", { $0.options.layerNorm = true }),
    ]
  }

  func run() throws -> ExperimentResult {
    var cases = makeCases()
    // Every training by the name of its row, seed by seed.
    var runs: [String: [TrainingRun<B>]] = [:]
    let round = try context.measureInRounds(&cases) { example, seed in
      let run = try begin(example, seed)
      runs[example.row.name, default: []].append(run)
      return run
    } train: { example, run, seed, round in
      try train(run, round)
    }
    let count = reached(round)
    for index in cases.indices {
      var settings = settings(cases[index], context.settings.seed)
      settings.bounds.maxSteps = count
      cases[index].row.command = settings.command(for: .text, file: context.experiment.dataFile)
      // What a later round has begun with is not shown beside what others have not.
      let measured = runs[cases[index].row.name, default: []].prefix(
        cases[index].row.all("best").count)
      cases[index].evaluations = measured.map { $0.curve.evaluations.filter { $0.step <= count } }
      cases[index].lines = measured.map { $0.curve.lines.filter { $0.step <= count } }
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("best", "best validation, bits per byte"), .init("last", "last validation"),
        .init("training", "last training loss"), .init("rise", "last − best"),
      ], rows: cases.map(\.row))
    let measured = cases.filter { !$0.evaluations.isEmpty }
    result.finding = Self.finding(measured)
    result.figures = Self.figures(measured)
    result.notes = [
      "The text: \(SampleText.shortGenesis.count) bytes of Genesis, of which the last fifth is held out; "
        + "\(count) updates. Two layers of \(hiddenSize) units, for dropout drops what one layer passes to the "
        + "next.",
      "The training loss is measured with what is dropped, so that it is no lower bound.",
    ]
    return result
  }

  private func makeCases() -> [Case] {
    context.cells.flatMap { cell in
      Self.ways.compactMap { way -> Case? in
        var layers = RecurrentConfiguration(
          experiment: cell, inputSize: 32, hiddenSize: hiddenSize)
        layers.layers = 2
        way.change(&layers)
        // Not every cell has every way.
        guard (try? layers.validate()) != nil else { return nil }
        return Case(
          layers: layers,
          row: ExperimentResult.Row(
            context.cells.count > 1 ? "\(cell.rawValue), \(way.name)" : way.name))
      }
    }
  }

  private func reached(_ round: ExperimentRound) -> Int {
    round.updates(of: updates, multiple: Self.evaluateEvery)
  }

  private func settings(_ example: Case, _ seed: UInt64) -> TrainingSettings {
    var settings = TrainingSettings(
      experiment: example.layers, sequenceLength: 32, batchSize: 8, updates: updates, rate: 0.004,
      seed: seed, evaluateEvery: Self.evaluateEvery)
    settings.validation = 0.2
    settings.logEvery = Self.evaluateEvery
    return settings
  }

  private func begin(_ example: Case, _ seed: UInt64) throws -> TrainingRun<B> {
    TrainingRun(
      try Trainer(
        TrainingText(SampleText.shortGenesis), settings: settings(example, seed),
        backend: context.backend))
  }

  private func train(
    _ run: TrainingRun<B>, _ round: ExperimentRound
  ) throws -> [String: Double] {
    try context.train(run, to: reached(round))
    let bits = run.curve.evaluations.compactMap(\.bitsPerByte)
    let (best, last) = (bits.min() ?? .nan, bits.last ?? .nan)
    return [
      "best": best, "last": last, "rise": last - best,
      "training": (run.curve.lines.last?.trainingLoss ?? .nan) / Self.nats,
    ]
  }

  /// ln 2: the nats of a bit.
  private static var nats: Double { 0.6931471805599453 }

  private static var explanation: [String] {
    [
      """
      A network with far more parameters than its text has bytes learns the text by heart: the training loss goes \
      on falling while the loss on other text of the same kind rises. Dropout (Zaremba et al. 2014) zeroes what \
      one layer hands to the next, recurrent dropout (Gal & Ghahramani 2016) elements of h for a whole sequence, \
      zoneout (Krueger et al. 2017) keeps some units' states as they were, DropConnect (Wan et al. 2013) zeroes \
      recurrent weights. Layer normalisation (Ba et al. 2016) drops nothing; it is beside them for comparison.
      """
    ]
  }
}

extension RegularisationExperiment {
  private static func finding(_ cases: [Case]) -> String {
    guard let plain = cases.first(where: { $0.row.name.hasSuffix("none") }) else {
      return "Nothing was measured."
    }
    let others = cases.filter { !$0.row.name.hasSuffix("none") }
    let better = others.filter { example in
      let pairs = zip(example.row.all("best"), plain.row.all("best"))
      return pairs.allSatisfy { $0 < $1 }
    }
    let ranked = cases.sorted { $0.row.mean("best") < $1.row.mean("best") }
    return """
      Without regularisation the validation loss is best at \(plain.row.mean("best").readable) bits per byte and \
      \(plain.row.mean("rise").readable) higher at the end, where the training loss is \
      \(plain.row.mean("training").readable). Better at their best with every seed: \
      \(better.isEmpty ? "none" : better.map(\.row.name).joined(separator: ", ")); the best of all is \
      \(ranked[0].row.name) with \(ranked[0].row.mean("best").readable).
      """
  }

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    func series(
      _ runs: KeyPath<Case, [[TrainingMetrics]]>, _ value: (TrainingMetrics) -> Double?
    ) -> [LineChart.Series] {
      cases.enumerated().map { index, example in
        let runs = example[keyPath: runs]
        let points = (runs.first ?? []).indices.map { place in
          let values = runs.compactMap { place < $0.count ? value($0[place]) : nil }
          return LineChart.Point(
            x: Double(runs[0][place].step), y: values.mean,
            spread: values.count > 1 ? (values.min() ?? 0)...(values.max() ?? 0) : nil)
        }
        return LineChart.Series(example.row.name, points: points, colour: index)
      }
    }
    guard !cases.isEmpty else { return [] }
    return [
      ExperimentResult.Figure(
        name: "validation",
        picture: LineChart(
          "The validation loss over the updates", x: LineChart.Axis("update"),
          y: LineChart.Axis("validation, bits per byte"),
          series: series(\.evaluations) { $0.bitsPerByte }),
        caption: "The mean over the seeds, with a band from the least to the largest."),
      ExperimentResult.Figure(
        name: "training",
        picture: LineChart(
          "The training loss over the updates", x: LineChart.Axis("update"),
          y: LineChart.Axis("training, bits per byte"),
          series: series(\.lines) { $0.trainingLoss.map { $0 / nats } }),
        caption: "What disturbs the network in training makes this loss higher."),
    ]
  }
}
