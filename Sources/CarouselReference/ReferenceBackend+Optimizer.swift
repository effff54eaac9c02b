import CarouselModel
import Foundation

extension ReferenceBackend {
  /// One step of an optimizer on `count` parameters that lie in one buffer; see `Backend` and
  /// `Optimizer` for the equations.
  public func optimize(
    _ optimizer: Optimizer, parameters: Buffer, gradients: Buffer, moments: [Buffer], count: Int,
    learningRate: Double, gradientNorm: Buffer?, maximumNorm: Double?, step: Int
  ) throws {
    try checkOptimizer(
      optimizer, parameters: parameters, gradients: gradients, moments: moments, count: count,
      gradientNorm: gradientNorm, maximumNorm: maximumNorm, step: step)
    let theta = parameters.first(count)
    let gradients = gradients.first(count)
    let moments = moments.map { $0.first(count) }
    let factor = clipFactor(norm: gradientNorm, maximum: maximumNorm)
    switch optimizer {
    case .sgd(let momentum, let weightDecay):
      for i in 0..<count {
        var velocity = gradients[i] * factor + weightDecay * theta[i]
        if let kept = moments.first {
          velocity += momentum * kept[i]
          kept[i] = velocity
        }
        theta[i] -= learningRate * velocity
      }
    case .adam(let beta1, let beta2, let epsilon, let weightDecay, let decoupled):
      let correction1 = 1 - pow(beta1, Double(step))
      let correction2 = 1 - pow(beta2, Double(step))
      let (first, second) = (moments[0], moments[1])
      for i in 0..<count {
        var gradient = gradients[i] * factor
        if decoupled {
          theta[i] -= learningRate * weightDecay * theta[i]
        } else {
          gradient += weightDecay * theta[i]
        }
        first[i] = beta1 * first[i] + (1 - beta1) * gradient
        second[i] = beta2 * second[i] + (1 - beta2) * gradient * gradient
        let mean = first[i] / correction1
        let deviation = (second[i] / correction2).squareRoot()
        theta[i] -= learningRate * mean / (deviation + epsilon)
      }
    }
  }

  /// `min(1, maximum / (norm + 1e-6))`, NaN where the norm is NaN; 1 without a maximum.
  private func clipFactor(norm: Buffer?, maximum: Double?) -> Double {
    guard let maximum, let norm else { return 1 }
    let ratio = maximum / (norm.vector(1)[0] + 1e-6)
    return ratio >= 1 ? 1 : ratio
  }

  /// `norm[0] = √Σ x[i]²` over the first `count` elements, in ascending order.
  public func norm(of x: Buffer, count: Int, into norm: Buffer) throws {
    try check(x, "x", count)
    try check(norm, "norm", 1)
    var sum = 0.0
    for element in x.first(count) { sum += element * element }
    norm.vector(1)[0] = sum.squareRoot()
  }
}
