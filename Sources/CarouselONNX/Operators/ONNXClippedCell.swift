import CarouselModel

extension ONNXImporter {
  /// Emits a recurrent node with `clip`, a direction at a time.
  ///
  /// The sum of each gate is kept within ±clip; the cell state on its way to h is not, as in ONNX Runtime.
  /// No cell has such a bound, so the steps are spelt out in a scan. With lengths it scans which sequences
  /// have a step, too.
  func importClipped(
    _ node: ONNXNode, _ weights: ONNXRecurrentWeights, _ options: CellOptions, clip: Double,
    _ activations: [ONNXActivations]
  ) throws(CarouselError) {
    let isBatchFirst = try node.flag("layout")
    let tensors = try recurrentInputs(node, cell: weights.cell, isBatchFirst: isBatchFirst)
    let direction = try node.string("direction") ?? "forward"
    var parts: [[String?]] = []
    for index in 0..<weights.directions {
      let cell = ClippedCell(
        importer: self, node: node, weights: weights, options: options, clip: clip,
        activations: activations[index], index: index)
      parts.append(
        try cell.emit(tensors, isReverse: index == 1 || direction == "reverse"))
    }
    emitOutputs(node, parts, isBatchFirst: isBatchFirst)
  }

  /// The initial state of one direction `[N, H]`; zeros where none is given.
  func initialState(
    _ given: String?, x: String, direction: Int, hiddenSize: Int, base: String
  ) -> String {
    let state =
      given
      ?? {
        let extent = emit(.shape(start: 1, end: 2), [x], base: base)
        let shape = emit(
          .concatenate(axis: 0),
          [constant([direction + 1], base: base), extent, constant([hiddenSize], base: base)],
          base: base)
        return emit(.constantOfShape(GraphTensor(scalar: 0)), [shape], base: base)
      }()
    let index = constant(GraphTensor(scalar: Double(direction), type: .int64), base: base)
    return emit(.gather(axis: 0), [state, index], base: base)
  }
}

/// One direction of a recurrent node, step by step.
private struct ClippedCell {
  let importer: ONNXImporter
  let node: ONNXNode
  let weights: ONNXRecurrentWeights
  let options: CellOptions
  let clip: Double
  let activations: ONNXActivations
  let index: Int

  private var base: String { node.name }
  private var hasMemory: Bool { weights.cell == .lstm }

  /// y `[T, 1, N, H]`, hₙ and cₙ `[1, N, H]`.
  func emit(_ tensors: [String?], isReverse: Bool) throws(CarouselError) -> [String?] {
    guard let x = tensors[0] else { throw node.failure("has no input") }
    var names: [String: String] = [:]
    let suffix = index == 0 ? "_l0" : "_l0_reverse"
    let prefix = importer.unique(base + (index == 0 ? "" : "/reverse")) + "."
    for (name, tensor) in weights.parameters(direction: index, options) {
      names[name] = prefix + name + suffix
      importer.parameter(prefix + name + suffix, tensor)
    }
    let sums = importer.emit(.linear, [x, names["weight_ih"], names["bias_ih"]], base: base)
    let states = (0..<(hasMemory ? 2 : 1)).map { state in
      importer.initialState(
        tensors[2 + state], x: x, direction: index, hiddenSize: weights.hiddenSize, base: base)
    }
    // A GRU that resets h before the product needs the last gate's weights by themselves.
    if weights.cell == .gru, options.gruReset == .before {
      for name in ["weight_hh", "bias_hh"] {
        guard let whole = names[name] else { continue }
        for (part, range) in [("gates", 0..<2), ("new", 2..<3)] {
          names[name + "/" + part] = importer.emit(
            .slice,
            [
              whole, bound(range.lowerBound), bound(range.upperBound),
              importer.constant([0], base: base),
            ], base: base)
        }
      }
    }
    let steps = tensors[1].map { stepMask($0, x: x) }
    let body = step(names, hasLengths: steps != nil)
    let outputs = (["h"] + (hasMemory ? ["c"] : []) + ["y"]).map {
      importer.unique("\(base)/\($0)")
    }
    importer.emit(
      .scan(
        ScanOperator(
          body: body, scannedInputs: steps == nil ? 1 : 2,
          inputsReversed: [isReverse, isReverse], outputsReversed: [isReverse])),
      states + [sums, steps].compactMap(\.self), to: outputs, name: base)
    var result: [String?] = [
      importer.emit(.unsqueeze(axes: [1]), [outputs[outputs.count - 1]], base: base)
    ]
    for output in outputs.dropLast() {
      result.append(importer.emit(.unsqueeze(axes: [0]), [output], base: base))
    }
    return result
  }

  private func bound(_ gates: Int) -> String {
    importer.constant([gates * weights.hiddenSize], base: base)
  }

  /// Whether a sequence has a step, `[T, N, 1]`.
  private func stepMask(_ lengths: String, x: String) -> String {
    let extent = importer.emit(.shape(start: 0, end: 1), [x], base: base)
    let count = importer.emit(.squeeze(axes: [0]), [extent], base: base)
    let bounds = [0, 1].map {
      importer.constant(GraphTensor(scalar: $0, type: .int64), base: base)
    }
    let places = importer.emit(.range, [bounds[0], count, bounds[1]], base: base)
    let whole = importer.emit(.cast(.int64), [lengths], base: base)
    return binary(
      .less, importer.emit(.unsqueeze(axes: [1, 2]), [places], base: base),
      importer.emit(.unsqueeze(axes: [0, 2]), [whole], base: base))
  }

