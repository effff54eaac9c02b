/// What a gate applies to its pre-activation: ONNX's set of functions, a constant, and minGRU's g.
///
/// Every derivative is a function of the result y alone, so that the backward pass needs no
/// pre-activations.
public struct Activation: Hashable, Sendable, Codable {
  /// The functions, with ONNX's names in lower case.
  public enum Function: String, Hashable, Sendable, Codable, CaseIterable {
    /// `1 / (1 + e⁻ˣ)`
    case sigmoid
    /// `tanh x`
    case tanh
    /// `max(x, 0)`
    case relu
    /// `α·x + β`; α 1, β 0
    case affine
    /// `x` for x ≥ 0, else `α·x`; α 0.01
    case leakyRelu = "leakyrelu"
    /// `x` for x > α, else 0; α 1
    case thresholdedRelu = "thresholdedrelu"
    /// `α·tanh(β·x)`; α 1, β 1
    case scaledTanh = "scaledtanh"
    /// `min(max(α·x + β, 0), 1)`; α 0.2, β 0.5
    case hardSigmoid = "hardsigmoid"
    /// `x` for x ≥ 0, else `α·(eˣ − 1)`; α 1
    case elu
    /// `x / (1 + |x|)`
    case softsign
    /// `log(1 + eˣ)`
    case softplus
    /// `α` whatever x is: a forced gate
    case constant
    /// `x + ½` for x ≥ 0, else `1 / (1 + e⁻ˣ)`: above 0 everywhere (Feng et al. 2024)
    case positive

    /// α and β where none are given: those of ONNX.
    public var defaults: (alpha: Double, beta: Double) {
      switch self {
      case .leakyRelu: (0.01, 0)
      case .hardSigmoid: (0.2, 0.5)
      case .scaledTanh: (1, 1)
      default: (1, 0)
      }
    }
  }

  /// The function.
  public var function: Function
  /// Its parameters, where it has any.
  public var alpha: Double
  /// The second parameter.
  public var beta: Double

  /// A function with its parameters, or their defaults.
  public init(_ function: Function, alpha: Double? = nil, beta: Double? = nil) {
    self.function = function
    self.alpha = alpha ?? function.defaults.alpha
    self.beta = beta ?? function.defaults.beta
  }

  /// Throws a usage error where the derivative would not follow from the result.
  public func validate(gate: String) throws(CarouselError) {
    guard alpha.isFinite, beta.isFinite else {
      throw CarouselError(
        .usage, "the activation of the \(gate) gate has a parameter that is not finite")
    }
    let mustNotBeNegative: [Function] = [.leakyRelu, .thresholdedRelu, .elu]
    if mustNotBeNegative.contains(function), alpha < 0 {
      throw CarouselError(
        .usage,
        "\(function.rawValue) needs an alpha of at least 0, but the \(gate) gate's is \(alpha)")
    }
    if function == .scaledTanh || function == .hardSigmoid, alpha == 0 {
      throw CarouselError(
        .usage, "\(function.rawValue) needs an alpha other than 0, which the \(gate) gate's is")
    }
  }
}

extension Activation {
  /// The function with its parameters, as `--activation` takes it: `elu:0.5`.
  public var words: String {
    let parameters = [alpha, beta].prefix(function.parameterCount)
    return ([function.rawValue] + parameters.map { "\($0)" }).joined(separator: ":")
  }
}

extension Activation.Function {
  /// How many of α and β the function has.
  public var parameterCount: Int {
    switch self {
    case .affine, .scaledTanh, .hardSigmoid: 2
    case .leakyRelu, .thresholdedRelu, .elu, .constant: 1
    case .sigmoid, .tanh, .relu, .softsign, .softplus, .positive: 0
    }
  }
}
