import CarouselModel
import Foundation
import OpenCLDriver

// The twin of optimizer.cl.
extension OpenCLBackend {
  /// One launch over all parameters; the gradient is clipped on the way, its norm never read by the
  /// host.
  public func optimize(
    _ optimizer: Optimizer, parameters: Buffer, gradients: Buffer, moments: [Buffer], count: Int,
    learningRate: Double, gradientNorm: Buffer?, maximumNorm: Double?, step: Int
  ) throws {
    try checkOptimizer(
      optimizer, parameters: parameters, gradients: gradients, moments: moments, count: count,
      gradientNorm: gradientNorm, maximumNorm: maximumNorm, step: step)
    let files = ["ops/optimizer.cl"]
    let items = ceilDivide(count, launcher.parameters.elements)
    // GPUs need a size for their groups: of a global size they know only its divisors.
    let local = launcher.parameters.lanes == 1 ? nil : [launcher.parameters.lanes]
    let global = [local.map { roundUp(items, to: $0[0]) } ?? items]
    let norm = maximumNorm == nil ? nil : gradientNorm
    func float(_ value: Double) -> KernelArgument { .float(Float(value)) }
    switch optimizer {
    case .sgd(let momentum, let weightDecay):
      try launcher.launch(
        launcher.kernel("sgd", in: files), global: global, local: local, flops: 6 * Double(count),
        bytes: 4 * Double(count) * (moments.isEmpty ? 3 : 5),
        [
          "parameters": .buffer(parameters), "gradients": .buffer(gradients),
          "velocity": .optional(moments.first), "norm": .optional(norm),
          "maximum_norm": float(maximumNorm ?? 0), "count": .int(count),
          "rate": float(learningRate), "momentum": float(momentum), "decay": float(weightDecay),
        ])
    case .adam(let beta1, let beta2, let epsilon, let weightDecay, let decoupled):
      try launcher.launch(
        launcher.kernel("adam", in: files), global: global, local: local, flops: 16 * Double(count),
        bytes: 28 * Double(count),
        [
          "parameters": .buffer(parameters), "gradients": .buffer(gradients),
          "first_moment": .buffer(moments[0]), "second_moment": .buffer(moments[1]),
          "norm": .optional(norm), "maximum_norm": float(maximumNorm ?? 0), "count": .int(count),
          "rate1": float(learningRate / (1 - pow(beta1, Double(step)))),
          "root2": float((1 - pow(beta2, Double(step))).squareRoot()), "beta1": float(beta1),
          "one_minus_beta1": float(1 - beta1), "beta2": float(beta2),
          "one_minus_beta2": float(1 - beta2), "epsilon": float(epsilon),
          "decay": float(decoupled ? 0 : weightDecay),
          "shrink": float(decoupled ? 1 - learningRate * weightDecay : 1),
        ])
    }
  }
}
