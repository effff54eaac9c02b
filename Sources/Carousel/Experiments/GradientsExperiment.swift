import CarouselFormats
import CarouselModel
import CarouselTraining
import Foundation

/// `gradients`: what is left of a gradient on its way back through the steps, before and after training.
struct GradientsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  private static var length: Int { 60 }
  private static var hiddenSize: Int { 64 }
  private static var batchSize: Int { 8 }

  init(_ context: ExperimentContext<B>) { self.context = context }

  /// A network, and what was measured of it.
  fileprivate struct Case {
    let cell: Cell
    /// What the spectral radius of W_hh is made; nil leaves it as drawn.
    let radius: Double?
    let forgetBias: Double?
    var row: ExperimentResult.Row
    /// The norms of the first seed, before and after training.
    var before: [GradientNorm] = [], after: [GradientNorm] = []

    var configuration: RecurrentConfiguration {
      RecurrentConfiguration(
        cell: cell, inputSize: 2, hiddenSize: hiddenSize,
        options: CellOptions(forgetBias: forgetBias))
    }

    init(_ cell: Cell, radius: Double? = nil, forgetBias: Double? = nil) {
      (self.cell, self.radius, self.forgetBias) = (cell, radius, forgetBias)
      let name =
        cell.rawValue + (radius.map { ", radius \($0.formatted())" } ?? "")
        + (forgetBias.map { ", forget bias \($0.formatted())" } ?? "")
      let options =
        "--cell \(cell.rawValue) --hidden-size \(hiddenSize) --sequence-length \(length)"
        + (forgetBias.map { " --forget-bias \($0.formatted())" } ?? "")
      row = ExperimentResult.Row(
        name,
        command: """
          carousel gradients \(options)
          carousel train adding \(options) --learning-rate 0.003 --schedule constant
          """)
    }
  }

  func run() throws -> ExperimentResult {
    var cases: [Case] = []
    for cell in context.cells {
      switch cell {
      case .rnn: cases += [0.6, 1, 1.4].map { Case(cell, radius: $0) }
      case .lstm: cases += [0, 1, 3].map { Case(cell, forgetBias: $0) }
      case .gru, .mingru, .slstm: cases.append(Case(cell))
      }
    }
    let clips = context.cells.contains(.rnn)
    var clipping = ClippingCurves()
    let seeds = context.settings.allSeeds
    try context.measure((cases.count + (clips ? 1 : 0)) * seeds.count) {
      for seed in seeds {
        for index in cases.indices {
          try context.begin("\(cases[index].row.name), seed \(seed)")
          try measure(&cases[index], seed, isFirst: seed == seeds[0])
        }
        guard clips else { continue }
        try context.begin("clipping, seed \(seed)")
        try measure(&clipping, seed)
      }
    }
    var result = ExperimentResult(
      context, explanation: Self.explanation,
      columns: [
        .init("firstNorm", "‖∂loss/∂h₁‖"), .init("slope", "slope, nats a step"),
        .init("lyapunov", "Lyapunov exponent, nats a step"),
        .init("trainedFirstNorm", "‖∂loss/∂h₁‖, trained"), .init("trainedSlope", "slope, trained"),
        .init("trainedLyapunov", "Lyapunov exponent, trained"),
        .init("trainedLoss", "error, trained"),
      ], rows: cases.map(\.row))
    let measured = cases.filter { !$0.before.isEmpty }
    result.finding = finding(measured, clipping)
    result.figures = figures(measured, clipping)
    result.notes = [
      "An RNN's W_hh is drawn, then scaled to the spectral radius; 'carousel gradients' shows it as drawn, with "
        + "a radius near 0.58 for 64 units.",
      "Always predicting the mean has the error 0.167.",
    ]
    return result
  }

  private static var explanation: [String] {
    [
      """
      On its way from step T back to step t the gradient is multiplied by the Jacobians of all steps between: \
      ∂loss/∂h_t = ∂loss/∂h_T · J_T · J_(T−1) ⋯ J_(t+1), with J = diag(1 − h²)·W_hh for an RNN. Where the \
      Jacobians shrink vectors, the product vanishes exponentially with T − t; where they stretch them, it \
      explodes (Bengio et al. 1994, Pascanu et al. 2013). An LSTM has a second way, ∂c_t/∂c_(t−1) = f: with \
      gates f near 1 the gradient of c keeps its size.
      """,
      """
      The loss is a random projection of h_T with ‖∂loss/∂h_T‖ = 1, over \(length) steps of sequences of the \
      adding problem. The slope is that of ln ‖∂loss/∂h_t‖ over T − t (of c where there is one). The Lyapunov \
      exponent is computed the other way round, from how fast two close states part on their way forward: both \
      are the growth of the same product of Jacobians.
      """,
    ]
  }

  /// Norms, slope and exponent before training, and again after some hundred updates on the adding problem.
  private func measure(_ example: inout Case, _ seed: UInt64, isFirst: Bool) throws {
    let configuration = example.configuration
    let parameters = try example.parameters(seed)
    let x = try Self.input(seed)
    let before = try flow(configuration, parameters, x, seed)
    try context.check()
    let trainer = try trainer(configuration, parameters, seed, clipNorm: 1)
    let curve = try context.train(trainer)
    let trained = Dictionary(
      uniqueKeysWithValues: try trainer.network.parameters.tensors().compactMap { name, tensor in
        name.hasPrefix("recurrent.") ? (String(name.dropFirst(10)), tensor) : nil
      })
    let after = try flow(configuration, trained, x, seed)
    example.note(before, "", "")
    example.note(after, "trained", curve.diverged ? "diverged" : "")
    example.row.add("trainedLoss", curve.finalLoss)
    if isFirst { (example.before, example.after) = (before.norms, after.norms) }
    context.advance()
  }

  private func flow(
    _ configuration: RecurrentConfiguration, _ parameters: [String: Tensor], _ x: Tensor,
    _ seed: UInt64
  ) throws -> (norms: [GradientNorm], lyapunov: Double) {
    let flow = try GradientFlow(configuration, parameters: parameters, x: x, seed: seed)
    return (
      try flow.norms(on: context.backend),
      try LyapunovExponent(configuration, parameters: parameters, on: context.backend)
        .value(x: x, seed: seed)
    )
  }

  private static func input(_ seed: UInt64) throws -> Tensor {
    let data = try SyntheticData(
      .adding, length: length, batchSize: batchSize, seed: seed, part: .test)
    guard case .features(let values) = data.input(0) else { return Tensor(zeros: [0]) }
    return Tensor([length, batchSize, 2], values)
  }

  private func trainer(
    _ configuration: RecurrentConfiguration, _ parameters: [String: Tensor], _ seed: UInt64,
    clipNorm: Double
  ) throws -> Trainer<B> {
    var settings = TrainingSettings(
      recurrent: configuration, bounds: TrainingBounds(maxSteps: context.updates(250)))
    settings.sequenceLength = Self.length
    settings.batchSize = 32
    settings.schedule = LearningRateSchedule(.constant, peak: 0.003)
    settings.clipNorm = clipNorm
    settings.logEvery = 1
    settings.evaluateEvery = TrainingSettings.never
    settings.seed = seed
    let named = parameters.map { ("recurrent." + $0.key, $0.value) }
    return try Trainer(.adding, settings: settings, backend: context.backend) { _ in
      InitialWeights(tensors: Dictionary(uniqueKeysWithValues: named))
    }
  }

  /// Trains the RNN with the largest radius with and without clipping.
  private func measure(_ curves: inout ClippingCurves, _ seed: UInt64) throws {
    let example = Case(.rnn, radius: 1.4)
    let parameters = try example.parameters(seed)
    // A bound that no gradient reaches has the norms measured and cuts nothing.
    for (bound, isClipped) in [(1.0, true), (1e30, false)] {
      let trainer = try trainer(example.configuration, parameters, seed, clipNorm: bound)
      let curve = try context.train(trainer)
      let norms = curve.lines.map { $0.gradientNorm ?? .nan }
      let losses = curve.lines.map { $0.trainingLoss ?? .nan }
      curves.add(norms, losses, curve.finalLoss, isClipped: isClipped)
    }
    context.advance()
  }
}

