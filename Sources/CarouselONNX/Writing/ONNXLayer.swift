import CarouselFormats
import CarouselModel

/// One layer of a network on its way to an ONNX file: an RNN, LSTM or GRU node where that can say it, else a
/// scan for each direction.
struct ONNXLayer {
  let network: ONNXNetwork
  let layer: Int

  init(_ network: ONNXNetwork, layer: Int) {
    self.network = network
    self.layer = layer
  }

  private var configuration: RecurrentConfiguration { network.configuration }
  private var options: CellOptions { configuration.options }
  private var cell: Cell { configuration.cell }
  private var directions: Int { configuration.directions }
  private var hiddenSize: Int { configuration.hiddenSize }

  /// The directions of this layer, forward before reverse.
  private var units: [RecurrentUnit] {
    Array(configuration.units[(layer * directions)..<((layer + 1) * directions)])
  }

  /// Adds the layer; returns its outputs `[T, N, …]` and its last states `[D, N, …]`.
  func write(
    _ x: String, to builder: inout ONNXBuilder
  ) throws(CarouselError) -> (y: String, final: [String]) {
    var ways: [String]
    var final: [String]
    if let activations = nodeActivations {
      let (y, states) = try writeNode(x, activations, to: &builder)
      final = states
      if directions == 1 {
        ways = [builder.node("Squeeze", [y, builder.list([1])])]
      } else if configuration.merge == .concatenate {
        let joined = builder.node("Transpose", [y], [.ints("perm", [0, 2, 1, 3])])
        return (builder.node("Reshape", [joined, builder.list([0, 0, 2 * hiddenSize])]), final)
      } else {
        let parts = [builder.name("forward"), builder.name("reverse")]
        builder.node("Split", [y], to: parts, [.int("axis", 1)])
        ways = []
        for part in parts { ways.append(builder.node("Squeeze", [part, builder.list([1])])) }
      }
    } else {
      let scans = try units.enumerated().map { index, unit throws(CarouselError) in
        try ONNXScan(network, unit, index: layer * directions + index).write(x, to: &builder)
      }
      ways = scans.map(\.y)
      final = []
      for index in 0..<cell.traits.stateNames.count {
        final.append(
          builder.node("Concat", scans.map { $0.final[index] }, [.int("axis", 0)]))
      }
    }
    return (merged(ways, &builder), final)
  }

  private func merged(_ ways: [String], _ builder: inout ONNXBuilder) -> String {
    guard ways.count == 2 else { return ways[0] }
    switch configuration.merge {
    case .concatenate: return builder.node("Concat", ways, [.int("axis", 2)])
    case .sum: return builder.node("Add", ways)
    case .multiply: return builder.node("Mul", ways)
    case .average:
      let sum = builder.node("Add", ways)
      return builder.node("Mul", [sum, builder.scalar(0.5)])
    }
  }

  // MARK: As one node

  /// ONNX's activations of one direction; nil where an option or the cell needs a scan.
  private var nodeActivations: [Activation]? {
    // What a node can say, and what does nothing outside training.
    let known: Set<CellOption> = [
      .peepholes, .forgetGate, .recurrence, .gruReset, .forgetBias, .recurrentDropout,
      .dropConnect,
    ]
    guard [.rnn, .lstm, .gru].contains(cell), known.isSuperset(of: options.used),
      options.overrides.isEmpty, options.forgetGate == .own || options.forgetGate == .coupled
    else { return nil }
    var result: [Activation] = []
    for gates in ONNXActivations.gates(of: cell) {
      let own = gates.filter { $0 != "forget" || options.forgetGate == .own }
      let found = Set(own.map { options.activation(of: $0, in: cell) })
      guard found.count == 1, let activation = found.first,
        !ONNXActivations.name(activation.function).isEmpty
      else { return nil }
      result.append(activation)
    }
    return result
  }

