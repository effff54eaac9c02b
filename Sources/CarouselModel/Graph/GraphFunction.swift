import Foundation

/// A function of one number.
public enum UnaryFunction: Hashable, Sendable {
  case identity
  case absolute
  case negate
  case sign
  /// ⌊x⌋, ⌈x⌉, and the nearest whole number, of two as near the even one.
  case floor, ceiling, round
  case exponential, logarithm, squareRoot
  /// `1 / x`
  case reciprocal
  case sine, cosine
  /// The error function.
  case errorFunction
  /// `1 / (1 + e⁻ˣ)`
  case sigmoid
  case tanh
  /// `max(x, 0)`
  case relu
  /// `x` for x ≥ 0, else `α·x`.
  case leakyRelu(alpha: Double)
  /// `x` for x > α, else 0.
  case thresholdedRelu(alpha: Double)
  /// `x` for x ≥ 0, else `α·(eˣ − 1)`.
  case elu(alpha: Double)
  /// `γ·x` for x > 0, else `γ·α·(eˣ − 1)`.
  case selu(alpha: Double, gamma: Double)
  /// `min(max(α·x + β, 0), 1)`
  case hardSigmoid(alpha: Double, beta: Double)
  /// `log(1 + eˣ)`
  case softplus
  /// `x / (1 + |x|)`
  case softsign
  /// `x / (1 + e⁻ˣ)`
  case silu
  /// `x·Φ(x)`, Φ the normal distribution's.
  case gelu
  /// `scale·x + shift`
  case affine(scale: Double, shift: Double)
  /// 1 where x is 0, else 0.
  case not
  /// 1 where x is NaN, else 0.
  case isNaN
}

/// A function of two numbers; truth values are 1 and 0.
public enum BinaryFunction: String, Hashable, Sendable, CaseIterable {
  case add, subtract, multiply
  /// `a / b`; of whole numbers without the remainder, towards 0.
  case divide
  /// `aᵇ`
  case power
  case minimum, maximum
  /// `a − b·⌊a/b⌋`, which has the sign of b (ONNX's `Mod` with `fmod` 0).
  case modulo
  /// The remainder with the sign of a (ONNX's `Mod` with `fmod` 1).
  case remainder
  case equal, less, lessOrEqual, greater, greaterOrEqual
  case and, or, exclusiveOr
  /// `a` for a ≥ 0, else `b·a`.
  case prelu

  /// Whether the result is a truth value.
  public var isPredicate: Bool {
    switch self {
    case .equal, .less, .lessOrEqual, .greater, .greaterOrEqual, .and, .or, .exclusiveOr: true
    default: false
    }
  }
}

/// What a reduction makes of the numbers along some axes.
public enum ReduceFunction: String, Hashable, Sendable, CaseIterable {
  case sum, mean, maximum, minimum, product
  /// `Σ|x|`, `√Σx²`, `Σx²`.
  case absoluteSum, euclideanNorm, squareSum
  /// `log Σx`, and `log Σeˣ` without overflow.
  case logSum, logSumExponential
}
