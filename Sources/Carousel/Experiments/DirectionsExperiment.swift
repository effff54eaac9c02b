import CarouselFormats
import CarouselModel
import CarouselTraining
import Foundation

/// `directions`: what a layer knows at a step whose answer stands before it or after it.
struct DirectionsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private let length: Int, hiddenSize: Int, updates: Int
  private static var testCount: Int { 512 }

  init(_ context: ExperimentContext<B>) {
    self.context = context
    length = context.sequenceLength(MarkedSymbols.standardLength)
    hiddenSize = context.hiddenSize(32)
    updates = context.updates(400)
  }

  private struct Case {
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
    /// The accuracy of each seed by distance, from −(T − 1) to T − 1: how far the evidence lies after the
    /// step that is asked for.
    var accuracies: [[Double]] = []
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { cell in
      Direction.allCases.map { makeCase(cell, $0) }
    }
    try context.measure(&cases, measure)
    var result = ExperimentResult(
      context, explanation: explanation,
      columns: [
        .init("parameters", "parameters", .count),
        .init("pastAccuracy", "accuracy, evidence before", .percent),
        .init("futureAccuracy", "accuracy, evidence after", .percent),
        .init("accuracy", "accuracy", .percent),
      ], rows: cases.map(\.row))
    let measured = cases.filter { !$0.accuracies.isEmpty }
    result.finding = Self.finding(measured)
    result.figures = figures(measured)
    result.notes = [
      "Chance is 50 %. Each network has \(updates) updates of 32 sequences and is tested on "
        + "\(Self.testCount) others.",
      "The sequences are synthetic: \(length) symbols, one of which, at a place drawn uniformly, is A or B. "
        + "'carousel train tag' reads such a file: a line for each symbol and its tag, an empty line between "
        + "sequences.",
    ]
    return result
  }

  private func makeCase(_ cell: Cell, _ direction: Direction) -> Case {
    var layers = RecurrentConfiguration(
      experiment: cell, inputSize: 16, hiddenSize: hiddenSize)
    layers.direction = direction
    return Case(
      layers: layers,
      row: ExperimentResult.Row(
        "\(cell.rawValue), \(direction.rawValue)",
        command: settings(layers, context.settings.seed)
          .command(for: .tag, file: context.experiment.dataFile)))
  }

  private func settings(_ layers: RecurrentConfiguration, _ seed: UInt64) -> TrainingSettings {
    var settings = TrainingSettings(
      experiment: layers, sequenceLength: length, updates: updates, seed: seed)
    settings.validation = 0
    return settings
  }

  private var explanation: [String] {
    [
      """
      Of \(length) symbols one is A or B, and the tag of every symbol is that letter. At the steps before it the \
      answer lies in the future, at the steps after it in the past.
      """,
      """
      A bidirectional layer is two layers with weights of their own (Schuster & Paliwal 1997): \
      →h_t = f(→W·x_t + →R·→h_(t−1)) from the first step on, ←h_t = f(←W·x_t + ←R·←h_(t+1)) from the last step \
      back, and its output is y_t = [→h_t, ←h_t]. So y_t depends on every x, where →h_t depends on x_1 … x_t \
      alone and ←h_t on x_t … x_T alone.
      """,
    ]
  }

  private func measure(_ example: inout Case, _ seed: UInt64) throws {
    try context.begin("\(example.row.name), seed \(seed)")
    let examples = try MarkedSymbols.training(seed: seed, length: length)
      .trainingExamples(seed: seed)
    let trainer = try Trainer(
      examples, settings: settings(example.layers, seed), backend: context.backend)
    _ = try context.train(trainer)
    let accuracies = try self.accuracies(trainer, seed)
    example.accuracies.append(accuracies.all)
    example.row.set(
      "parameters",
      Double(trainer.network.parameters.descriptions.reduce(0) { $0 + $1.shape.count }))
    example.row.add("pastAccuracy", accuracies.past)
    example.row.add("futureAccuracy", accuracies.future)
    example.row.add("accuracy", accuracies.total)
    context.advance()
  }

  /// The accuracies on other sequences, by the distance from the evidence to the step.
  private func accuracies(
    _ trainer: Trainer<B>, _ seed: UInt64
  ) throws -> (all: [Double], past: Double, future: Double, total: Double) {
    let (T, N) = (length, Self.testCount)
    let data = MarkedSymbols(seed: seed &+ 1 << 32, count: N, length: T)
    let words = trainer.dataDescription?.words ?? []
    let classes = trainer.dataDescription?.classes ?? []
    let pass = try NetworkPass(trainer.network, sequenceLength: T, batchSize: N, purpose: .outputs)
    var tokens = [Int32](repeating: 0, count: T * N)
    for n in 0..<N {
      for t in 0..<T {
        let word = data.sequences[n].symbols[t]
        tokens[t * N + n] = words.firstIndex(of: word).map { Int32($0 + 1) } ?? 0
      }
    }
    try pass.forward(tokens: tokens)
    let width = trainer.network.configuration.outputSize
    let logits = try context.backend.read(pass.logits, count: T * N * width)
    var right = [Int](repeating: 0, count: 2 * T - 1)
    var all = right
    for n in 0..<N {
      let sequence = data.sequences[n]
      for t in 0..<T {
        let row = logits[(t * N + n) * width..<(t * N + n + 1) * width]
        let largest = row.indices.max { row[$0] < row[$1] }.map { $0 - row.startIndex } ?? 0
        let place = sequence.place - t + T - 1
        all[place] += 1
        right[place] += classes[largest] == sequence.tag ? 1 : 0
      }
    }
    func share(_ places: Range<Int>) -> Double {
      Double(right[places].reduce(0, +)) / Double(max(all[places].reduce(0, +), 1))
    }
    return (
      (0..<2 * T - 1).map { all[$0] == 0 ? .nan : share($0..<$0 + 1) }, share(0..<T - 1),
      share(T..<2 * T - 1), share(0..<2 * T - 1)
    )
  }
}

