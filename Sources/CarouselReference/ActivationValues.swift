import CarouselModel
import Foundation

extension Activation {
  /// `y(x)`; NaN where x is NaN, but for a constant.
  func callAsFunction(_ x: Double) -> Double {
    switch function {
    case .sigmoid: 1 / (1 + exp(-x))
    case .tanh: Foundation.tanh(x)
    case .relu: x < 0 ? 0 : x
    case .affine: alpha * x + beta
    case .leakyRelu: x < 0 ? alpha * x : x
    case .thresholdedRelu: x <= alpha ? 0 : x
    case .scaledTanh: alpha * Foundation.tanh(beta * x)
    case .hardSigmoid: clamp(alpha * x + beta, 0, 1)
    case .elu: x < 0 ? alpha * expm1(x) : x
    case .softsign: x / (1 + x.magnitude)
    case .softplus: x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))
    case .constant: alpha
    case .positive: x < 0 ? 1 / (1 + exp(-x)) : x + 0.5
    }
  }

  /// dy/dx as a function of y.
  ///
  /// Where the function has a kink, at y = 0, ½ or 1, the derivative is that of the flatter side; so
  /// it is also where α is 0 and all of one side has the result 0.
  func derivative(_ y: Double) -> Double {
    switch function {
    case .sigmoid: y * (1 - y)
    case .tanh: 1 - y * y
    case .relu: y <= 0 ? 0 : 1
    case .affine: alpha
    case .leakyRelu: y <= 0 ? alpha : 1
    case .thresholdedRelu: y <= 0 ? 0 : 1
    case .scaledTanh: beta * (alpha - y * y / alpha)
    case .hardSigmoid: y <= 0 || y >= 1 ? 0 : alpha
    case .elu: y <= 0 ? y + alpha : 1
    case .softsign: (1 - y.magnitude) * (1 - y.magnitude)
    case .softplus: -expm1(-y)
    case .constant: 0
    case .positive: y <= 0.5 ? y * (1 - y) : 1
    }
  }
}

/// `x` brought between two bounds; NaN stays NaN.
func clamp(_ x: Double, _ lowest: Double, _ highest: Double) -> Double {
  x < lowest ? lowest : x > highest ? highest : x
}