  private func writeNode(
    _ x: String, _ activations: [Activation], to builder: inout ONNXBuilder
  ) throws(CarouselError) -> (y: String, final: [String]) {
    let gates = ONNXRecurrentWeights.gateOrder(of: cell)
    func stacked(_ name: String, _ tensors: [Tensor]) -> String {
      let shape = Shape([tensors.count] + tensors[0].shape.dimensions)
      return builder.initializer(
        "recurrent.\(name)_l\(layer)", Tensor(shape, tensors.flatMap(\.values)))
    }
    func ordered(_ name: String, _ unit: RecurrentUnit) -> Tensor? {
      guard let tensor = network.parameters[name + unit.suffix] else { return nil }
      let full = name == "weight_hh" ? tensor.dense(unit.layer) : tensor
      return full.inNodeOrder(gates: gates, hasForget: options.forgetGate == .own || cell != .lstm)
    }
    var inputs: [[Tensor]] = [[], [], [], []]
    for unit in units {
      for (index, name) in ["weight_ih", "weight_hh"].enumerated() {
        guard let tensor = ordered(name, unit) else {
          throw CarouselError(.usage, "the network has no parameter '\(name)\(unit.suffix)'")
        }
        inputs[index].append(tensor)
      }
      guard options.bias != .none else { continue }
      let zeros = Tensor(
        [gates.count * hiddenSize], [Double](repeating: 0, count: gates.count * hiddenSize))
      let biases = [
        ordered("bias_ih", unit) ?? zeros,
        ordered("bias_hh", unit) ?? zeros,
      ]
      inputs[2].append(Tensor([2 * gates.count * hiddenSize], biases.flatMap(\.values)))
    }
    if options.peepholes {
      for unit in units {
        let values = ["weight_ci", "weight_co", "weight_cf"].flatMap { name in
          network.parameters[name + unit.suffix]?.values
            ?? [Double](repeating: 0, count: hiddenSize)
        }
        inputs[3].append(Tensor([3 * hiddenSize], values))
      }
    }
    let names = ["W", "R", "B", "P"]
    var weights: [String?] = []
    for (name, tensors) in zip(names, inputs) {
      weights.append(tensors.isEmpty ? nil : stacked(name, tensors))
    }
    let states = initialStates(&builder)
    var arguments: [String?] = [x, weights[0], weights[1], weights[2], nil] + states
    if let peepholes = weights[3] {
      while arguments.count < 7 { arguments.append(nil) }
      arguments.append(peepholes)
    }
    while arguments.last == .some(nil) { arguments.removeLast() }
    let outputs = ["y", "h", "c"].prefix(1 + cell.traits.stateNames.count).map {
      builder.name("layer\(layer)_\($0)")
    }
    builder.node(
      cell.rawValue.uppercased(), arguments, to: Array(outputs), attributes(activations))
    return (outputs[0], Array(outputs.dropFirst()))
  }

  /// The layer's rows of the states that are given.
  private func initialStates(_ builder: inout ONNXBuilder) -> [String?] {
    guard network.withStates else { return [] }
    return cell.traits.stateNames.map { $0 + "_0" }.map { name in
      builder.node(
        "Slice",
        [
          name, builder.list([layer * directions]), builder.list([(layer + 1) * directions]),
          builder.list([0]),
        ])
    }
  }

  private func attributes(_ activations: [Activation]) -> [ONNXAttributeProto] {
    var result: [ONNXAttributeProto] = [
      .int("hidden_size", hiddenSize), .text("direction", configuration.direction.rawValue),
    ]
    if cell == .gru {
      result.append(.int("linear_before_reset", options.gruReset == .after ? 1 : 0))
    }
    if options.forgetGate == .coupled { result.append(.int("input_forget", 1)) }
    let all = (0..<directions).flatMap { _ in activations }
    result.append(.texts("activations", all.map { ONNXActivations.name($0.function) }))
    let alphas = all.filter { ONNXActivations.hasAlpha($0.function) }.map(\.alpha)
    let betas = all.filter { ONNXActivations.hasBeta($0.function) }.map(\.beta)
    if !alphas.isEmpty { result.append(.floats("activation_alpha", alphas)) }
    if !betas.isEmpty { result.append(.floats("activation_beta", betas)) }
    return result
  }
}

extension Tensor {
  /// The rows of gates in PyTorch's order as a node has them; a coupled forget gate's are 0.
  fileprivate func inNodeOrder(gates: [Int], hasForget: Bool) -> Tensor {
    let stored = hasForget ? gates.count : gates.count - 1
    let block = values.count / stored
    // `gates[k]` says which of ONNX's gates is PyTorch's k-th.
    var result = [Double](repeating: 0, count: block * gates.count)
    for (place, target) in gates.enumerated() {
      if !hasForget, place == 1 { continue }
      let source = !hasForget && place > 1 ? place - 1 : place
      for index in 0..<block { result[target * block + index] = values[source * block + index] }
    }
    return Tensor(
      Shape([shape[0] / stored * gates.count] + shape.dimensions.dropFirst()), result)
  }

  /// Recurrent weights as a whole matrix `[G·H, P]`: zeros where a diagonal or blocks have none.
  func dense(_ layer: RecurrentLayer) -> Tensor {
    let (H, P) = (layer.hiddenSize, layer.stateSize)
    let rows = layer.gateRows
    var result = [Double](repeating: 0, count: rows * P)
    switch layer.recurrence {
    case .dense, .absent: return self
    case .diagonal:
      for row in 0..<rows { result[row * P + row % H] = values[row] }
    case .blocks(let count):
      let (height, width) = (H / count, P / count)
      for row in 0..<rows {
        let block = row % H / height
        for column in 0..<width {
          result[row * P + block * width + column] = values[row * width + column]
        }
      }
    }
    return Tensor([rows, P], result)
  }
}