extension DirectionsExperiment {
  private static func finding(_ cases: [Case]) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    let parts = cases.map { example in
      func text(_ key: String) -> String {
        let all = example.row.all(key).map { $0 * 100 }
        return (all.span ?? "–") + " %"
      }
      return "\(example.row.name): \(text("pastAccuracy")) before, \(text("futureAccuracy")) after"
    }
    let holds = cases.allSatisfy { example in
      let (past, future) = (example.row.all("pastAccuracy"), example.row.all("futureAccuracy"))
      let isChance = { (value: Double) in abs(value - 0.5) < 0.05 }
      switch example.layers.direction {
      case .forward: return past.allSatisfy { $0 >= 0.99 } && future.allSatisfy(isChance)
      case .reverse: return future.allSatisfy { $0 >= 0.99 } && past.allSatisfy(isChance)
      case .bidirectional: return (past + future).allSatisfy { $0 >= 0.99 }
      }
    }
    return
      (holds
      ? "With every seed a layer of one direction is at chance where the evidence lies on its far side, and a "
        + "bidirectional one is right on both sides ("
      : "Not with every seed is a layer of one direction at chance (within 5 points) on its far side and right "
        + "(99 %) on its near one, and a bidirectional layer on both (")
      + "evidence before and after the step: " + parts.joined(separator: "; ") + ")."
  }

  private func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    guard !cases.isEmpty else { return [] }
    let series = cases.enumerated().map { index, example in
      LineChart.Series(
        example.row.name,
        points: (0..<2 * length - 1).map { place in
          let values = example.accuracies.map { $0[place] * 100 }.filter(\.isFinite)
          return LineChart.Point(
            x: Double(place - length + 1), y: values.mean,
            spread: values.count > 1 ? (values.min() ?? 0)...(values.max() ?? 0) : nil)
        }, style: index % 3 == 1 ? .dashed : .line, colour: index)
    }
    return [
      ExperimentResult.Figure(
        name: "distance",
        picture: LineChart(
          "Accuracy by the distance to the evidence",
          x: LineChart.Axis("steps to the evidence: before the step (left), after it (right)"),
          y: LineChart.Axis("accuracy, %", including: 40...100), series: series,
          marks: [LineChart.Mark(y: 50, name: "chance")]),
        caption: """
          At 0 the symbol itself is A or B. The mean over the seeds, with a band from the least to the largest.
          """)
    ]
  }
}
