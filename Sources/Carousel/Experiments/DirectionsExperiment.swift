import CarouselFormats
import CarouselModel
import CarouselTraining
import Foundation

/// `directions`: what a layer knows at a step whose answer stands before it or after it.
struct DirectionsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var length: Int { 20 }
  private static var hiddenSize: Int { 32 }
  private static var testCount: Int { 512 }

  init(_ context: ExperimentContext<B>) { self.context = context }

  private struct Case {
    let layers: RecurrentConfiguration
    var row: ExperimentResult.Row
    /// The accuracy of each seed by distance, from −(T − 1) to T − 1: how far the evidence lies after the
    /// step that is asked for.
    var accuracies: [[Double]] = []
  }

  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap { cell in
      Direction.allCases.map { Self.makeCase(cell, $0, updates: context.updates(400)) }
    }
    try context.measure(&cases, measure)
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("parameters", "parameters", .count),
        .init("pastAccuracy", "accuracy, evidence before", .percent),
        .init("futureAccuracy", "accuracy, evidence after", .percent),
        .init("accuracy", "accuracy", .percent),
      ], rows: cases.map(\.row))
    let measured = cases.filter { !$0.accuracies.isEmpty }
    result.finding = Self.finding(measured)
    result.figures = Self.figures(measured)
    result.notes = [
      "Chance is 50 %. Each network has \(context.updates(400)) updates of 32 sequences and is tested on "
        + "\(Self.testCount) others.",
      "The sequences are synthetic: 20 symbols, one of which, at a place drawn uniformly, is A or B. "
        + "'carousel train tag' reads such a file: a line for each symbol and its tag, an empty line between "
        + "sequences.",
    ]
    return result
  }

  private static func makeCase(_ cell: Cell, _ direction: Direction, updates: Int) -> Case {
    var layers = RecurrentConfiguration(
      experiment: cell, inputSize: 16, hiddenSize: hiddenSize)
    layers.direction = direction
    return Case(
      layers: layers,
      row: ExperimentResult.Row(
        "\(cell.rawValue), \(direction.rawValue)",
        command: """
          carousel train tag FILE \(layers.words) --direction \(direction.rawValue) \
          --learning-rate 0.01 --schedule constant \
          --embedding-size 16 --batch-size 32 --max-steps \(updates)
          """))
  }

  private static var explanation: [String] {
    [
      """
      Of 20 symbols one is A or B, and the tag of every symbol is that letter. At the steps before it the answer \
      lies in the future, at the steps after it in the past.
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
    let examples = try MarkedSymbols(seed: seed, count: 1024, length: Self.length)
      .trainingExamples(seed: seed)
    var settings = TrainingSettings.defaults(for: .tag)
    settings.recurrent = example.layers
    settings.batchSize = 32
    settings.sequenceLength = Self.length
    settings.schedule = LearningRateSchedule(.constant, peak: 0.01)
    settings.bounds = TrainingBounds(maxSteps: context.updates(400))
    settings.evaluateEvery = TrainingSettings.never
    settings.seed = seed
    let trainer = try Trainer(examples, settings: settings, backend: context.backend)
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
    let (T, N) = (Self.length, Self.testCount)
    let data = MarkedSymbols(seed: seed &+ 1 << 32, count: N, length: T)
    let words = trainer.dataDescription?.words ?? []
    let classes = trainer.dataDescription?.classes ?? []
    let pass = try NetworkPass(trainer.network, sequenceLength: T, batchSize: N, training: false)
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

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
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

/// Sequences of symbols of which one, A or B, decides the tag of all.
private struct MarkedSymbols {
  struct Sequence {
    let symbols: [String]
    let place: Int
    var tag: String { symbols[place] }
  }

  let sequences: [Sequence]

  /// Draws sequences; a function of the seed.
  init(seed: UInt64, count: Int, length: Int) {
    let random = Philox(seed: seed, stream: RandomStream.input(11))
    let fillers = ["p", "q", "r", "s", "t", "u"]
    sequences = (0..<count).map { n in
      func draw(_ index: Int, _ bound: Int) -> Int {
        Int(random.uniform(n * (length + 2) + index) * Double(bound))
      }
      let place = draw(length, length)
      return Sequence(
        symbols: (0..<length).map { t in
          t == place ? ["A", "B"][draw(length + 1, 2)] : fillers[draw(t, fillers.count)]
        }, place: place)
    }
  }

  /// The sequences as `carousel train tag` reads them from a file.
  private var text: String {
    sequences.map { sequence in
      sequence.symbols.map { "\($0) \(sequence.tag)\n" }.joined()
    }.joined(separator: "\n")
  }

  /// The sequences as examples to train on, of which a tenth is held out.
  func trainingExamples(seed: UInt64) throws -> TrainingExamples {
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("carousel-\(UUID().uuidString).txt").path
    try AtomicFile.write(text, to: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try TrainingExamples(.tag, settings: DataSettings(file: path), seed: seed)
  }
}
