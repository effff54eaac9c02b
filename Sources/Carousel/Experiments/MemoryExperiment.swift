import CarouselFormats
import CarouselModel
import CarouselTraining

/// `memory`: over how many steps each cell learns to add, and how much of a sequence it can repeat.
struct MemoryExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private let hiddenSize: Int, updates: Int
  /// Ten symbols of eight do not fit a state of 32 units.
  private let copyHiddenSize: Int, copyUpdates: Int
  /// The most updates at `comparedLength` of a network that failed before.
  private let comparedUpdates: Int
  private static var lengths: [Int] { [25, 50, 100, 200, 400] }
  /// The length that every network is trained on, whether it solved a shorter one or not.
  private static var comparedLength: Int { 200 }
  private static var evaluateEvery: Int { 50 }
  /// An error below this counts as solved; the mean alone has 0.167.
  private static var solvedError: Double { 0.01 }
  /// The share of a network without memory's loss below which a copy counts as solved.
  private static var copiedShare: Double { 0.05 }

  init(_ context: ExperimentContext<B>) {
    self.context = context
    hiddenSize = context.hiddenSize(32)
    updates = context.updates(1000)
    copyHiddenSize = context.hiddenSize(128)
    copyUpdates = context.updates(600)
    comparedUpdates = context.updates(400)
  }

  /// How far a network has come with a seed.
  private struct Progress {
    var weights: InitialWeights?
    /// The lengths that were measured, with the updates that each took, and whether it began with the weights
    /// of the one before.
    var updates: [(length: Int, count: Int, goesOn: Bool)] = []
    /// The longest length that was solved; whether the next one was not.
    var longest = 0, hasFailed = false
  }

  private struct Case {
    let layers: RecurrentConfiguration
    /// Where the commands keep what was trained.
    let folder: String
    var row: ExperimentResult.Row
    /// Seed by seed.
    var progress: [Progress] = []
    /// The errors of the first seed over the updates at the lengths that it was asked for one by one.
    var curve: [LineChart.Point] = []
    /// The same of copies, as shares of the loss without memory.
    var copyCurve: [LineChart.Point] = []
  }

  /// All networks and seeds at a length before the next length: a budget that is too small leaves out the longest.
  func run() throws -> ExperimentResult {
    var cases = context.cells.map { makeCase($0, isHeld: false) }
    if context.cells.contains(.lstm) { cases.append(makeCase(.lstm, isHeld: true)) }
    let seeds = context.settings.allSeeds
    try context.measure(cases.count * seeds.count * (Self.lengths.count + 1)) {
      for length in Self.lengths {
        // Copy memory takes less time than the longest sequences.
        if length == Self.lengths.last {
          for (place, seed) in seeds.enumerated() {
            for index in cases.indices { try copy(&cases[index], place, seed) }
          }
        }
        for (place, seed) in seeds.enumerated() {
          for index in cases.indices { try add(&cases[index], length, place, seed) }
        }
      }
    }
    for index in cases.indices {
      for progress in cases[index].progress where !progress.updates.isEmpty {
        cases[index].row.add("longest", Double(progress.longest))
        cases[index].row.add("updates", Double(progress.updates.reduce(0) { $0 + $1.count }))
      }
      cases[index].row.command = commands(cases[index])
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [.init("longest", "longest T solved", .count)]
        + Self.lengths.map { .init("error\($0)", "error, T = \($0)") }
        + [
          .init("updates", "updates", .count),
          .init("copied", "longest T copied", .count),
          .init("copyLoss", "copy, T = \(Self.lengths[0]): share of the loss left", .percent),
        ],
      rows: cases.map(\.row))
    result.finding = Self.finding(cases.filter { !$0.row.all("longest").isEmpty })
    result.figures = Self.figures(cases)
    result.notes = [
      "A length counts as solved where the error on about 1,000 other sequences is below 0.01; a network that "
        + "does not solve one within \(updates) updates is not asked for a longer one, but "
        + "trained anew on T = \(Self.comparedLength), for \(comparedUpdates) updates.",
      "Copy: the cross-entropy as a share of that of a network without memory, after at most \(copyUpdates) updates of "
        + "\(copyHiddenSize) units; below \(Int(Self.copiedShare * 100)) % a length counts as copied, and the next one is "
        + "asked for.",
    ]
    return result
  }

  private func makeCase(_ cell: Cell, isHeld: Bool) -> Case {
    Case(
      layers: RecurrentConfiguration(
        experiment: cell, inputSize: 2, hiddenSize: hiddenSize,
        overrides: isHeld ? ["forget": 0] : [:]),
      folder: "runs/\(cell.rawValue)\(isHeld ? "-f0" : "")",
      row: ExperimentResult.Row(isHeld ? "\(cell.rawValue), f = 0" : cell.rawValue))
  }

  /// What the first seed was trained by, length by length.
  private func commands(_ example: Case) -> String {
    let seed = context.settings.seed
    var lines: [String] = []
    var earlier: Int?
    for (length, count, goesOn) in example.progress.first?.updates ?? [] {
      let settings = addingSettings(example, length, seed, updates: count)
      let from = !goesOn ? "" : earlier.map { "--from \(example.folder)-\($0) " } ?? ""
      lines.append(
        settings.command(
          for: .adding,
          more: "--evaluate-every \(Self.evaluateEvery) \(from)--output \(example.folder)-\(length)"
        ))
      earlier = length
    }
    if !example.row.all("copyLoss").isEmpty {
      lines.append(copySettings(example, Self.lengths[0], seed).command(for: .copy))
    }
    return lines.joined(separator: "\n")
  }

  private func addingSettings(
    _ example: Case, _ length: Int, _ seed: UInt64, updates: Int
  ) -> TrainingSettings {
    TrainingSettings(
      experiment: example.layers, sequenceLength: length, updates: updates, seed: seed,
      evaluateEvery: Self.evaluateEvery)
  }

  private func copySettings(_ example: Case, _ length: Int, _ seed: UInt64) -> TrainingSettings {
    var settings = TrainingSettings(
      experiment: example.layers, sequenceLength: length, updates: copyUpdates, seed: seed,
      evaluateEvery: Self.evaluateEvery)
    let task = TrainingSettings.defaults(for: .copy)
    settings.recurrent.inputSize = task.recurrent.inputSize
    settings.recurrent.hiddenSize = copyHiddenSize
    if settings.recurrent.options.forgetBias != nil {
      settings.recurrent.options.forgetBias = task.recurrent.options.forgetBias
    }
    settings.clipNorm = task.clipNorm
    return settings
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
      curriculum, Bengio et al. 2009). One that gave up earlier is trained anew on T = \(comparedLength), so that there \
      all stand side by side. Copy memory asks for 10 symbols again after a pause of T steps, and for longer pauses in \
      the same way; the forget bias is 5 then, since a symbol waits for T + 10 steps.
      """,
    ]
  }

  /// Trains on sequences of a length from where the network has come to, or anew where it has failed before;
  /// if it is to be asked for them.
  private func add(_ example: inout Case, _ length: Int, _ place: Int, _ seed: UInt64) throws {
    if example.progress.count <= place { example.progress.append(Progress()) }
    let progress = example.progress[place]
    guard !progress.hasFailed || length == Self.comparedLength else { return context.advance() }
    try context.begin("adding, \(example.row.name), T = \(length), seed \(seed)")
    let trainer = try Trainer(
      .adding,
      settings: addingSettings(
        example, length, seed, updates: progress.hasFailed ? comparedUpdates : updates),
      backend: context.backend
    ) { _ in progress.hasFailed ? nil : progress.weights }
    let curve = try context.train(trainer) { ($0.validationLoss ?? 1) < Self.solvedError }
    let before = progress.updates.reduce(0) { $0 + $1.count }
    if place == 0, !progress.hasFailed {
      example.curve += curve.evaluations.map {
        LineChart.Point(x: Double(before + $0.step), y: $0.validationLoss ?? .nan)
      }
    }
    example.row.add("error\(length)", curve.finalLoss)
    let goesOn = !progress.hasFailed && progress.longest > 0
    example.progress[place].updates.append((length: length, count: curve.steps, goesOn: goesOn))
    example.progress[place].weights = try trainer.weights()
    if curve.isSolved, !progress.hasFailed {
      example.progress[place].longest = length
    } else {
      example.progress[place].hasFailed = true
    }
    context.advance()
  }

  /// Trains on pauses of each length in turn, with the weights of the one before, until one is not solved.
  private func copy(_ example: inout Case, _ place: Int, _ seed: UInt64) throws {
    var (longest, updates) = (0, 0)
    var weights: InitialWeights?
    for length in Self.lengths {
      try context.begin("copy, \(example.row.name), T = \(length), seed \(seed)")
      let data = try SyntheticData(.copy, length: length, batchSize: 32, seed: seed)
      let trainer = try Trainer(
        .copy, settings: copySettings(example, length, seed), backend: context.backend
      ) { _ in weights }
      let curve = try context.train(trainer) {
        ($0.validationLoss ?? .infinity) < Self.copiedShare * data.baseline
      }
      if place == 0 {
        example.copyCurve += curve.evaluations.map {
          LineChart.Point(
            x: Double(updates + $0.step), y: ($0.validationLoss ?? .nan) / data.baseline)
        }
      }
      updates += curve.steps
      if longest == 0 { example.row.add("copyLoss", curve.finalLoss / data.baseline) }
      guard curve.isSolved else { break }
      longest = length
      weights = try trainer.weights()
    }
    example.row.add("copied", Double(longest))
    context.advance()
  }
}

extension MemoryExperiment {
  /// `T = 400`, or `T = 200 to 400`; `or more` where a longer one was not measured.
  private static func reached(_ example: Case) -> String {
    let measured = example.progress.filter { !$0.updates.isEmpty }
    let all = measured.map(\.longest)
    let (least, most) = (all.min() ?? 0, all.max() ?? 0)
    let isOpen = measured.contains { !$0.hasFailed && $0.longest < (lengths.last ?? 0) }
    if most == 0 { return "\(example.row.name): none" }
    return "\(example.row.name): T = " + (least == most ? "\(least)" : "\(least) to \(most)")
      + (isOpen ? " or more" : "")
  }

  private static func finding(_ cases: [Case]) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    var words =
      "The longest sequences that each network learns to add are, for "
      + cases.map { reached($0) }.joined(separator: "; ") + "."
    func all(_ names: [String], _ key: String) -> [Double] {
      cases.filter { names.contains($0.row.name) }.flatMap { $0.row.all(key) }
    }
    let (gated, others) = (["lstm", "gru"], ["rnn", "lstm, f = 0"])
    if let worst = all(gated, "longest").min(), let best = all(others, "longest").max() {
      words +=
        worst > best
        ? " With every seed the gated cells go further than the RNN and the LSTM whose f is 0."
        : " The gated cells do not go further with every seed, as the textbook says they do."
    }
    let compared = "error\(comparedLength)"
    if let good = all(gated, compared).max(), let bad = all(others, compared).min() {
      words +=
        " At T = \(comparedLength) the error is at most \(good.readable) with gates, and at least \(bad.readable) "
        + "without (always the mean: 0.167)."
    }
    if let good = all(gated, "copyLoss").max(), let bad = all(others, "copyLoss").min() {
      func percent(_ share: Double) -> String { (share * 100).readable }
      words +=
        " Of the loss that a network without memory has in copying after a pause of \(lengths[0]) steps, at most "
        + "\(percent(good)) % are left with gates, and at least \(percent(bad)) % without."
    }
    return words
  }

  private static func figures(_ cases: [Case]) -> [ExperimentResult.Figure] {
    func curves(
      _ name: String, _ title: String, y: LineChart.Axis,
      _ points: KeyPath<Case, [LineChart.Point]>, marks: [LineChart.Mark], caption: String
    ) -> ExperimentResult.Figure? {
      let shown = cases.enumerated().filter { !$0.element[keyPath: points].isEmpty }
      guard !shown.isEmpty else { return nil }
      return ExperimentResult.Figure(
        name: name,
        picture: LineChart(
          title, x: LineChart.Axis("update, of all lengths together"), y: y,
          series: shown.map {
            LineChart.Series(
              $0.element.row.name, points: $0.element[keyPath: points], colour: $0.offset)
          },
          marks: marks),
        caption: caption)
    }
    let measured = cases.filter { !$0.row.all("longest").isEmpty }
    guard !measured.isEmpty else { return [] }
    let longest = ExperimentResult.Figure(
      name: "longest",
      picture: BarChart(
        "The longest T that each network solves", axis: LineChart.Axis("longest T solved"),
        series: ["longest T"],
        groups: measured.map {
          BarChart.Group(
            $0.row.name, [BarChart.Value($0.row.mean("longest"), spread: $0.row.spread("longest"))])
        }),
      caption:
        "The longest T that is solved, the mean over the seeds, with lines from the least to the largest."
    )
    return [
      longest,
      curves(
        "curves", "The error of each network over its updates",
        y: LineChart.Axis("squared error on other sequences", scale: .logarithmic), \.curve,
        marks: [
          LineChart.Mark(y: 1.0 / 6, name: "always the mean"),
          LineChart.Mark(y: solvedError, name: "solved"),
        ],
        caption: "The first seed: where the error falls below 0.01, T doubles and it rises again."),
      curves(
        "copy", "Copy memory: the loss of each network over its updates",
        y: LineChart.Axis("share of the loss without memory"), \.copyCurve,
        marks: [LineChart.Mark(y: 1, name: "without memory")],
        caption:
          "The first seed, from T = \(lengths[0]) on: 10 symbols said again after a pause of T steps."
      ),
    ].compactMap { $0 }
  }
}
