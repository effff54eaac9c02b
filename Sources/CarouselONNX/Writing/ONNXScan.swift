import CarouselFormats
import CarouselModel

/// One direction of a layer with its equations spelt out in the body of a Scan.
///
/// The equations are those of `RecurrentLayer` outside training: nothing is dropped, and zoneout keeps its
/// share of the states before.
struct ONNXScan {
  private let network: ONNXNetwork
  private let unit: RecurrentUnit
  /// The row of the initial states.
  private let index: Int

  init(_ network: ONNXNetwork, _ unit: RecurrentUnit, index: Int) {
    self.network = network
    self.unit = unit
    self.index = index
  }

  private var layer: RecurrentLayer { unit.layer }
  private var options: CellOptions { layer.options }
  /// The states: h and those beside it.
  private var states: [String] { layer.cell.traits.stateNames }

  /// The options whose equations are here, and those that do nothing outside training.
  private static let known: Set<CellOption> = [
    .recurrence, .forgetGate, .peepholes, .cellClip, .gruReset, .projectionSize, .layerNorm,
    .forgetBias, .recurrentDropout, .zoneoutHidden, .zoneoutCell, .dropConnect,
  ]

  private func width(of state: String) -> Int {
    state == "h" ? layer.stateSize : layer.hiddenSize
  }

  /// Adds the scan; returns its outputs `[T, N, P]` and the last states `[1, N, P]`, `[1, N, H]`.
  func write(
    _ x: String, to builder: inout ONNXBuilder
  ) throws(CarouselError) -> (y: String, final: [String]) {
    if let option = options.used.first(where: { !Self.known.contains($0) }) {
      throw CarouselError(.usage, "a layer with \(option.words) cannot be written as ONNX yet")
    }
    var initial: [String] = []
    for state in states { initial.append(initialState(state, x: x, &builder)) }
    var body = ONNXBuilder(name: "step\(unit.suffix)", scope: "step\(unit.suffix)/")
    try step(&body, outer: &builder)
    let outputs = (states + ["y"]).map { builder.name($0) }
    let way = layer.isReverse ? 1 : 0
    builder.node(
      "Scan", initial + [x], to: outputs,
      [
        .graph("body", body.graph), .int("num_scan_inputs", 1),
        .ints("scan_input_directions", [way]), .ints("scan_output_directions", [way]),
      ])
    var final: [String] = []
    for name in outputs.dropLast() {
      final.append(builder.node("Unsqueeze", [name, builder.list([0])]))
    }
    return (outputs[outputs.count - 1], final)
  }

  private func initialState(
    _ state: String, x: String, _ builder: inout ONNXBuilder
  ) -> String {
    if network.withStates {
      let row = builder.node(
        "Slice",
        [state + "_0", builder.list([index]), builder.list([index + 1]), builder.list([0])])
      return builder.node("Squeeze", [row, builder.list([0])])
    }
    let extents = builder.node("Shape", [x])
    let batch = builder.node(
      "Slice", [extents, builder.list([1]), builder.list([2]), builder.list([0])])
    let shape = builder.node(
      "Concat", [batch, builder.list([width(of: state)])], [.int("axis", 0)])
    return builder.node("ConstantOfShape", [shape])
  }

  // MARK: Parameters, in the graph around the body

  /// A parameter under its own name, recurrent weights as a whole matrix; of it the rows of a group of gates.
  private func parameter(
    _ name: String, rows: Range<Int>? = nil, _ outer: inout ONNXBuilder
  ) -> String? {
    guard var tensor = network.parameters[name + unit.suffix] else { return nil }
    if name == "weight_hh" { tensor = tensor.dense(layer) }
    let whole = outer.initializer("recurrent.\(name)\(unit.suffix)", tensor)
    guard let rows, rows != 0..<tensor.shape[0] else { return whole }
    return outer.node(
      "Slice",
      [
        whole, outer.list([rows.lowerBound]), outer.list([rows.upperBound]), outer.list([0]),
      ])
  }

  /// `x·Wᵀ` for the rows of a group of gates.
  private func product(
    _ x: String, _ name: String, rows: Range<Int>? = nil, _ body: inout ONNXBuilder,
    _ outer: inout ONNXBuilder
  ) throws(CarouselError) -> String {
    guard let weight = parameter(name, rows: rows, &outer) else {
      throw CarouselError(.usage, "the network has no parameter '\(name)\(unit.suffix)'")
    }
    let factor = outer.node("Transpose", [weight], [.ints("perm", [1, 0])])
    return body.node("MatMul", [x, factor])
  }