extension GradientsExperiment.Case {
  /// The parameters drawn by a seed, W_hh scaled to the radius.
  fileprivate func parameters(_ seed: UInt64) throws -> [String: Tensor] {
    var parameters = configuration.drawnParameters(seed: seed)
    if let radius, let weight = parameters["weight_hh_l0"] {
      let factor = radius / spectralRadius(of: weight)
      parameters["weight_hh_l0"] = Tensor(weight.shape, weight.values.map { $0 * factor })
    }
    return parameters
  }

  /// Adds what was measured with a seed.
  fileprivate mutating func note(
    _ flow: (norms: [GradientNorm], lyapunov: Double), _ prefix: String, _ end: String
  ) {
    func key(_ name: String) -> String {
      prefix.isEmpty ? name : prefix + name.prefix(1).uppercased() + name.dropFirst()
    }
    row.add(key("firstNorm"), flow.norms.first?.hidden ?? .nan)
    row.add(key("slope"), gradientSlope(flow.norms.map { $0.cell ?? $0.hidden }))
    row.add(key("lyapunov"), flow.lyapunov)
  }
}

/// What training an RNN with exploding gradients does with and without a bound on their norm.
private struct ClippingCurves {
  /// The norms and losses at each update of the first seed.
  private(set) var clipped: (norms: [Double], losses: [Double]) = ([], [])
  private(set) var free: (norms: [Double], losses: [Double]) = ([], [])
  /// The largest norms, and the errors at the end, of all seeds.
  private(set) var largest: [Double] = [], clippedLosses: [Double] = [], freeLosses: [Double] = []

