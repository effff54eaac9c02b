import CarouselFormats
import CarouselModel
import CarouselOpenCL

/// A pass of recurrent layers that is timed over and over, its data resident on the device.
public struct RecurrentProfile: Sendable {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// The steps of each sequence, 0 to T; nil means T everywhere.
  public let lengths: [Int]?
  /// Whether a pass is forward and backward, with gradients for x and every parameter, or forward
  /// alone, keeping nothing for a backward pass.
  public let training: Bool
  /// The passes that are timed, and those before that are not.
  public let iterations: Int, warmup: Int
  /// Draws inputs, parameters and dropout masks.
  public let seed: UInt64

  /// Describes the work; throws a usage error where nothing would be timed or there is not one length for
  /// each sequence.
  public init(
    _ configuration: RecurrentConfiguration, sequenceLength: Int, batchSize: Int,
    lengths: [Int]? = nil,
    training: Bool, iterations: Int, warmup: Int, seed: UInt64
  ) throws(CarouselError) {
    guard iterations > 0, warmup >= 0 else {
      throw CarouselError(
        .usage,
        "expected at least 1 pass to time and 0 before, found \(iterations) and \(warmup)")
    }
    if let lengths, lengths.count != batchSize {
      throw CarouselError(
        .usage, "expected a length for each of \(batchSize) sequences, found \(lengths.count)")
    }
    self.configuration = configuration
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.lengths = lengths
    self.training = training
    self.iterations = iterations
    self.warmup = warmup
    self.seed = seed
  }

  /// The floating-point operations of one pass: Σ 2·T·N·G·H·(C+H) over the layers and directions,
  /// three times that with the backward pass, whatever the kernels really do; with lengths, of the
  /// steps that the sequences have.
  public var flops: Double {
    configuration.units.reduce(0) { sum, unit in
      sum + unit.layer.flops(sequenceLength: rows, batchSize: 1, backward: training)
    }
  }

  /// The floating-point operations that the layers of one pass need: no more than `flops`, see
  /// `RecurrentLayer.neededFlops`.
  public var neededFlops: Double {
    let sequences = lengths?.count { $0 > 0 } ?? batchSize
    return configuration.units.reduce(0) { sum, unit in
      sum + unit.layer.neededFlops(rows: rows, sequences: sequences, backward: training)
    }
  }

  /// The steps that all sequences have together.
  private var rows: Int { lengths?.reduce(0, +) ?? sequenceLength * batchSize }

  /// The seconds that each pass takes by the host's clock, from an idle device to an idle device.
  public func wallSeconds<B: Backend>(on backend: B) throws -> [Double] {
    try RecurrentProfilePass(self, on: backend).seconds(of: self, on: backend)
  }
}

/// The buffers of a pass, and how it is queued.
final class RecurrentProfilePass<B: Backend> {
  private let stack: RecurrentStack<B>
  private let final: [RecurrentState<B.Buffer>]
  private let x: B.Buffer
  private let lengths: B.IndexBuffer?
  private let gradients: (y: B.Buffer, x: B.Buffer)?
  private let dropoutSeed: (seed: UInt64, step: Int)?

  init(_ work: RecurrentProfile, on backend: B) throws {
    let configuration = work.configuration
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: work.seed)
    stack = try RecurrentStack(
      configuration, store: store, prefix: "", sequenceLength: work.sequenceLength,
      batchSize: work.batchSize,
      training: work.training)
    final = try stack.makeStates()
    let shapes: (x: Shape, y: Shape) = (
      [work.sequenceLength, work.batchSize, configuration.inputSize],
      [work.sequenceLength, work.batchSize, configuration.outputSize]
    )
    x = try backend.makeBuffer(ComparisonInput.normal(shapes.x, seed: work.seed, index: 0))
    lengths = try work.lengths.map { lengths in
      let buffer = try backend.makeIndexBuffer(count: lengths.count)
      try backend.write(lengths.map(Int32.init), to: buffer)
      return buffer
    }
    gradients =
      work.training
      ? (
        try backend.makeBuffer(ComparisonInput.normal(shapes.y, seed: work.seed, index: 1)),
        try backend.makeBuffer(count: shapes.x.count)
      ) : nil
    dropoutSeed = work.training ? (work.seed, 0) : nil
  }

  /// The seconds of each pass, after those that warm up.
  func seconds(of work: RecurrentProfile, on backend: B) throws -> [Double] {
    for _ in 0..<work.warmup { try run() }
    try backend.synchronize()
    let clock = ContinuousClock()
    return try (0..<work.iterations).map { _ in
      let duration = try clock.measure {
        try run()
        try backend.synchronize()
      }
      return duration / .seconds(1)
    }
  }

  func run() throws {
    try stack.forward(x: x, lengths: lengths, initial: nil, final: final, dropoutSeed: dropoutSeed)
    guard let gradients else { return }
    try stack.backward(
      x: x, lengths: lengths, initial: nil, gradY: gradients.y, gradX: gradients.x,
      dropoutSeed: dropoutSeed)
  }
}

