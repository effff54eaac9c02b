import CarouselModel

/// What one direction of an ONNX recurrent node applies to its gates.
struct ONNXActivations: Equatable {
  /// By the names of `Cell.activationNames`; those that the cell has anyway are left out.
  var activations: [String: Activation]

  /// ONNX's activations in order, and the gates that each belongs to.
  static func gates(of cell: Cell) -> [[String]] {
    switch cell {
    case .lstm: [["input", "forget", "output"], ["cell"], ["hidden"]]
    case .gru: [["update", "reset"], ["new"]]
    default: [["hidden"]]
    }
  }

  private static let functionNames: [Activation.Function: String] = [
    .relu: "Relu", .tanh: "Tanh", .sigmoid: "Sigmoid", .affine: "Affine",
    .leakyRelu: "LeakyRelu", .thresholdedRelu: "ThresholdedRelu", .scaledTanh: "ScaledTanh",
    .hardSigmoid: "HardSigmoid", .elu: "Elu", .softsign: "Softsign", .softplus: "Softplus",
  ]
  /// The functions by their names in lower case: files differ in that.
  private static let functions = Dictionary(
    uniqueKeysWithValues: functionNames.map { ($0.value.lowercased(), $0.key) })
  private static let withAlpha: Set<Activation.Function> = [
    .affine, .leakyRelu, .thresholdedRelu, .scaledTanh, .hardSigmoid, .elu,
  ]
  private static let withBeta: Set<Activation.Function> = [.affine, .scaledTanh, .hardSigmoid]

  /// ONNX's name of a function; empty where ONNX has none, as for a constant and minGRU's positive one.
  static func name(_ function: Activation.Function) -> String { functionNames[function] ?? "" }

  /// Whether the function takes an α.
  static func hasAlpha(_ function: Activation.Function) -> Bool { withAlpha.contains(function) }

  /// Whether it takes a β.
  static func hasBeta(_ function: Activation.Function) -> Bool { withBeta.contains(function) }

  /// Reads the attributes of a node for each direction.
  ///
  /// The lists of α and β hold a value for each function that takes one, in the order of the functions.
  static func all(
    of node: ONNXNode, cell: Cell, directions: Int
  ) throws(CarouselError) -> [ONNXActivations] {
    let gates = gates(of: cell)
    guard let names = try node.strings("activations"), !names.isEmpty else {
      return Array(repeating: ONNXActivations(activations: [:]), count: directions)
    }
    guard names.count == gates.count * directions else {
      throw node.failure(
        "has \(names.count) activations, expected \(gates.count) for each of \(directions) "
          + "directions")
    }
    var alphas = (try node.floats("activation_alpha") ?? [])[...]
    var betas = (try node.floats("activation_beta") ?? [])[...]
    var result: [ONNXActivations] = []
    for direction in 0..<directions {
      var found: [String: Activation] = [:]
      for (place, gateNames) in gates.enumerated() {
        let name = names[direction * gates.count + place]
        guard let function = functions[name.lowercased()] else {
          throw node.failure(
            "has the activation '\(name)', which is not supported"
              + suggestion(for: name, among: functionNames.values.sorted()))
        }
        let activation = Activation(
          function, alpha: withAlpha.contains(function) ? alphas.popFirst() : nil,
          beta: withBeta.contains(function) ? betas.popFirst() : nil)
        for gate in gateNames where activation != cell.defaultActivation(of: gate) {
          found[gate] = activation
        }
      }
      result.append(ONNXActivations(activations: found))
    }
    return result
  }
}
