/// Steps of an optimizer on the trained parameters of a model.
public final class GraphOptimizer<B: Backend> {
  /// The equations.
  public let optimizer: Optimizer
  /// η of the next step.
  public var learningRate: Double
  /// What the gradient's norm is clipped to; nil clips nothing.
  public var maximumNorm: Double?
  /// The steps so far.
  public private(set) var stepCount = 0

  private let model: GraphModel<B>
  private let moments: [B.Buffer]
  private let norm: B.Buffer

  /// Allocates what the optimizer keeps between steps.
  public init(
    _ model: GraphModel<B>, _ optimizer: Optimizer, learningRate: Double,
    maximumNorm: Double? = nil
  ) throws {
    self.model = model
    self.optimizer = optimizer
    self.learningRate = learningRate
    self.maximumNorm = maximumNorm
    let count = model.parameters.count
    moments = try (0..<optimizer.momentCount).map { _ in try model.backend.makeBuffer(count: count)
    }
    norm = try model.backend.makeBuffer(count: 1)
  }

  /// Queues a step with the gradients that the last backward pass left; does not wait.
  public func step() throws {
    let (store, backend) = (model.parameters, model.backend)
    stepCount += 1
    if maximumNorm != nil { try backend.norm(of: store.gradients, count: store.count, into: norm) }
    try backend.optimize(
      optimizer, parameters: store.values, gradients: store.gradients, moments: moments,
      count: store.count, learningRate: learningRate,
      gradientNorm: maximumNorm == nil ? nil : norm, maximumNorm: maximumNorm, step: stepCount)
  }
}
