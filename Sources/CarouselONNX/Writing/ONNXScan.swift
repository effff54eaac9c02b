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
  private var hasCell: Bool { !layer.cell.traits.memory.isEmpty }

  /// Adds the scan; returns its outputs `[T, N, P]` and the last states `[1, N, P]`, `[1, N, H]`.
  func write(
    _ x: String, to builder: inout ONNXBuilder
  ) throws(CarouselError) -> (y: String, final: [String]) {
    var states: [String] = []
    let widths = hasCell ? [layer.stateSize, layer.hiddenSize] : [layer.stateSize]
    for (name, width) in zip(["h_0", "c_0"], widths) {
      states.append(initial(name, width: width, x: x, &builder))
    }
    var body = ONNXBuilder(name: "step\(unit.suffix)")
    try step(&body, outer: &builder)
    let outputs = (hasCell ? ["h", "c", "y"] : ["h", "y"]).map { builder.name($0) }
    let way = layer.isReverse ? 1 : 0
    builder.node(
      "Scan", states + [x], to: outputs,
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

  private func initial(
    _ name: String, width: Int, x: String, _ builder: inout ONNXBuilder
  ) -> String {
    if network.withStates {
      let row = builder.node(
        "Slice", [name, builder.list([index]), builder.list([index + 1]), builder.list([0])])
      return builder.node("Squeeze", [row, builder.list([0])])
    }
    let extents = builder.node("Shape", [x])
    let batch = builder.node(
      "Slice", [extents, builder.list([1]), builder.list([2]), builder.list([0])])
    let shape = builder.node("Concat", [batch, builder.list([width])], [.int("axis", 0)])
    return builder.node("ConstantOfShape", [shape])
  }

  /// A parameter, kept in the graph around the body.
  private func parameter(
    _ name: String, _ outer: inout ONNXBuilder, _ change: (Tensor) -> Tensor = { $0 }
  ) -> String? {
    guard let tensor = network.parameters[name + unit.suffix] else { return nil }
    return outer.initializer("recurrent.\(name)\(unit.suffix)", change(tensor))
  }

  /// `gain ⊙ LN(v) + bias`, or v plus the bias.
  private func normalized(
    _ value: String, gain: String?, bias: String?, _ body: inout ONNXBuilder
  ) -> String {
    guard let gain else { return bias.map { body.node("Add", [value, $0]) } ?? value }
    return body.node(
      "LayerNormalization", [value, gain, bias], [.float("epsilon", 1e-5), .int("axis", -1)])
  }

  /// The rows of one group of gates of a parameter.
  private func part(
    _ name: String, _ rows: Range<Int>, _ outer: inout ONNXBuilder
  ) -> String? {
    guard let tensor = network.parameters[name + unit.suffix] else { return nil }
    let width = tensor.values.count / tensor.shape[0]
    let values = Array(tensor.values[(rows.lowerBound * width)..<(rows.upperBound * width)])
    let suffix = rows == 0..<layer.gateRows ? "" : "_\(rows.lowerBound)"
    return outer.initializer(
      "recurrent.\(name)\(unit.suffix)\(suffix)",
      Tensor(Shape([rows.count] + tensor.shape.dimensions.dropFirst()), values))
  }

  private func product(
    _ x: String, _ weight: Tensor, _ name: String, _ body: inout ONNXBuilder,
    _ outer: inout ONNXBuilder
  ) -> String {
    let factor = outer.initializer(
      "recurrent.\(name)\(unit.suffix)", weight.transposed([1, 0]))
    return body.node("MatMul", [x, factor])
  }

  private func step(
    _ body: inout ONNXBuilder, outer: inout ONNXBuilder
  ) throws(CarouselError) {
    let (H, P) = (layer.hiddenSize, layer.stateSize)
    body.input("h_before", ["N", .fixed(P)])
    if hasCell { body.input("c_before", ["N", .fixed(H)]) }
    body.input("x_t", ["N", .fixed(layer.inputSize)])
    // A GRU's new gate is normalised, and with the reset gate before the product computed, by itself.
    let last = layer.gateRows - H
    let groups = layer.cell == .gru ? [0..<last, last..<layer.gateRows] : [0..<layer.gateRows]
    guard let weightIH = network.parameters["weight_ih" + unit.suffix],
      let weightHH = network.parameters["weight_hh" + unit.suffix]?.dense(layer)
    else { throw CarouselError(.usage, "the network lacks the weights of '\(unit.suffix)'") }
    func rows(_ tensor: Tensor, _ group: Range<Int>) -> Tensor {
      let width = tensor.shape[1]
      return Tensor(
        [group.count, width],
        Array(tensor.values[(group.lowerBound * width)..<(group.upperBound * width)]))
    }
    func sums(_ kind: String, _ x: String, _ weight: Tensor, _ group: Range<Int>) -> String {
      let mark = groups.count > 1 ? "_\(group.lowerBound)" : ""
      let raw = product(x, rows(weight, group), "weight_\(kind)\(mark)", &body, &outer)
      return normalized(
        raw, gain: part("weight_ln_\(kind)", group, &outer),
        bias: part("bias_\(kind)", group, &outer), &body)
    }
    let gates = ONNXGates(layer)
    let inputSums = groups.map { sums("ih", "x_t", weightIH, $0) }
    var h: String
    var c: String?
    switch layer.cell {
    case .lstm:
      let recurrent = sums("hh", "h_before", weightHH, groups[0])
      let all = body.node("Add", [inputSums[0], recurrent])
      let peepholes = ["weight_ci", "weight_cf", "weight_co"].map { parameter($0, &outer) }
      let (cell, output) = gates.lstm(all, peepholes: peepholes, &body)
      var visible = cell
      if let gain = parameter("weight_ln_c", &outer) {
        visible = normalized(cell, gain: gain, bias: parameter("bias_ln_c", &outer), &body)
      }
      h = body.node("Mul", [output, gates.activate("hidden", visible, &body)])
      c = cell
    case .gru:
      let first = sums("hh", "h_before", weightHH, groups[0])
      let (reset, update) = gates.gru(body.node("Add", [inputSums[0], first]), &body)
      var recurrent: String
      if options.gruReset == .before {
        recurrent = sums("hh", body.node("Mul", [reset, "h_before"]), weightHH, groups[1])
      } else {
        recurrent = sums("hh", "h_before", weightHH, groups[1])
        recurrent = body.node("Mul", [reset, recurrent])
      }
      let new = gates.activate("new", body.node("Add", [inputSums[1], recurrent]), &body)
      let rest = body.node("Sub", [body.scalar(1), update])
      h = body.node(
        "Add", [body.node("Mul", [rest, new]), body.node("Mul", [update, "h_before"])])
    default:
      let recurrent = sums("hh", "h_before", weightHH, groups[0])
      h = gates.activate("hidden", body.node("Add", [inputSums[0], recurrent]), &body)
    }
    if let weight = network.parameters["weight_hr" + unit.suffix] {
      h = product(h, weight, "weight_hr", &body, &outer)
    }
    h = mixed("h_before", h, kept: options.zoneoutHidden, &body)
    body.node("Identity", [h], to: ["h_after"])
    body.node("Identity", [h], to: ["y_t"])
    body.output("h_after", ["N", .fixed(P)])
    if let cell = c {
      body.node(
        "Identity", [mixed("c_before", cell, kept: options.zoneoutCell, &body)], to: ["c_after"])
      body.output("c_after", ["N", .fixed(H)])
    }
    body.output("y_t", ["N", .fixed(P)])
  }

  private func mixed(
    _ before: String, _ after: String, kept: Double, _ body: inout ONNXBuilder
  ) -> String {
    guard kept > 0 else { return after }
    let old = body.node("Mul", [before, body.scalar(kept)])
    return body.node("Add", [old, body.node("Mul", [after, body.scalar(1 - kept)])])
  }
}
