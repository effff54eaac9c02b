import Foundation

/// What is computed element by element, from up to four numbers a, b, c, d.
public enum ElementwiseFunction: Hashable, Sendable {
  /// `f(a)`
  case unary(UnaryFunction)
  /// `f(a, b)`
  case binary(BinaryFunction)
  /// The quotient of whole numbers without its remainder.
  case wholeDivide
  /// `a` without its fraction.
  case truncate
  /// 1 where a is not 0, else 0.
  case isTrue
  /// `b` where a is not 0, else `c`.
  case select
  /// `min(max(a, b), c)`
  case clip
  /// `a·b + c`
  case multiplyAdd
  /// `a·f′` with the x = b and y = c of a unary function.
  case unarySlope(UnaryFunction)
  /// `a·f′` with respect to the first, or the second, of the numbers b and c of a binary function whose
  /// result was d.
  case binarySlope(BinaryFunction, isSecond: Bool)
  /// `a` where b is within c and d, else 0.
  case clipSlope
  /// Several functions, one after the other.
  indirect case chain(ElementwiseChain)

  /// How many numbers it reads.
  public var inputCount: Int {
    switch self {
    case .unary, .truncate, .isTrue: 1
    case .binary, .wholeDivide: 2
    case .select, .clip, .multiplyAdd, .unarySlope: 3
    case .binarySlope, .clipSlope: 4
    case .chain(let chain): chain.inputCount
    }
  }

  /// The result in Float64; the numbers beyond `inputCount` do not matter.
  public func value(_ a: Double, _ b: Double = 0, _ c: Double = 0, _ d: Double = 0) -> Double {
    switch self {
    case .unary(let function): function.value(a)
    case .binary(let function): function.value(a, b)
    case .wholeDivide: b == 0 ? 0 : (a / b).rounded(.towardZero)
    case .truncate: a.rounded(.towardZero)
    case .isTrue: a != 0 ? 1 : 0
    case .select: a != 0 ? b : c
    case .clip: a.isNaN ? a : a < b ? (b > c ? c : b) : a > c ? c : a
    case .multiplyAdd: a * b + c
    case .unarySlope(let function): a * function.slope(x: b, y: c)
    case .binarySlope(let function, let isSecond):
      function.gradient(a, b, c, y: d, isSecond: isSecond)
    case .clipSlope: b < c || b > d ? 0 : a
    case .chain(let chain): chain.value([a, b, c, d])
    }
  }
}

extension UnaryFunction {
  /// The function's value.
  public func value(_ x: Double) -> Double {
    switch self {
    case .identity: x
    case .absolute: x.magnitude
    case .negate: -x
    case .sign: x > 0 ? 1 : x < 0 ? -1 : x
    case .floor: x.rounded(.down)
    case .ceiling: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .exponential: exp(x)
    case .logarithm: log(x)
    case .squareRoot: x.squareRoot()
    case .reciprocal: 1 / x
    case .sine: sin(x)
    case .cosine: cos(x)
    case .errorFunction: erf(x)
    case .sigmoid: 1 / (1 + exp(-x))
    case .tanh: Foundation.tanh(x)
    case .relu: x < 0 ? 0 : x
    case .leakyRelu(let alpha): x < 0 ? alpha * x : x
    case .thresholdedRelu(let alpha): x <= alpha ? 0 : x
    case .elu(let alpha): x < 0 ? alpha * expm1(x) : x
    case .selu(let alpha, let gamma): gamma * (x < 0 ? alpha * expm1(x) : x)
    case .hardSigmoid(let alpha, let beta):
      alpha * x + beta < 0 ? 0 : alpha * x + beta > 1 ? 1 : alpha * x + beta
    case .softplus: (x < 0 ? 0 : x) + log1p(exp(-x.magnitude))
    case .softsign: x / (1 + x.magnitude)
    case .silu: x / (1 + exp(-x))
    case .gelu: x * (1 + erf(x / 2.0.squareRoot())) / 2
    case .affine(let scale, let shift): scale * x + shift
    case .not: x == 0 ? 1 : 0
    case .isNaN: x.isNaN ? 1 : 0
    }
  }

