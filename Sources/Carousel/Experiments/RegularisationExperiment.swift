import CarouselFormats
import CarouselModel
import CarouselTraining

/// `regularisation`: what several ways to disturb a network in training do on a text that is too small for it.
struct RegularisationExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var hiddenSize: Int { 96 }
  private static var textCount: Int { 12_000 }

  init(_ context: ExperimentContext<B>) { self.context = context }

  private struct Case {
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
    /// The evaluations of each seed.
    var evaluations: [[TrainingMetrics]] = []
    var lines: [[TrainingMetrics]] = []
  }

  /// A way, the options that ask for it, and what it changes.
  private static var ways:
    [(name: String, options: String, change: (inout RecurrentConfiguration) -> Void)]
  {
    [
      ("none", "", { _ in }),
      ("dropout 0.5", " --dropout 0.5", { $0.dropout = 0.5 }),
      ("recurrent dropout 0.3", " --recurrent-dropout 0.3", { $0.options.recurrentDropout = 0.3 }),
      (
        "zoneout 0.15", " --zoneout 0.15",
        {
          $0.options.zoneoutHidden = 0.15
          if $0.cell.has(.zoneoutCell) { $0.options.zoneoutCell = 0.15 }
        }
      ),
      ("DropConnect 0.3", " --drop-connect 0.3", { $0.options.dropConnect = 0.3 }),
      ("layer norm", " --layer-norm", { $0.options.layerNorm = true }),
    ]
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { cell in
      Self.ways.compactMap { way -> Case? in
        var layers = RecurrentConfiguration(
          experiment: cell, inputSize: 32, hiddenSize: Self.hiddenSize)
        layers.layers = 2
        let words = layers.words
        way.change(&layers)
        // Not every cell has every way.
        guard (try? layers.validate()) != nil else { return nil }
        return Case(
          layers: layers,
          row: ExperimentResult.Row(
            context.cells.count > 1 ? "\(cell.rawValue), \(way.name)" : way.name,
            command: """
              carousel train text FILE \(words) --layers 2 --embedding-size 32 --batch-size 8 \
              --learning-rate 0.004 --schedule constant \
              --sequence-length 32 --validation 0.2 --max-steps \(context.updates(400))\(way.options)
              """))
      }
    }
    try context.measure(&cases, measure)
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
      "The text, FILE in the commands: \(Self.textCount) bytes of Genesis, of which the last fifth is held out. Two layers of "
        + "\(Self.hiddenSize) units, for dropout drops what one layer passes to the next.",
      "The training loss is measured with what is dropped, so that it is no lower bound.",
    ]
    return result
  }

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

  private func measure(_ example: inout Case, _ seed: UInt64) throws {
    try context.begin("\(example.row.name), seed \(seed)")
    var settings = TrainingSettings(
      adding: example.layers, sequenceLength: 32, updates: context.updates(400), seed: seed)
    settings.batchSize = 8
    settings.validation = 0.2
    settings.schedule = LearningRateSchedule(.constant, peak: 0.004)
    (settings.evaluateEvery, settings.logEvery) = (25, 25)
    let text = TrainingText(SampleText.genesis.utf8.prefix(Self.textCount))
    let curve = try context.train(Trainer(text, settings: settings, backend: context.backend))
    example.evaluations.append(curve.evaluations)
    example.lines.append(curve.lines)
    let bits = curve.evaluations.compactMap(\.bitsPerByte)
    let (best, last) = (bits.min() ?? .nan, bits.last ?? .nan)
    example.row.add("best", best)
    example.row.add("last", last)
    example.row.add("training", (curve.lines.last?.trainingLoss ?? .nan) / 0.6931471805599453)
    example.row.add("rise", last - best)
    context.advance()
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
          series: series(\.lines) { $0.trainingLoss.map { $0 / 0.6931471805599453 } }),
        caption: "What disturbs the network in training makes this loss higher."),
    ]
  }
}
