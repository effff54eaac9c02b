import CarouselModel

/// An optimizer by name, with what belongs to any of them.
public struct OptimizerSettings: Hashable, Sendable, Codable {
  /// The optimizers of `Optimizer` by the names of the command line.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// Adam; weight decay is added to the gradient.
    case adam
    /// Adam with decoupled weight decay.
    case adamw
    /// Gradient descent with momentum.
    case sgd
  }

  /// Which optimizer.
  public var kind = Kind.adam
  /// The momentum of `sgd`.
  public var momentum = 0.9
  /// The weight decay of any of them.
  public var weightDecay = 0.0
  /// β₁ of Adam.
  public var beta1 = 0.9
  /// β₂ of Adam.
  public var beta2 = 0.999
  /// ε of Adam.
  public var epsilon = 1e-8

  /// Adam with PyTorch's defaults.
  public init() {}

  /// The optimizer as a backend takes it.
  public var optimizer: Optimizer {
    switch kind {
    case .sgd: .sgd(momentum: momentum, weightDecay: weightDecay)
    case .adam, .adamw:
      .adam(
        beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay,
        decoupled: kind == .adamw)
    }
  }

  func validate() throws(CarouselError) {
    guard weightDecay >= 0, weightDecay.isFinite else {
      throw CarouselError(.usage, "the weight decay must be at least 0, but is \(weightDecay)")
    }
    for (name, value) in [("momentum", momentum), ("beta1", beta1), ("beta2", beta2)]
    where !(value >= 0 && value < 1) {
      throw CarouselError(.usage, "\(name) must be at least 0 and below 1, but is \(value)")
    }
    guard epsilon > 0 else {
      throw CarouselError(.usage, "epsilon must be above 0, but is \(epsilon)")
    }
  }
}