/// Whether one way of computing is faster than another by more than the noise of turns that were taken
/// alternately.
package struct TuningVerdict: Sendable {
  /// The part of the time that it saves, by the median of the turns' ratios; negative where it is slower.
  package let gain: Double
  /// How far the middle half of the ratios spreads: a gain no larger than this is luck.
  package let noise: Double

  /// Compares the seconds of turns: `challenger[i]` was measured beside `rules[i]`, at least once.
  package init(challenger: [Double], rules: [Double]) {
    precondition(challenger.count == rules.count && !rules.isEmpty)
    let ratios = zip(challenger, rules).map { $0 / $1 }.sorted()
    let last = Double(ratios.count - 1)
    func quantile(_ part: Double) -> Double {
      let place = part * last
      let (below, above) = (Int(place), min(Int(place) + 1, ratios.count - 1))
      return ratios[below] + (place - Double(below)) * (ratios[above] - ratios[below])
    }
    gain = 1 - quantile(0.5)
    noise = quantile(0.75) - quantile(0.25)
  }

  /// Whether the gain is more than the noise; not where either is no number.
  package var wins: Bool { gain > noise && gain > 0 }
}

/// What `RecurrentProfile.tune` found.
package struct TuningOutcome: Sendable {
  /// Every way to compute the layers with the least of its medians, in seconds, the fastest first.
  package let choices: [(choice: LayerTuning, medianSeconds: Double)]
  /// The fastest way but the rules'.
  package let best: LayerTuning
  /// That way beside the rules', in turns of their own.
  package let verdict: TuningVerdict

  /// What is worth keeping: nil where the rules are as fast within the noise.
  package var winner: LayerTuning? { verdict.wins ? best : nil }
}

extension RecurrentProfile {
  /// Measures every choice of a backend's tuning and then the fastest beside the rules; the layers are
  /// computed in the winner's way from then on.
  ///
  /// The choices are measured in turn, `rounds` times, so that what else the machine does falls on all of
  /// them; the least of a choice's medians counts. The fastest of many is often the luckiest: whether it
  /// wins is decided by `turns` of it and the rules alone, alternately. `progress` is told what is being done.
  package func tune(
    on backend: OpenCLBackend, rounds: Int = 3, turns: Int = 9,
    progress: (String) -> Void = { _ in }
  ) throws -> TuningOutcome {
    let layers = configuration.units.map(\.layer)
    func medianSeconds(_ choice: LayerTuning) throws -> Double {
      backend.tune(layers, batchSize: batchSize, choice)
      let seconds = try wallSeconds(on: backend).sorted()
      return seconds[seconds.count / 2]
    }
    let (rules, choices) = (LayerTuning(), backend.tuningChoices)
    var least: [LayerTuning: Double] = [:]
    for round in 1...max(rounds, 1) {
      for (index, choice) in ([rules] + choices).enumerated() {
        progress("way \(index + 1) of \(choices.count + 1), round \(round) of \(max(rounds, 1))")
        least[choice] = min(least[choice] ?? .infinity, try medianSeconds(choice))
      }
    }
    let results = least.sorted { $0.value < $1.value }.map { (choice: $0, medianSeconds: $1) }
    guard let best = results.first(where: { $0.choice != rules })?.choice else {
      preconditionFailure("a backend without choices")
    }
    var seconds: (best: [Double], rules: [Double]) = ([], [])
    for turn in 0..<max(turns, 1) {
      progress("the fastest beside the rules, turn \(turn + 1) of \(max(turns, 1))")
      // Each is the first of its turn as often as the other.
      if turn % 2 == 0 { seconds.best.append(try medianSeconds(best)) }
      seconds.rules.append(try medianSeconds(rules))
      if turn % 2 == 1 { seconds.best.append(try medianSeconds(best)) }
    }
    let outcome = TuningOutcome(
      choices: results, best: best,
      verdict: TuningVerdict(challenger: seconds.best, rules: seconds.rules))
    backend.tune(layers, batchSize: batchSize, outcome.winner ?? rules)
    return outcome
  }
}
