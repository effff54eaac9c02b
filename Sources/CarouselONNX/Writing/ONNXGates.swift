import CarouselFormats
import CarouselModel

/// The gates of a layer as nodes of a step.
struct ONNXGates {
  private let layer: RecurrentLayer

  init(_ layer: RecurrentLayer) { self.layer = layer }

  private var options: CellOptions { layer.options }

  /// The function of a gate; one that is held is its constant.
  func activate(_ gate: String, _ x: String, _ body: inout ONNXBuilder) -> String {
    let activation = options.activation(of: gate, in: layer.cell)
    let (alpha, beta) = (activation.alpha, activation.beta)
    switch activation.function {
    case .sigmoid: return body.node("Sigmoid", [x])
    case .tanh: return body.node("Tanh", [x])
    case .relu: return body.node("Relu", [x])
    case .softsign: return body.node("Softsign", [x])
    case .softplus: return body.node("Softplus", [x])
    case .positive:
      // Below 0 the sigmoid is the larger of the two, above 0 the line.
      return body.node(
        "Max", [body.node("Sigmoid", [x]), body.node("Add", [x, body.scalar(0.5)])])
    case .leakyRelu: return body.node("LeakyRelu", [x], [.float("alpha", alpha)])
    case .thresholdedRelu: return body.node("ThresholdedRelu", [x], [.float("alpha", alpha)])
    case .elu: return body.node("Elu", [x], [.float("alpha", alpha)])
    case .hardSigmoid:
      return body.node("HardSigmoid", [x], [.float("alpha", alpha), .float("beta", beta)])
    case .affine:
      return body.node(
        "Add", [body.node("Mul", [x, body.scalar(alpha)]), body.scalar(beta)])
    case .scaledTanh:
      let inner = body.node("Tanh", [body.node("Mul", [x, body.scalar(beta)])])
      return body.node("Mul", [inner, body.scalar(alpha)])
    case .constant: return body.scalar(alpha)
    }
  }

  private func split(_ sums: String, _ names: [String], _ body: inout ONNXBuilder) -> [String:
    String]
  {
    guard names.count > 1 else { return [names[0]: sums] }
    let parts = names.map { body.name($0) }
    body.node("Split", [sums], to: parts, [.int("axis", -1)])
    return Dictionary(uniqueKeysWithValues: zip(names, parts))
  }

  /// c and the output gate of an LSTM from the sums of its gates.
  func lstm(
    _ sums: String, peepholes: [String?], _ body: inout ONNXBuilder
  ) -> (cell: String, output: String) {
    let parts = split(sums, options.weightGates(of: .lstm), &body)
    func gate(_ name: String, _ peephole: String?, _ state: String) -> String {
      var sum = parts[name] ?? ""
      if let peephole { sum = body.node("Add", [sum, body.node("Mul", [peephole, state])]) }
      return activate(name, sum, &body)
    }
    let input = gate("input", peepholes[0], "c_before")
    let new = activate("cell", parts["cell"] ?? "", &body)
    let forget: String
    if let held = options.overrides["forget"] {
      forget = body.scalar(held)
    } else {
      switch options.forgetGate {
      case .own: forget = gate("forget", peepholes[1], "c_before")
      case .coupled: forget = body.node("Sub", [body.scalar(1), input])
      case .input: forget = input
      case .output: forget = gate("output", nil, "")
      case .constant(let value): forget = body.scalar(value)
      }
    }
    let kept = body.node("Mul", [forget, "c_before"])
    var cell = body.node("Add", [kept, body.node("Mul", [input, new])])
    if let clip = options.cellClip {
      cell = body.node("Clip", [cell, body.scalar(-clip), body.scalar(clip)])
    }
    return (cell, gate("output", peepholes[2], cell))
  }

  /// h of a minGRU from the sums of its gates.
  func minGRU(_ sums: String, _ body: inout ONNXBuilder) -> String {
    let parts = split(sums, options.weightGates(of: .mingru), &body)
    let update = activate("update", parts["update"] ?? "", &body)
    return interpolated(update, "h_before", activate("new", parts["new"] ?? "", &body), &body)
  }

  /// `(1 − weight)·a + weight·b`.
  func interpolated(
    _ weight: String, _ a: String, _ b: String, _ body: inout ONNXBuilder
  ) -> String {
    let rest = body.node("Sub", [body.scalar(1), weight])
    return body.node(
      "Add", [body.node("Mul", [rest, a]), body.node("Mul", [weight, b])])
  }

  /// c, n, m and h of an sLSTM from the sums of its gates; h is the limit of o·c/n where n is 0.
  func slstm(_ sums: String, _ body: inout ONNXBuilder) -> (memory: [String], h: String) {
    let parts = split(sums, options.weightGates(of: .slstm), &body)
    let exponent = parts["input"] ?? ""
    // log σ(x) = −softplus(−x)
    let softplus = body.node("Softplus", [body.node("Neg", [parts["forget"]])])
    let remembered = body.node("Sub", ["m_before", softplus])
    let stabilizer = body.node("Max", [remembered, exponent])
    let input = body.node("Exp", [body.node("Sub", [exponent, stabilizer])])
    let forget = body.node("Exp", [body.node("Sub", [remembered, stabilizer])])
    let new = activate("cell", parts["cell"] ?? "", &body)
    let cell = body.node(
      "Add", [body.node("Mul", [forget, "c_before"]), body.node("Mul", [input, new])])
    let normalizer = body.node("Add", [body.node("Mul", [forget, "n_before"]), input])
    let isEmpty = body.node("Equal", [normalizer, body.scalar(0)])
    let divisor = body.node("Where", [isEmpty, body.scalar(1), normalizer])
    let mean = body.node("Where", [isEmpty, new, body.node("Div", [cell, divisor])])
    let output = activate("output", parts["output"] ?? "", &body)
    return ([cell, normalizer, stabilizer], body.node("Mul", [output, mean]))
  }

  /// The reset and the update gate of a GRU from their sums.
  func gru(_ sums: String, _ body: inout ONNXBuilder) -> (reset: String, update: String) {
    let parts = split(sums, ["reset", "update"], &body)
    return (
      activate("reset", parts["reset"] ?? "", &body),
      activate("update", parts["update"] ?? "", &body)
    )
  }
}
