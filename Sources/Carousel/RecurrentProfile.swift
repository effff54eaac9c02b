import CarouselFormats
import CarouselModel
import CarouselOpenCL

/// A pass of recurrent layers that is timed over and over, its data resident on the device.
public struct RecurrentProfile: Sendable {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// T and N.
  public let steps: Int, batchSize: Int
  /// The steps of each sequence, 0 to T; nil stands for T everywhere.
  public let lengths: [Int]?
  /// Whether a pass is forward and backward, with gradients for x and every parameter, or forward
  /// alone, keeping nothing for a backward pass.
  public let training: Bool
  /// The passes that are timed, and those before that are not.
  public let iterations: Int, warmup: Int
  /// Draws inputs, parameters and dropout masks.
  public let seed: UInt64

  /// Describes the work.
  public init(
    _ configuration: RecurrentConfiguration, steps: Int, batchSize: Int, lengths: [Int]? = nil,
    training: Bool, iterations: Int, warmup: Int, seed: UInt64
  ) {
    precondition(iterations > 0 && warmup >= 0)
    precondition(lengths.map { $0.count == batchSize } ?? true)
    self.configuration = configuration
    self.steps = steps
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
    let rows = lengths?.reduce(0, +) ?? steps * batchSize
    return configuration.units.reduce(0) { sum, unit in
      sum + unit.layer.flops(steps: rows, batchSize: 1, backward: training)
    }
  }

  /// The seconds that each pass takes by the host's clock, from an idle device to an idle device.
  public func wallSeconds<B: Backend>(on backend: B) throws -> [Double] {
    let pass = try Pass(self, on: backend)
    for _ in 0..<warmup { try pass.run() }
    try backend.synchronize()
    let clock = ContinuousClock()
    return try (0..<iterations).map { _ in
      let duration = try clock.measure {
        try pass.run()
        try backend.synchronize()
      }
      return duration / .seconds(1)
    }
  }

  /// The median seconds of a pass under every choice of a backend's tuning; the fastest is the
  /// backend's from then on.
  ///
  /// The choices are measured in turn, `rounds` times, so that what else the machine does falls on all of
  /// them; the least of a choice's medians counts.
  public func tune(
    on backend: OpenCLBackend, rounds: Int = 3
  ) throws -> [(choice: LayerTuning, medianSeconds: Double)] {
    let layers = configuration.units.map(\.layer)
    let choices = backend.tuningChoices
    var least = [Double](repeating: .infinity, count: choices.count)
    for _ in 0..<max(rounds, 1) {
      for (index, choice) in choices.enumerated() {
        backend.tune(layers, batchSize: batchSize, choice)
        let seconds = try wallSeconds(on: backend).sorted()
        least[index] = min(least[index], seconds[seconds.count / 2])
      }
    }
    let results = zip(choices, least).sorted { $0.1 < $1.1 }
    backend.tune(layers, batchSize: batchSize, results[0].0)
    return results.map { (choice: $0.0, medianSeconds: $0.1) }
  }

  /// Every launch of the timed passes, on a backend made for profiling.
  public func launches(on backend: OpenCLBackend) throws -> [LaunchRecord] {
    let pass = try Pass(self, on: backend)
    for _ in 0..<warmup { try pass.run() }
    try backend.synchronize()
    backend.clearLaunches()
    for _ in 0..<iterations { try pass.run() }
    let launches = try backend.launches
    backend.clearLaunches()
    return launches
  }
}

/// The buffers of a pass, and how it is queued.
private final class Pass<B: Backend> {
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
      configuration, store: store, prefix: "", steps: work.steps, batchSize: work.batchSize,
      training: work.training)
    final = try stack.makeStates()
    let shapes: (x: Shape, y: Shape) = (
      [work.steps, work.batchSize, configuration.inputSize],
      [work.steps, work.batchSize, configuration.outputSize]
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

  func run() throws {
    try stack.forward(x: x, lengths: lengths, initial: nil, final: final, dropoutSeed: dropoutSeed)
    guard let gradients else { return }
    try stack.backward(
      x: x, lengths: lengths, initial: nil, gradY: gradients.y, gradX: gradients.x,
      dropoutSeed: dropoutSeed)
  }
}
