import CarouselFormats
import CarouselModel
import CarouselTraining

/// `reductions`: all ways to give a cell fewer parameters, trained alike on a text and on the adding problem.
struct ReductionsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var hiddenSize: Int { 64 }
  private static var inputSize: Int { 32 }
  private static var length: Int { 25 }

  init(_ context: ExperimentContext<B>) { self.context = context }

  private struct Case {
    let name: String
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { makeCases($0) }
    try context.measure(&cases, measure)
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
      "Each has \(context.updates(150)) updates on the first nine chapters of Genesis, of which the last tenth is "
        + "held out, and \(context.updates(600)) on the adding problem with T = \(Self.length) (always the mean: 0.167).",
      "Parameters are those of the recurrent layer that reads the text. The rate of updates depends on what else "
        + "the machine does.",
    ]
    return result
  }

  private func makeCases(_ cell: Cell) -> [Case] {
    let standard = RecurrentConfiguration(
      experiment: cell, inputSize: Self.inputSize, hiddenSize: Self.hiddenSize)
    // A forget gate without weights of its own has no bias to begin with, so that it is set behind.
    var plain = standard
    plain.options.forgetBias = nil
    var all = ParameterReduction.all(of: plain).map { reduction in
      var layers = reduction.configuration
      if layers.options.hasForgetBias(in: cell) {
        layers.options.forgetBias = standard.options.forgetBias
      }
      return (cell: cell, options: reduction.options, layers: layers)
    }
    if cell == .lstm {
      all += [Cell.gru, .mingru].map { other in
        let layers = RecurrentConfiguration(
          experiment: other, inputSize: Self.inputSize, hiddenSize: Self.hiddenSize)
        return (cell: other, options: "", layers: layers)
      }
    }
    return all.map { way in
      let name = way.options.isEmpty ? way.cell.rawValue : "\(way.cell.rawValue) \(way.options)"
      let words = "--cell \(way.cell.rawValue) --hidden-size \(Self.hiddenSize)"
      let embedding = way.layers.inputSize
      let options =
        way.options.isEmpty || way.options.hasPrefix("--input-size") ? "" : " \(way.options)"
      return Case(
        name: name, layers: way.layers,
        row: ExperimentResult.Row(
          name,
          command: """
            carousel train text FILE \(words)\(options) --embedding-size \(embedding) \
            --learning-rate 0.005 --schedule constant \
            --batch-size 16 --sequence-length 32 --max-steps \(context.updates(150))
            carousel train adding \(words)\(options) --sequence-length \(Self.length) \
            --learning-rate 0.01 --schedule constant --max-steps \(context.updates(600))
            """))
    }
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

  private func measure(_ example: inout Case, _ seed: UInt64) throws {
    try context.begin("\(example.name), seed \(seed)")
    var settings = TrainingSettings(
      adding: example.layers, sequenceLength: 32, updates: context.updates(150), seed: seed)
    settings.batchSize = 16
    settings.schedule = LearningRateSchedule(.constant, peak: 0.005)
    let text = TrainingText(SampleText.genesis.utf8)
    let curve = try context.train(Trainer(text, settings: settings, backend: context.backend))
    var layers = example.layers
    layers.inputSize = 2
    let adding = try context.train(
      Trainer(
        .adding,
        settings: TrainingSettings(
          adding: layers, sequenceLength: Self.length, updates: context.updates(600), seed: seed),
        backend: context.backend))
    let count = example.layers.parameterDescriptions.reduce(0) { $0 + $1.shape.count }
    example.row.set("parameters", Double(count))
    example.row.set("bytes", Double(count * ElementType.float32.byteCount))
    example.row.add("updatesPerSecond", Double(curve.steps) / curve.seconds)
    example.row.add("bitsPerByte", curve.evaluations.last?.bitsPerByte ?? .nan)
    example.row.add("addingError", adding.finalLoss)
    context.advance()
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