  /// The derivative at x, where the value is y.
  public func slope(x: Double, y: Double) -> Double {
    switch self {
    case .identity: 1
    case .absolute: x > 0 ? 1 : x < 0 ? -1 : x
    case .negate: -1
    case .sign, .floor, .ceiling, .round, .not, .isNaN: 0
    case .exponential: y
    case .logarithm: 1 / x
    case .squareRoot: 0.5 / y
    case .reciprocal: -y * y
    case .sine: cos(x)
    case .cosine: -sin(x)
    case .errorFunction: 2 / Double.pi.squareRoot() * exp(-x * x)
    case .sigmoid: y * (1 - y)
    case .tanh: 1 - y * y
    case .relu: x > 0 ? 1 : 0
    case .leakyRelu(let alpha): x > 0 ? 1 : alpha
    case .thresholdedRelu(let alpha): x > alpha ? 1 : 0
    case .elu(let alpha): x > 0 ? 1 : y + alpha
    case .selu(let alpha, let gamma): x > 0 ? gamma : y + gamma * alpha
    case .hardSigmoid(let alpha, _): y > 0 && y < 1 ? alpha : 0
    case .softplus: 1 / (1 + exp(-x))
    case .softsign: 1 / ((1 + x.magnitude) * (1 + x.magnitude))
    case .silu: sigmoid(x) * (1 + x * (1 - sigmoid(x)))
    case .gelu:
      (1 + erf(x / 2.0.squareRoot())) / 2 + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    case .affine(let scale, _): scale
    }
  }

  private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  /// Whether the derivative is 0 wherever there is one.
  var isFlat: Bool {
    switch self {
    case .sign, .floor, .ceiling, .round, .not, .isNaN: true
    default: false
    }
  }
}

extension BinaryFunction {
  /// The function's value.
  public func value(_ a: Double, _ b: Double) -> Double {
    switch self {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .power: pow(a, b)
    case .minimum: a.isNaN || b.isNaN ? .nan : a < b ? a : b
    case .maximum: a.isNaN || b.isNaN ? .nan : a > b ? a : b
    case .modulo: a - b * (a / b).rounded(.down)
    case .remainder: fmod(a, b)
    case .equal: a == b ? 1 : 0
    case .less: a < b ? 1 : 0
    case .lessOrEqual: a <= b ? 1 : 0
    case .greater: a > b ? 1 : 0
    case .greaterOrEqual: a >= b ? 1 : 0
    case .and: a != 0 && b != 0 ? 1 : 0
    case .or: a != 0 || b != 0 ? 1 : 0
    case .exclusiveOr: (a != 0) != (b != 0) ? 1 : 0
    case .prelu: a < 0 ? b * a : a
    }
  }

  /// `g` times the derivative with respect to a, or to b, where the value is y.
  ///
  /// Of two equal numbers each is half of their minimum and maximum.
  public func gradient(
    _ g: Double, _ a: Double, _ b: Double, y: Double, isSecond: Bool
  ) -> Double {
    switch self {
    case .add: g
    case .subtract: isSecond ? -g : g
    case .multiply: isSecond ? g * a : g * b
    case .divide: isSecond ? -g * y / b : g / b
    case .power:
      isSecond ? (y == 0 ? 0 : g * y * log(a)) : (b == 0 ? 0 : g * b * pow(a, b - 1))
    case .minimum: a == b ? g / 2 : (a < b) != isSecond ? g : 0
    case .maximum: a == b ? g / 2 : (a > b) != isSecond ? g : 0
    case .modulo: isSecond ? -g * (a / b).rounded(.down) : g
    case .remainder: isSecond ? -g * (a / b).rounded(.towardZero) : g
    case .prelu: isSecond ? (a < 0 ? g * a : 0) : (a > 0 ? g : g * b)
    case .equal, .less, .lessOrEqual, .greater, .greaterOrEqual, .and, .or, .exclusiveOr: 0
    }
  }
}
