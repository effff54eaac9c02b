import CarouselModel

extension ONNXImporter {
  /// Recurrent layers.
  static let recurrentOperators: [String: OperatorImporter] = [
    "RNN": { (importer, node) throws(CarouselError) in
      try importer.importRecurrent(node, cell: .rnn)
    },
    "LSTM": { (importer, node) throws(CarouselError) in
      try importer.importRecurrent(node, cell: .lstm)
    },
    "GRU": { (importer, node) throws(CarouselError) in
      try importer.importRecurrent(node, cell: .gru)
    },
  ]

  /// One recurrent node as one operator, or as two where the directions differ in their activations.
  private func importRecurrent(_ node: ONNXNode, cell: Cell) throws(CarouselError) {
    var options = CellOptions()
    if try node.flag("input_forget"), cell == .lstm { options.forgetGate = .coupled }
    if cell == .gru, try !node.flag("linear_before_reset") { options.gruReset = .before }
    let weights = ONNXRecurrentWeights(
      node, cell: cell, weight: try requiredKnown(node, 1).tensor,
      recurrent: try requiredKnown(node, 2).tensor, bias: try knownInput(node, 3),
      peepholes: cell == .lstm ? try knownInput(node, 7) : nil)
    try importRecurrent(node, weights, options)
  }

  func knownInput(_ node: ONNXNode, _ index: Int) throws(CarouselError) -> Tensor? {
    node.input(index) == nil ? nil : try requiredKnown(node, index).tensor
  }

  /// The operators for weights in ONNX's layout.
  func importRecurrent(
    _ node: ONNXNode, _ weights: ONNXRecurrentWeights, _ plain: CellOptions
  ) throws(CarouselError) {
    let cell = weights.cell
    let word = try node.string("direction") ?? "forward"
    guard let direction = Direction(rawValue: word) else {
      throw node.failure("has 'direction' \(word), which is not supported")
    }
    let directions = direction == .bidirectional ? 2 : 1
    try weights.check(directions: directions, hiddenSize: try node.int("hidden_size"))
    let activations = try ONNXActivations.all(of: node, cell: cell, directions: directions)
    var options = plain
    options.bias = weights.bias == nil ? .none : .double
    options.peepholes = weights.peepholes != nil
    if let clip = try node.float("clip"), clip > 0 {
      return try importClipped(node, weights, options, clip: clip, activations)
    }
    let isBatchFirst = try node.flag("layout")
    let tensors = try recurrentInputs(node, cell: cell, isBatchFirst: isBatchFirst)
    var parts: [[String?]] = []
    if Set(activations.map { "\($0.activations.sorted { $0.key < $1.key })" }).count == 1 {
      parts.append(
        try emitRecurrent(
          node, weights, options, activations[0], direction, rows: 0..<directions, tensors))
    } else {
      for index in 0..<2 {
        parts.append(
          try emitRecurrent(
            node, weights, options, activations[index], index == 0 ? .forward : .reverse,
            rows: index..<(index + 1), tensors))
      }
    }
    emitOutputs(node, parts, isBatchFirst: isBatchFirst)
  }

  /// x, lengths, h₀ and c₀ with time first.
  func recurrentInputs(
    _ node: ONNXNode, cell: Cell, isBatchFirst: Bool
  ) throws(CarouselError) -> [String?] {
    var result: [String?] = []
    for index in [0, 4, 5, 6] where index < 6 || cell == .lstm {
      guard let input = node.input(index) else {
        result.append(nil)
        continue
      }
      let name = try resolve(input)
      result.append(
        isBatchFirst && index != 4 ? emit(.transpose([1, 0, 2]), [name], base: node.name) : name)
    }
    return result
  }

  /// One operator for some of the directions; returns y `[T, D, N, H]`, hₙ and cₙ `[D, N, H]`.
  private func emitRecurrent(
    _ node: ONNXNode, _ weights: ONNXRecurrentWeights, _ plain: CellOptions,
    _ activations: ONNXActivations, _ direction: Direction, rows: Range<Int>,
    _ tensors: [String?]
  ) throws(CarouselError) -> [String?] {
    var options = plain
    options.activations = activations.activations
    if options.forgetGate == .coupled { options.activations["forget"] = nil }
    let cell = weights.cell
    let configuration = RecurrentConfiguration(
      cell: cell, inputSize: weights.inputSize, hiddenSize: weights.hiddenSize,
      direction: direction, options: options)
    do {
      try configuration.validate()
    } catch {
      throw node.failure("cannot be: \(error.message)")
    }
    let prefix = unique(node.name + (rows.lowerBound > 0 ? "/reverse" : "")) + "."
    for (index, unit) in configuration.units.enumerated() {
      for (name, tensor) in weights.parameters(direction: rows.lowerBound + index, options) {
        parameter(prefix + name + unit.suffix, tensor)
      }
    }
    let isPart = rows.count < weights.directions
    var inputs = tensors
    if isPart {
      for index in 2..<inputs.count {
        inputs[index] = inputs[index].map { state in
          emit(
            .slice,
            [
              state, constant([rows.lowerBound], base: node.name),
              constant([rows.upperBound], base: node.name), constant([0], base: node.name),
            ], base: node.name)
        }
      }
    }
    let outputs = (0..<(cell == .lstm ? 3 : 2)).map { unique("\(node.name)/output\($0)") }
    emit(
      .recurrent(RecurrentOperator(configuration, prefix: prefix)), inputs, to: outputs,
      name: node.name)
    guard rows.count == 2 else {
      return [emit(.unsqueeze(axes: [1]), [outputs[0]], base: node.name)]
        + Array(outputs.dropFirst())
    }
    let shape = constant([0, 0, 2, weights.hiddenSize], base: node.name)
    let split = emit(.reshape(allowsZero: false), [outputs[0], shape], base: node.name)
    return [emit(.transpose([0, 2, 1, 3]), [split], base: node.name)] + Array(outputs.dropFirst())
  }

  /// Lets the node's outputs stand for what its operators make, in the node's layout.
  func emitOutputs(_ node: ONNXNode, _ parts: [[String?]], isBatchFirst: Bool) {
    for index in 0..<3 {
      guard let output = node.output(index) else { continue }
      let tensors = parts.compactMap { index < $0.count ? $0[index] : nil }
      guard let first = tensors.first else { continue }
      var name = first
      if tensors.count > 1 {
        name = emit(.concatenate(axis: index == 0 ? 1 : 0), tensors, base: node.name)
      }
      if isBatchFirst {
        name = emit(
          .transpose(index == 0 ? [2, 0, 1, 3] : [1, 0, 2]), [name], base: node.name)
      }
      define(output, as: name)
    }
  }
}
