import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// Steps of an optimizer, each after the norm of its gradient.
struct OptimizerWork: Work, CustomStringConvertible {
  var optimizer: Optimizer
  var count: Int
  var maximumNorm: Double?
  var gradientScale = 1.0
  var sequenceLength = 3

  var description: String {
    "\(optimizer), \(count) parameters, maximum norm \(maximumNorm.map { "\($0)" } ?? "none")"
  }

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let parameters = try backend.input(numbers(count, stream: 70))
    let moments = try (0..<optimizer.momentCount).map { _ in
      try backend.input([Double](repeating: 0, count: count))
    }
    let norm = try backend.output(1)
    var result: [Outcome] = []
    for step in 1...sequenceLength {
      let gradients = try backend.input(numbers(count, stream: 71 + step, scale: gradientScale))
      try backend.norm(of: gradients, count: count, into: norm)
      try backend.optimize(
        optimizer, parameters: parameters, gradients: gradients, moments: moments, count: count,
        learningRate: 0.125, gradientNorm: norm, maximumNorm: maximumNorm, step: step)
      result.append(try backend.outcome("norm \(step)", norm, 1))
    }
    result.append(try backend.outcome("parameters", parameters, count))
    for (index, moment) in moments.enumerated() {
      result.append(try backend.outcome("moment \(index)", moment, count))
    }
    return result
  }
}

@MainActor @Suite(.device)
struct OptimizerTests {
  nonisolated static let optimizers: [Optimizer] = [
    .sgd(momentum: 0, weightDecay: 0), .sgd(momentum: 0.9, weightDecay: 0.1),
    .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decoupled: false),
    .adam(beta1: 0.8, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1, decoupled: false),
    .adam(beta1: 0.8, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1, decoupled: true),
  ]

  @Test(arguments: optimizers, [1, 3, 15, 16, 17, 4095, 4097])
  func everyOptimizerAgrees(optimizer: Optimizer, count: Int) throws {
    try expectAgreement(OptimizerWork(optimizer: optimizer, count: count))
  }

  /// Gradients of 33 numbers in [−1, 1) have norms of about 3.
  @Test(arguments: optimizers, [0x1p-10, 1, 1000])
  func aGradientIsScaledDownToTheMaximumNormAndNeverUp(
    optimizer: Optimizer, maximumNorm: Double
  ) throws {
    try expectAgreement(
      OptimizerWork(optimizer: optimizer, count: 33, maximumNorm: maximumNorm))
  }

  /// Gradients whose norm is no larger than the 1e-6 that is added to it.
  @Test(arguments: optimizers)
  func aTinyGradientIsScaledAsPyTorchDoes(optimizer: Optimizer) throws {
    try expectAgreement(
      OptimizerWork(optimizer: optimizer, count: 33, maximumNorm: 0x1p-22, gradientScale: 0x1p-22))
  }

  @Test(arguments: [1, 15, 16, 17, 63, 64, 65, 4095, 4096, 4097, 12_289, 300_007])
  func everyNormAgrees(count: Int) throws {
    try expectAgreement(Norm(count: count))
  }

  struct Norm: Work {
    let count: Int

    func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
      let norm = try backend.output(1)
      try backend.norm(of: backend.input(numbers(count, stream: 75)), count: count, into: norm)
      return [try backend.outcome("norm", norm, 1)]
    }
  }

  @Test(arguments: optimizers, KernelForm.both)
  func aNormThatIsNotANumberSpoilsEveryParameter(optimizer: Optimizer, form: KernelForm) throws {
    let backend = try Machine.backend(form)
    let count = 21
    var gradient = numbers(count, stream: 72)
    gradient[19] = .nan
    let parameters = try backend.input(numbers(count, stream: 70))
    let gradients = try backend.input(gradient)
    let norm = try backend.output(1)
    try backend.norm(of: gradients, count: count, into: norm)
    try backend.optimize(
      optimizer, parameters: parameters, gradients: gradients,
      moments: (0..<optimizer.momentCount).map { _ in try backend.makeBuffer(count: count) },
      count: count, learningRate: 0.1, gradientNorm: norm, maximumNorm: 1, step: 1)
    #expect(try backend.read(parameters, count: count).allSatisfy { $0.isNaN })
  }
}
