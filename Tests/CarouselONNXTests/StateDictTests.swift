import CarouselFormats
import CarouselModel
import Testing

@testable import CarouselONNX

/// Recurrent nodes as PyTorch's exporters write them, read as the layers of one stack.
@Suite struct StateDictTests {
  private static let (C, H) = (3, 4)

  /// Two bidirectional nodes with transposes and reshapes between, a linear layer behind, and with
  /// `isDisturbed` something that is trained between the nodes.
  private func model(isDisturbed: Bool = false) -> TestModel {
    var model = TestModel()
    var number: Float = 0
    func add(_ name: String, _ shape: [Int]) {
      let values = (0..<shape.reduce(1, *)).map { _ in
        number += 1
        return number / 64
      }
      model.initializer(name, shape.map { Int64($0) }, values)
    }
    model.input("x")
    model.node("Transpose", ["x"], ["first"], [.ints("perm", [1, 0, 2])])
    var below = "first"
    for layer in 0..<2 {
      let (width, mark) = (layer == 0 ? Self.C : 2 * Self.H, "\(layer)")
      add("W" + mark, [2, 4 * Self.H, width])
      add("R" + mark, [2, 4 * Self.H, Self.H])
      add("B" + mark, [2, 8 * Self.H])
      model.node(
        "LSTM", [below, "W" + mark, "R" + mark, "B" + mark], ["y" + mark],
        [.int("hidden_size", Self.H), .text("direction", "bidirectional")])
      model.node(
        "Transpose", ["y" + mark], ["t" + mark], [.ints("perm", [0, 2, 1, 3])])
      model.proto.graph.initializer.append(Self.list("s" + mark, [0, 0, -1]))
      model.node("Reshape", ["t" + mark, "s" + mark], ["joined" + mark])
      below = "joined" + mark
      if layer == 0, isDisturbed {
        add("scale", [2 * Self.H])
        model.node("Mul", [below, "scale"], ["scaled"])
        below = "scaled"
      }
    }
    add("onnx::MatMul_7", [2 * Self.H, 2])
    add("net.fc.bias", [2])
    model.node("MatMul", [below, "onnx::MatMul_7"], ["product"])
    model.node("Add", ["net.fc.bias", "product"], ["z"])
    model.output("z")
    return model
  }

  private static func list(_ name: String, _ values: [Int64]) -> ONNXTensorProto {
    var proto = ONNXTensorProto()
    (proto.name, proto.dataType, proto.dims) = (name, 7, [Int64(values.count)])
    proto.int64Data = values
    return proto
  }

  @Test func nodesThatReadEachOtherAreOneStack() throws {
    let read = try model().read()
    let state = ONNXStateDict(read, described: nil, merge: .concatenate)
    let expected = RecurrentConfiguration(
      inputSize: Self.C, hiddenSize: Self.H, layers: 2, direction: .bidirectional)
    #expect(state.stacks.values.map(\.self) == [expected])
    let prefix = try #require(state.stacks.keys.first)
    for description in expected.parameterDescriptions {
      #expect(state.tensors[prefix + description.name]?.shape == description.shape)
    }
    // PyTorch's second gate f is ONNX's third; the second layer's are behind the first's.
    let found = try #require(state.tensors[prefix + "weight_hh_l1"])
    let second = try #require(read.parameters.first { $0.key.hasSuffix("the LSTM.2.weight_hh_l0") })
    #expect(found == second.value)
    let weight = try #require(state.tensors["net.fc.weight"])
    let stored = try #require(read.parameters["onnx::MatMul_7"])
    #expect(weight.shape == [2, 8])
    #expect(weight.values[1] == stored.values[2] && weight.values[8] == stored.values[1])
    #expect(state.tensors["net.fc.bias"] == read.parameters["net.fc.bias"])
    #expect(state.tensors.count == expected.parameterDescriptions.count + 2)
  }

  @Test func whatIsTrainedBetweenNodesPartsThem() throws {
    let state = ONNXStateDict(
      try model(isDisturbed: true).read(), described: nil, merge: .concatenate)
    #expect(state.stacks.count == 2)
    #expect(state.stacks.values.map(\.inputSize).sorted() == [Self.C, 2 * Self.H])
    #expect(state.stacks.values.allSatisfy { $0.layers == 1 })
    #expect(state.tensors["scale"] != nil)
  }
}
