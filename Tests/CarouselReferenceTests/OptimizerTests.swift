import CarouselModel
import CarouselReference
import Testing

@Suite struct OptimizerTests {
  private let backend = ReferenceBackend()
  private static let optimizers = [
    Optimizer.sgd(momentum: 0, weightDecay: 0), .sgd(momentum: 0.9, weightDecay: 0.01),
    .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decoupled: false),
    .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, decoupled: true),
  ]

  /// The parameters after one step from `[1, -2]`.
  private func step(
    _ optimizer: Optimizer, gradients: [Double], learningRate: Double, maximumNorm: Double? = nil
  ) throws -> [Double] {
    let parameters = try backend.buffer([1, -2])
    let gradients = try backend.buffer(gradients)
    let norm = try backend.makeBuffer(count: 1)
    try backend.norm(of: gradients, count: 2, into: norm)
    try backend.optimize(
      optimizer, parameters: parameters, gradients: gradients,
      moments: try (0..<optimizer.momentCount).map { _ in try backend.makeBuffer(count: 2) },
      count: 2, learningRate: learningRate, gradientNorm: norm, maximumNorm: maximumNorm, step: 1)
    return backend.values(parameters)
  }

  @Test func theNormIsTheRootOfTheSumOfSquares() throws {
    let x = try backend.buffer([3, -4, 12, 1e9])
    let norm = try backend.makeBuffer(count: 1)
    try backend.norm(of: x, count: 3, into: norm)
    #expect(backend.values(norm) == [13])
    try backend.write([.nan], to: x)
    try backend.norm(of: x, count: 3, into: norm)
    #expect(backend.values(norm)[0].isNaN)
  }

  @Test func gradientsAboveTheNormAreScaledToIt() throws {
    let sgd = Optimizer.sgd(momentum: 0, weightDecay: 0)
    let clipped = try step(sgd, gradients: [30, 40], learningRate: 1, maximumNorm: 5)
    expectClose(clipped, [1 - 3, -2 - 4], tolerance: 1e-7, "clipped")
    #expect(try step(sgd, gradients: [3, 4], learningRate: 1, maximumNorm: 6) == [-2, -6])
  }

  @Test(arguments: optimizers)
  func aNormThatIsNotANumberIsNotClippedAway(optimizer: Optimizer) throws {
    let after = try step(
      optimizer, gradients: [.nan, 1], learningRate: 0.1, maximumNorm: 1)
    #expect(after.allSatisfy { $0.isNaN })
  }

  @Test(arguments: optimizers)
  func aStepGoesAgainstTheGradient(optimizer: Optimizer) throws {
    let after = try step(optimizer, gradients: [2, -3], learningRate: 0.1)
    #expect(after[0] < 1 && after[1] > -2)
  }

  @Test func theFirstStepOfAdamIsTheLearningRateLong() throws {
    let adam = Optimizer.adam(
      beta1: 0.9, beta2: 0.999, epsilon: 1e-12, weightDecay: 0, decoupled: false)
    let after = try step(adam, gradients: [1e-3, -500], learningRate: 0.25)
    expectClose(after, [0.75, -1.75], tolerance: 1e-8, "parameters")
  }

  @Test func decoupledDecayIsNotScaledByTheMoments() throws {
    let adamW = Optimizer.adam(
      beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5, decoupled: true)
    let after = try step(adamW, gradients: [0, 0], learningRate: 0.1)
    expectClose(after, [0.95, -1.9], tolerance: 1e-15, "parameters")
  }
}
