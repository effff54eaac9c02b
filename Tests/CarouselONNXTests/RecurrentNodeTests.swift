import CarouselFormats
import CarouselModel
import Testing

@testable import CarouselONNX

@Suite struct RecurrentNodeTests {
  /// An LSTM node with H = 1 and C = 1 whose weights are 1, 2, 3, … in the order of the file.
  private func lstm(
    directions: Int64 = 1, _ attributes: [ONNXAttributeProto] = [], peepholes: Bool = false
  ) -> TestModel {
    var model = TestModel()
    model.input("x")
    func numbers(_ count: Int64, from start: Int) -> [Float] {
      (0..<Int(count)).map { Float($0 + start) }
    }
    model.initializer("W", [directions, 4, 1], numbers(4 * directions, from: 1))
    model.initializer("R", [directions, 4, 1], numbers(4 * directions, from: 101))
    model.initializer("B", [directions, 8], numbers(8 * directions, from: 201))
    model.initializer("P", [directions, 3], numbers(3 * directions, from: 301))
    model.node(
      "LSTM", ["x", "W", "R", "B"] + (peepholes ? ["", "", "", "P"] : []), ["y", "h"],
      [.int("hidden_size", 1)] + attributes)
    for name in ["y", "h"] { model.output(name) }
    return model
  }

  private func recurrent(_ graph: Graph) -> [RecurrentOperator] {
    graph.nodes.compactMap { node in
      if case .recurrent(let operation) = node.operation { operation } else { nil }
    }
  }

  @Test func gatesAreBroughtIntoPyTorchsOrder() throws {
    let read = try lstm(peepholes: true).read()
    let operation = try #require(recurrent(read.graph).first)
    func values(_ name: String) -> [Double]? { read.parameters[operation.prefix + name]?.values }
    // The file's order is i, o, f, c.
    #expect(values("weight_ih_l0") == [1, 3, 4, 2])
    #expect(values("weight_hh_l0") == [101, 103, 104, 102])
    #expect(values("bias_ih_l0") == [201, 203, 204, 202])
    #expect(values("bias_hh_l0") == [205, 207, 208, 206])
    #expect(values("weight_ci_l0") == [301])
    #expect(values("weight_co_l0") == [302])
    #expect(values("weight_cf_l0") == [303])
    #expect(operation.configuration.options.peepholes)
    #expect(Set(read.graph.parameters.map(\.description.name)) == Set(read.parameters.keys))
  }

  @Test func coupledForgetGateHasNoWeights() throws {
    let read = try lstm([.int("input_forget", 1)]).read()
    let operation = try #require(recurrent(read.graph).first)
    #expect(operation.configuration.options.forgetGate == .coupled)
    #expect(read.parameters[operation.prefix + "weight_ih_l0"]?.values == [1, 4, 2])
  }

  @Test func activationsTakeTheirParametersInOrder() throws {
    let read = try lstm([
      .texts("activations", ["HardSigmoid", "LeakyRelu", "ScaledTanh"]),
      .floats("activation_alpha", [0.3, 0.1, 2]), .floats("activation_beta", [0.4, 0.5]),
    ]).read()
    let activations = try #require(recurrent(read.graph).first).configuration.options.activations
    for gate in ["input", "forget", "output"] {
      #expect(
        activations[gate]
          == Activation(.hardSigmoid, alpha: Double(Float(0.3)), beta: Double(Float(0.4))))
    }
    #expect(activations["cell"] == Activation(.leakyRelu, alpha: Double(Float(0.1))))
    #expect(activations["hidden"] == Activation(.scaledTanh, alpha: 2, beta: 0.5))
  }

  @Test func directionsOfOtherActivationsBecomeTwoLayers() throws {
    let names = ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Relu", "Tanh"]
    let read = try lstm(
      directions: 2, [.text("direction", "bidirectional"), .texts("activations", names)]
    ).read()
    let operations = recurrent(read.graph)
    #expect(operations.map(\.configuration.direction) == [.forward, .reverse])
    #expect(operations[1].configuration.options.activations == ["cell": Activation(.relu)])
    #expect(read.parameters[operations[1].prefix + "weight_ih_l0"]?.values == [5, 7, 8, 6])
    let same = try lstm(directions: 2, [.text("direction", "bidirectional")]).read()
    #expect(recurrent(same.graph).map(\.configuration.direction) == [.bidirectional])
  }

  @Test(arguments: [
    ([ONNXAttributeProto.text("direction", "both")], "has 'direction' both"),
    ([.texts("activations", ["Sigmoid", "Tanh"])], "has 2 activations, expected 3"),
    ([.texts("activations", ["Sigmoid", "Tanh", "Sine"])], "the activation 'Sine'"),
    ([.text("direction", "bidirectional")], "has W of the shape [1, 4, 1], expected [2, 4, 1]"),
    ([.int("hidden_size", 2)], "expected [1, 8, 1]"),
  ])
  func whatCannotBeSaidIsNamed(attributes: [ONNXAttributeProto], sentence: String) {
    var model = lstm()
    model.proto.graph.node[0].attribute += attributes
    do {
      _ = try model.read()
      Issue.record("the node was read")
    } catch {
      #expect((error as? CarouselError)?.message.contains(sentence) == true, "\(error)")
    }
  }
}