  mutating func add(_ norms: [Double], _ losses: [Double], _ loss: Double, isClipped: Bool) {
    if isClipped {
      if clipped.norms.isEmpty { clipped = (norms, losses) }
      clippedLosses.append(loss)
    } else {
      if free.norms.isEmpty { free = (norms, losses) }
      freeLosses.append(loss)
      largest.append(norms.filter(\.isFinite).max() ?? .nan)
    }
  }
}

extension GradientsExperiment {
  private func finding(_ cases: [Case], _ clipping: ClippingCurves) -> String {
    guard !cases.isEmpty else { return "Nothing was measured." }
    func sentence(_ cell: Cell) -> String? {
      let own = cases.filter { $0.cell == cell }
      guard !own.isEmpty else { return nil }
      let parts = own.map {
        "\(scientificText($0.row.all("firstNorm").geometricMean)) (\($0.row.name))"
      }
      return parts.joined(separator: ", ")
    }
    let left = Cell.allCases.compactMap(sentence).joined(separator: ", ")
    var words = [
      "Of a gradient of 1 at step \(Self.length) there is left at step 1, as a geometric mean over the seeds: "
        + left + "."
    ]
    let rnn = cases.filter { $0.cell == .rnn }
    if let low = rnn.first, let high = rnn.last, low.radius != high.radius {
      let vanishes = low.row.all("slope").allSatisfy { $0 < 0 }
      let explodes = high.row.all("slope").allSatisfy { $0 > 0 }
      words.append(
        "With the radius \((low.radius ?? 0).formatted()) it \(vanishes ? "vanishes" : "does not always vanish"), "
          + "with \((high.radius ?? 0).formatted()) it "
          + (explodes
            ? "explodes with every seed."
            : "does not explode with every seed: tanh's slope holds it."))
    }
    let lstm = cases.filter { $0.cell == .lstm }.sorted {
      ($0.forgetBias ?? 0) < ($1.forgetBias ?? 0)
    }
    if lstm.count > 1 {
      let rises = zip(lstm, lstm.dropFirst()).allSatisfy { lower, higher in
        zip(lower.row.all("slope"), higher.row.all("slope")).allSatisfy(<)
      }
      words.append(
        rises
          ? "A larger forget bias keeps more of it, with every seed."
          : "A larger forget bias does not keep more of it with every seed.")
    }
    let pairs = cases.flatMap { zip($0.row.all("slope"), $0.row.all("lyapunov")) }
      .filter { $0.isFinite && $1.isFinite }
    if let worst = pairs.map({ abs($0 - $1) }).max() {
      words.append(
        "Slope and Lyapunov exponent differ by at most \(worst.readable) nats a step before training."
      )
    }
    if let largest = clipping.largest.max(), !clipping.freeLosses.isEmpty {
      words.append(
        "Without clipping the norm of all gradients of the RNN with the radius 1.4 rises to \(largest.readable) "
          + "in training, and the error is \(clipping.freeLosses.mean.readable) in the end; with a bound of 1 it is "
          + "\(clipping.clippedLosses.mean.readable).")
    }
    return words.joined(separator: " ")
  }

  private func figures(_ cases: [Case], _ clipping: ClippingCurves) -> [ExperimentResult.Figure] {
    func plot(_ norms: KeyPath<Case, [GradientNorm]>, _ when: String) -> LineChart {
      GradientPlot(
        cases.map { GradientPlot.Line(name: $0.row.name, norms: $0[keyPath: norms]) },
        label: "The norm of the gradient at each step, \(when)"
      ).chart
    }
    guard !cases.isEmpty else { return [] }
    var figures = [
      ExperimentResult.Figure(
        name: "before", picture: plot(\.before, "before training"),
        caption: "Before training, the first seed: solid ∂loss/∂h, dashed ∂loss/∂c."),
      ExperimentResult.Figure(
        name: "after", picture: plot(\.after, "after training"),
        caption: "The same after \(context.updates(250)) updates on the adding problem."),
    ]
    guard !clipping.free.norms.isEmpty else { return figures }
    figures.append(
      ExperimentResult.Figure(
        name: "clipping",
        picture: LineChart(
          "The norm of the gradient in training, with and without clipping",
          x: LineChart.Axis("update"),
          y: LineChart.Axis("norm of all gradients before it is cut", scale: .logarithmic),
          series: [
            LineChart.Series("no clipping", values: clipping.free.norms, colour: 1),
            LineChart.Series("cut to 1", values: clipping.clipped.norms, colour: 0),
          ], marks: [LineChart.Mark(y: 1, name: "the bound")]),
        caption: """
          What clipping does: an RNN with the radius 1.4 learns to add. Where the norm is above the bound, the \
          gradient keeps its direction and gets the norm 1.
          """))
    return figures
  }
}

/// A number with two digits and its power of ten: `3.1e-12`; plain near 1.
func scientificText(_ value: Double) -> String {
  guard value.isFinite, value != 0, !(0.01..<1000).contains(value.magnitude) else {
    return value.readable
  }
  return String(format: "%.1e", value)
}
