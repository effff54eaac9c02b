import CarouselModel

/// Something about a case of work that is neither its cell nor a size.
public typealias CaseOption = (key: String, value: String)

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

extension ForgetGate {
  /// Where the gate comes from, in a word.
  public var words: String {
    switch self {
    case .own: "own"
    case .coupled: "coupled"
    case .input: "tied to input"
    case .output: "tied to output"
    case .constant(let value): "\(value)"
    }
  }
}

extension CellOptions {
  /// What departs from the plain form of a cell, the bias vectors apart.
  public var departures: [CaseOption] {
    var result: [CaseOption] = []
    if recurrence != .dense { result.append(("recurrence", recurrence.rawValue)) }
    if forgetGate != .own { result.append(("forgetGate", forgetGate.words)) }
    if peepholes { result.append(("peepholes", "true")) }
    if let cellClip { result.append(("cellClip", "\(cellClip)")) }
    if gruReset != .after { result.append(("gruReset", gruReset.rawValue)) }
    if let projectionSize { result.append(("projectionSize", "\(projectionSize)")) }
    if layerNorm { result.append(("layerNorm", "true")) }
    if let forgetBias { result.append(("forgetBias", "\(forgetBias)")) }
    for (name, value) in [
      ("recurrentDropout", recurrentDropout), ("zoneoutHidden", zoneoutHidden),
      ("zoneoutCell", zoneoutCell), ("dropConnect", dropConnect),
    ] where value != 0 {
      result.append((name, "\(value)"))
    }
    if !activations.isEmpty {
      result.append(("activations", Self.list(activations.mapValues(\.words))))
    }
    if !overrides.isEmpty {
      result.append(("overrides", Self.list(overrides.mapValues { "\($0)" })))
    }
    return result
  }

  private static func list(_ values: [String: String]) -> String {
    values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

extension RecurrentConfiguration {
  /// Everything but the cell and the sizes: direction, bias, dropout, and what else departs from the
  /// plain form.
  public var caseOptions: [CaseOption] {
    [("direction", direction.rawValue)]
      + (directions == 2 ? [("merge", merge.rawValue)] : [])
      + [("bias", options.bias.rawValue), ("dropout", "\(dropout)")] + options.departures
  }

  /// The layers in a few words, for messages.
  public var summary: String {
    let words = options.departures.map { ", \($0.key) \($0.value)" }.joined()
    return
      "\(layers) \(direction == .forward ? "" : direction.rawValue + " ")"
      + "\(layers == 1 ? "layer" : "layers") of \(cell.rawValue) with input size \(inputSize), "
      + "hidden size \(hiddenSize), bias \(options.bias.rawValue)"
      + (merge == .concatenate ? "" : ", merge \(merge.rawValue)") + words
  }
}
