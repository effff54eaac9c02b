import CarouselFormats
import CarouselModel
import CarouselTraining
import Foundation

/// `gradients`: what is left of a gradient on its way back through the steps, before and after training.
struct GradientsExperiment<B: Backend> {
  private let context: ExperimentContext<B>
  let length: Int, updates: Int
  private let hiddenSize: Int
  private static var batchSize: Int { 8 }

  init(_ context: ExperimentContext<B>) {
    self.context = context
    length = context.sequenceLength(60)
    hiddenSize = context.hiddenSize(64)
    updates = context.updates(250)
  }

  /// A network, and what was measured of it.
  struct Case {
    let configuration: RecurrentConfiguration
    /// What the spectral radius of W_hh is made; nil leaves it as drawn.
    let radius: Double?
    var row: ExperimentResult.Row
    /// The norms of the first seed, before and after training.
    var before: [GradientNorm] = [], after: [GradientNorm] = []

    var cell: Cell { configuration.cell }
    var forgetBias: Double? { configuration.options.forgetBias }

    init(_ cell: Cell, hiddenSize: Int, radius: Double? = nil, forgetBias: Double? = nil) {
      configuration = RecurrentConfiguration(
        cell: cell, inputSize: 2, hiddenSize: hiddenSize,
        options: CellOptions(forgetBias: forgetBias))
      self.radius = radius
      row = ExperimentResult.Row(
        cell.rawValue + (radius.map { ", radius \($0.formatted())" } ?? "")
          + (forgetBias.map { ", forget bias \($0.formatted())" } ?? ""))
    }
  }

  /// Before training first, of all cases and seeds, then after it, and at last what clipping does: a budget that
  /// is too small leaves out what takes longest.
  func run() throws -> ExperimentResult {
    var cases = context.cells.flatMap(makeCases)
    var clipping = ClippingCurves()
    let seeds = context.settings.allSeeds
    let clips = context.cells.contains(.rnn)
    try context.measure((2 * cases.count + (clips ? 1 : 0)) * seeds.count) {
      for measurement in [measureBefore, measureAfter] {
        for seed in seeds {
          for index in cases.indices {
            try context.begin("\(cases[index].row.name), seed \(seed)")
            try measurement(&cases[index], seed)
            context.advance()
          }
        }
      }
      for seed in clips ? seeds : [] {
        try context.begin("clipping, seed \(seed)")
        try measure(&clipping, seed)
        context.advance()
      }
    }
    var result = ExperimentResult(
      context, explanation: explanation,
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
      "An RNN's W_hh is drawn, then scaled to the spectral radius; the commands show it as drawn, with a radius "
        + "near 0.58 for 64 units.",
      "Trained: after \(updates) updates on the adding problem. Always predicting the mean has the error 0.167.",
    ]
    return result
  }

  private func makeCases(_ cell: Cell) -> [Case] {
    var cases = [Case(cell, hiddenSize: hiddenSize)]
    if cell == .rnn {
      cases = [0.6, 1, 1.4].map { Case(cell, hiddenSize: hiddenSize, radius: $0) }
    } else if cell == .lstm {
      cases = [0, 1, 3].map { Case(cell, hiddenSize: hiddenSize, forgetBias: $0) }
    }
    for index in cases.indices {
      let example = cases[index]
      let training = settings(example, context.settings.seed).command(for: .adding)
      let bias = example.forgetBias.map { " --forget-bias \($0.formatted())" } ?? ""
      cases[index].row.command = """
        carousel gradients --cell \(cell.rawValue) --input-size 2 --hidden-size \(hiddenSize) \
        --sequence-length \(length)\(bias)
        \(training)
        """
    }
    return cases
  }

  private var explanation: [String] {
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

  private func measureBefore(_ example: inout Case, _ seed: UInt64) throws {
    let found = try flow(
      example.configuration, example.parameters(seed), input(seed), seed)
    if example.before.isEmpty { example.before = found.norms }
    example.note(found, "")
  }

  /// The same after some hundred updates on the adding problem.
  private func measureAfter(_ example: inout Case, _ seed: UInt64) throws {
    let trainer = try trainer(example, seed, clipNorm: 1)
    let curve = try context.train(trainer)
    let trained = Dictionary(
      uniqueKeysWithValues: try trainer.tensors().compactMap { name, tensor in
        name.hasPrefix("recurrent.") ? (String(name.dropFirst(10)), tensor) : nil
      })
    let found = try flow(example.configuration, trained, input(seed), seed)
    if example.after.isEmpty { example.after = found.norms }
    example.note(found, "trained")
    example.row.add("trainedLoss", curve.finalLoss)
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

  private func input(_ seed: UInt64) throws -> Tensor {
    let data = try SyntheticData(
      .adding, length: length, batchSize: Self.batchSize, seed: seed, part: .test)
    guard case .features(let values) = data.input(0) else { return Tensor(zeros: [0]) }
    return Tensor([length, Self.batchSize, 2], values)
  }

  private func settings(_ example: Case, _ seed: UInt64) -> TrainingSettings {
    TrainingSettings(
      experiment: example.configuration, sequenceLength: length, updates: updates, rate: 0.003,
      seed: seed)
  }

  /// Every update is logged where it is not clipped as usual.
  private func trainer(
    _ example: Case, _ seed: UInt64, clipNorm: Double, logEvery: Int = TrainingSettings.never
  ) throws -> Trainer<B> {
    var settings = settings(example, seed)
    (settings.clipNorm, settings.logEvery) = (clipNorm, logEvery)
    let named = try example.parameters(seed).map { ("recurrent." + $0.key, $0.value) }
    return try Trainer(.adding, settings: settings, backend: context.backend) { _ in
      InitialWeights(tensors: Dictionary(uniqueKeysWithValues: named))
    }
  }

  /// Trains the RNN with the largest radius with and without clipping.
  private func measure(_ curves: inout ClippingCurves, _ seed: UInt64) throws {
    let example = Case(.rnn, hiddenSize: hiddenSize, radius: 1.4)
    // A bound that no gradient reaches has the norms measured and cuts nothing.
    for (bound, isClipped) in [(1.0, true), (1e30, false)] {
      let curve = try context.train(trainer(example, seed, clipNorm: bound, logEvery: 1))
      let norms = curve.lines.map { $0.gradientNorm ?? .nan }
      curves.add(norms, curve.finalLoss, isClipped: isClipped)
    }
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
    _ flow: (norms: [GradientNorm], lyapunov: Double), _ prefix: String
  ) {
    func key(_ name: String) -> String {
      prefix.isEmpty ? name : prefix + name.prefix(1).uppercased() + name.dropFirst()
    }
    row.add(key("firstNorm"), flow.norms.first?.hidden ?? .nan)
    row.add(key("slope"), gradientSlope(flow.norms.map { $0.cell ?? $0.hidden }))
    row.add(key("lyapunov"), flow.lyapunov)
  }
}