  /// The graph of a step: the states, the sums of the inputs and, with lengths, which sequences have the
  /// step → the states, and the outputs, which are h or 0 past a sequence's end.
  private func step(_ names: [String: String], hasLengths: Bool) -> Graph {
    let memory = hasMemory ? ["c"] : []
    let inputs = (["h"] + memory + ["sums"] + (hasLengths ? ["has"] : [])).map {
      importer.unique("\(base)/step/\($0)")
    }
    return importer.build {
      importer.scope.builder.graph.inputs = inputs.enumerated().map { index, name in
        GraphInput(name, type: index > 1 + memory.count ? .bool : .float32, nil)
      }
      var states: [String]
      switch weights.cell {
      case .lstm: states = lstm(inputs, names)
      case .gru: states = [gru(inputs, names)]
      default: states = [applied("hidden", binary(.add, inputs[1], product(inputs[0], "", names)))]
      }
      let y: String
      if hasLengths, let has = inputs.last {
        let zero = importer.constant(GraphTensor(scalar: 0), base: base)
        y = importer.emit(.select, [has, states[0], zero], base: base)
        states = zip(states, inputs).map { importer.emit(.select, [has, $0, $1], base: base) }
      } else {
        y = importer.emit(.unary(.identity), [states[0]], base: base)
      }
      importer.scope.builder.graph.outputs = states + [y]
    }
  }

  /// h, c and the sums → h and c.
  private func lstm(_ inputs: [String], _ names: [String: String]) -> [String] {
    let c = inputs[1]
    let isCoupled = options.forgetGate == .coupled
    let gates = isCoupled ? ["input", "cell", "output"] : ["input", "forget", "cell", "output"]
    let sums = binary(.add, inputs[2], product(inputs[0], "", names))
    let parts = Dictionary(uniqueKeysWithValues: zip(gates, split(sums, gates)))
    func gate(_ name: String, _ peephole: String, _ state: String) -> String {
      var sum = parts[name] ?? sums
      if let weight = names[peephole] { sum = binary(.add, sum, binary(.multiply, weight, state)) }
      return applied(name, sum)
    }
    let i = gate("input", "weight_ci", c)
    let f =
      isCoupled
      ? importer.emit(.unary(.affine(scale: -1, shift: 1)), [i], base: base)
      : gate("forget", "weight_cf", c)
    let g = applied("cell", parts["cell"] ?? sums)
    let next = binary(.add, binary(.multiply, f, c), binary(.multiply, i, g))
    let o = gate("output", "weight_co", next)
    return [binary(.multiply, o, activated("hidden", next)), next]
  }

  /// h and the sums → h.
  private func gru(_ inputs: [String], _ names: [String: String]) -> String {
    let h = inputs[0]
    let x = split(inputs[1], ["r", "z", "n"])
    let gates: [String]
    let new: (String) -> String
    if options.gruReset == .before {
      gates = split(product(h, "/gates", names), ["r", "z"])
      new = { r in binary(.add, x[2], product(binary(.multiply, r, h), "/new", names)) }
    } else {
      gates = split(product(h, "", names), ["r", "z", "n"])
      new = { r in binary(.add, x[2], binary(.multiply, r, gates[2])) }
    }
    let r = applied("reset", binary(.add, x[0], gates[0]))
    let z = applied("update", binary(.add, x[1], gates[1]))
    let n = applied("new", new(r))
    return binary(.add, n, binary(.multiply, z, binary(.subtract, h, n)))
  }

  // MARK: Nodes

  private func binary(_ function: BinaryFunction, _ a: String, _ b: String) -> String {
    importer.emit(.binary(function), [a, b], base: base)
  }

  private func product(_ h: String, _ part: String, _ names: [String: String]) -> String {
    importer.emit(.linear, [h, names["weight_hh" + part], names["bias_hh" + part]], base: base)
  }

  private func split(_ sums: String, _ gates: [String]) -> [String] {
    let parts = gates.map { importer.unique("\(base)/step/\($0)") }
    importer.emit(.split(axis: -1), [sums], to: parts)
    return parts
  }

  /// A gate's activation of what is kept within the bound.
  private func applied(_ gate: String, _ sum: String) -> String {
    let bounds = [-clip, clip].map {
      importer.constant(GraphTensor(scalar: $0), base: base)
    }
    return activated(
      gate, importer.emit(.clip, [sum, bounds[0], bounds[1]], base: base))
  }

  private func activated(_ gate: String, _ x: String) -> String {
    let activation =
      activations.activations[gate] ?? weights.cell.defaultActivation(of: gate) ?? Activation(.tanh)
    return activation.graphFunctions.reduce(x) { importer.emit(.unary($1), [$0], base: base) }
  }
}

extension Activation {
  /// The functions of a graph that it is, one behind the other.
  fileprivate var graphFunctions: [UnaryFunction] {
    switch function {
    case .sigmoid: [.sigmoid]
    case .tanh: [.tanh]
    case .relu: [.relu]
    case .affine: [.affine(scale: alpha, shift: beta)]
    case .leakyRelu: [.leakyRelu(alpha: alpha)]
    case .thresholdedRelu: [.thresholdedRelu(alpha: alpha)]
    case .scaledTanh: [.affine(scale: beta, shift: 0), .tanh, .affine(scale: alpha, shift: 0)]
    case .hardSigmoid: [.hardSigmoid(alpha: alpha, beta: beta)]
    case .elu: [.elu(alpha: alpha)]
    case .softsign: [.softsign]
    case .softplus: [.softplus]
    case .constant, .positive: preconditionFailure("ONNX has no activation \(function.rawValue)")
    }
  }
}