  /// `gain ⊙ LN(v) + bias`, or v plus the bias.
  private func normalized(
    _ value: String, gain: String?, bias: String?, _ body: inout ONNXBuilder
  ) -> String {
    guard let gain else { return bias.map { body.node("Add", [value, $0]) } ?? value }
    return body.node(
      "LayerNormalization", [value, gain, bias], [.float("epsilon", 1e-5), .int("axis", -1)])
  }

  /// What a group of gates sums of the inputs (`ih`) or of the states (`hh`).
  private func sums(
    _ kind: String, of x: String, _ rows: Range<Int>, _ body: inout ONNXBuilder,
    _ outer: inout ONNXBuilder
  ) throws(CarouselError) -> String {
    normalized(
      try product(x, "weight_\(kind)", rows: rows, &body, &outer),
      gain: parameter("weight_ln_\(kind)", rows: rows, &outer),
      bias: parameter("bias_\(kind)", rows: rows, &outer), &body)
  }

  // MARK: The step

  private func step(
    _ body: inout ONNXBuilder, outer: inout ONNXBuilder
  ) throws(CarouselError) {
    for state in states { body.input(state + "_before", ["N", .fixed(width(of: state))]) }
    body.input("x_t", ["N", .fixed(layer.inputSize)])
    let (visible, memory) = try cell(&body, &outer)
    var h = visible
    if options.projectionSize != nil { h = try product(h, "weight_hr", &body, &outer) }
    h = mixed("h_before", h, kept: options.zoneoutHidden, &body)
    for (state, value) in zip(states, [h] + memory) {
      let kept = state == "h" ? 0 : options.zoneoutCell
      let after = mixed(state + "_before", value, kept: kept, &body)
      body.node("Identity", [after], to: [state + "_after"])
      body.output(state + "_after", ["N", .fixed(width(of: state))])
    }
    body.node("Identity", [h], to: ["y_t"])
    body.output("y_t", ["N", .fixed(layer.stateSize)])
  }

  /// h before a projection, and the states beside it.
  private func cell(
    _ body: inout ONNXBuilder, _ outer: inout ONNXBuilder
  ) throws(CarouselError) -> (h: String, memory: [String]) {
    let gates = ONNXGates(layer)
    let all = 0..<layer.gateRows
    if layer.cell == .gru { return (try gru(gates, &body, &outer), []) }
    var sum = try sums("ih", of: "x_t", all, &body, &outer)
    if layer.cell.traits.hasRecurrentWeights {
      sum = body.node("Add", [sum, try sums("hh", of: "h_before", all, &body, &outer)])
    }
    switch layer.cell {
    case .rnn, .gru: return (gates.activate("hidden", sum, &body), [])
    case .mingru: return (gates.minGRU(sum, &body), [])
    case .slstm:
      let (memory, h) = gates.slstm(sum, &body)
      return (h, memory)
    case .lstm:
      let peepholes = ["weight_ci", "weight_cf", "weight_co"].map { parameter($0, &outer) }
      let (cell, output) = gates.lstm(sum, peepholes: peepholes, &body)
      var visible = cell
      if let gain = parameter("weight_ln_c", &outer) {
        visible = normalized(cell, gain: gain, bias: parameter("bias_ln_c", &outer), &body)
      }
      return (body.node("Mul", [output, gates.activate("hidden", visible, &body)]), [cell])
    }
  }

  /// h of a GRU, whose new gate is normalised, and with the reset gate before the product computed, by
  /// itself.
  private func gru(
    _ gates: ONNXGates, _ body: inout ONNXBuilder, _ outer: inout ONNXBuilder
  ) throws(CarouselError) -> String {
    let split = layer.gateRows - layer.hiddenSize
    let (first, last) = (0..<split, split..<layer.gateRows)
    let inputs = [
      try sums("ih", of: "x_t", first, &body, &outer),
      try sums("ih", of: "x_t", last, &body, &outer),
    ]
    let states = try sums("hh", of: "h_before", first, &body, &outer)
    let (reset, update) = gates.gru(body.node("Add", [inputs[0], states]), &body)
    var recurrent: String
    if options.gruReset == .before {
      recurrent = try sums(
        "hh", of: body.node("Mul", [reset, "h_before"]), last, &body, &outer)
    } else {
      recurrent = try sums("hh", of: "h_before", last, &body, &outer)
      recurrent = body.node("Mul", [reset, recurrent])
    }
    let new = gates.activate("new", body.node("Add", [inputs[1], recurrent]), &body)
    return gates.interpolated(update, new, "h_before", &body)
  }

  private func mixed(
    _ before: String, _ after: String, kept: Double, _ body: inout ONNXBuilder
  ) -> String {
    guard kept > 0 else { return after }
    let old = body.node("Mul", [before, body.scalar(kept)])
    return body.node("Add", [old, body.node("Mul", [after, body.scalar(1 - kept)])])
  }
}
