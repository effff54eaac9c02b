import CarouselModel

extension ONNXImporter {
  /// An LSTM whose products are of whole numbers: x as a whole, and h at each step, become UInt8 in the
  /// range that they have, as ONNX Runtime computes it.
  ///
  /// The steps are spelt out in a scan: with `q, s, z` the quantised h, its scale and zero point,
  /// `h·Rᵀ ≈ ((q − z)·(R − z_R))·s·s_R`.
  func importQuantizedLSTM(_ node: ONNXNode) throws(CarouselError) {
    let (W, R) = (try requiredKnown(node, 1), try requiredKnown(node, 2))
    let word = try node.string("direction") ?? "forward"
    let directions = word == "bidirectional" ? 2 : 1
    guard Direction(rawValue: word) != nil, W.shape.rank == 3, R.shape.rank == 3,
      W.shape[0] == directions, R.shape[0] == directions, R.shape[2] == 4 * R.shape[1],
      W.shape[2] == R.shape[2]
    else {
      throw node.failure(
        "has weights of the shapes \(W.shape) and \(R.shape), expected \(directions) × [C, 4H] and "
          + "[H, 4H]")
    }
    try node.require("input_forget", try !node.flag("input_forget"), "1")
    try node.require("clip", try node.float("clip", 0) == 0, "above 0")
    try node.require("P", node.input(7) == nil, "as an input")
    try node.require("sequence_lens", node.input(4) == nil, "as an input")
    let activations = try ONNXActivations.all(of: node, cell: .lstm, directions: directions)
    guard activations.allSatisfy({ $0.activations.isEmpty }) else {
      throw node.failure("has activations other than its own, which is not supported")
    }
    let tensors = try recurrentInputs(node, cell: .lstm, isBatchFirst: false)
    var parts: [[String?]] = []
    for direction in 0..<directions {
      let quantized = QuantizedDirection(
        index: direction, isReverse: direction == 1 || word == "reverse",
        weight: W.row(direction), recurrent: R.row(direction),
        bias: try knownInput(node, 3)?.row(direction), hiddenSize: R.shape[1],
        scales: [
          try requiredKnown(node, 8).row(direction), try requiredKnown(node, 10).row(direction),
        ],
        zeros: [
          try requiredKnown(node, 9).row(direction), try requiredKnown(node, 11).row(direction),
        ])
      parts.append(try emitQuantized(node, quantized, tensors))
    }
    emitOutputs(node, parts, isBatchFirst: false)
  }

  private struct QuantizedDirection {
    let index: Int
    let isReverse: Bool
    let weight: GraphTensor, recurrent: GraphTensor
    let bias: Tensor?
    let hiddenSize: Int
    let scales: [GraphTensor], zeros: [GraphTensor]
  }

  private func emitQuantized(
    _ node: ONNXNode, _ direction: QuantizedDirection, _ tensors: [String?]
  ) throws(CarouselError) -> [String?] {
    let base = node.name
    let (H, input) = (direction.hiddenSize, tensors[0])
    guard let x = input else { throw node.failure("has no input") }
    let sums = emitProduct(
      x, direction.weight, direction.zeros[0], direction.scales[0], base: base)
    let states = tensors[2...].map { tensor in
      initialState(tensor, x: x, direction: direction.index, hiddenSize: H, base: base)
    }
    let body = quantizedStep(direction, base: base)
    let outputs = ["h", "c", "y"].map { unique("\(base)/\($0)") }
    emit(
      .scan(
        ScanOperator(
          body: body, scannedInputs: 1, inputsReversed: [direction.isReverse],
          outputsReversed: [direction.isReverse])), states + [sums], to: outputs, name: base)
    return [
      emit(.unsqueeze(axes: [1]), [outputs[2]], base: base),
      emit(.unsqueeze(axes: [0]), [outputs[0]], base: base),
      emit(.unsqueeze(axes: [0]), [outputs[1]], base: base),
    ]
  }

  /// `a·b` by whole numbers, `b` being known with its scale and zero point.
  private func emitProduct(
    _ a: String, _ b: GraphTensor, _ zero: GraphTensor, _ scale: GraphTensor, base: String
  ) -> String {
    let parts = ["quantized", "scale", "zero"].map { unique("\(base)/\($0)") }
    emit(.dynamicQuantize, [a], to: parts)
    let whole = emit(
      .matMulInteger,
      [parts[0], constant(b, base: base), parts[2], constant(zero, base: base)], base: base)
    let real = emit(.cast(.float32), [whole], base: base)
    let factor = emit(
      .binary(.multiply), [parts[1], constant(scale, base: base)], base: base)
    return emit(.binary(.multiply), [real, factor], base: base)
  }

  /// One step: h, c and the sums of the inputs `[N, 4H]` → h, c and h again.
  private func quantizedStep(_ direction: QuantizedDirection, base: String) -> Graph {
    let inputs = ["h", "c", "sums"].map { unique("\(base)/step/\($0)") }
    return build {
      scope.builder.graph.inputs = inputs.map { GraphInput($0, nil) }
      let product = emitProduct(
        inputs[0], direction.recurrent, direction.zeros[1], direction.scales[1], base: base)
      var sums = emit(.binary(.add), [inputs[2], product], base: base)
      if let bias = direction.bias {
        let half = bias.values.count / 2
        let both = Tensor([half], (0..<half).map { bias.values[$0] + bias.values[$0 + half] })
        sums = emit(
          .binary(.add), [sums, constant(GraphTensor(both), base: base)], base: base)
      }
      let parts = ["i", "o", "f", "g"].map { unique("\(base)/step/\($0)") }
      emit(.split(axis: -1), [sums], to: parts)
      let gates = parts.enumerated().map { index, part in
        emit(.unary(index < 3 ? .sigmoid : .tanh), [part], base: base)
      }
      let kept = emit(.binary(.multiply), [gates[2], inputs[1]], base: base)
      let added = emit(.binary(.multiply), [gates[0], gates[3]], base: base)
      let c = emit(.binary(.add), [kept, added], base: base)
      let h = emit(
        .binary(.multiply), [gates[1], emit(.unary(.tanh), [c], base: base)], base: base)
      let y = emit(.unary(.identity), [h], base: base)
      scope.builder.graph.outputs = [h, c, y]
    }
  }
}

extension GraphTensor {
  /// The part at `index` of the first axis, without that axis.
  fileprivate func row(_ index: Int) -> GraphTensor {
    GraphTensor(tensor.row(index), type: type)
  }
}
