import CarouselFormats
import CarouselModel
import Testing

@testable import CarouselONNX

@Suite struct ImportTests {
  private func failure(_ model: TestModel) -> CarouselError? {
    do {
      _ = try model.read()
      return nil
    } catch {
      return error as? CarouselError
    }
  }

  @Test func namesShapesAndWeightsAreThoseOfTheFile() throws {
    var model = TestModel()
    model.input("x")
    model.initializer("w", [2, 3], [1, 2, 3, 4, 5, 6])
    model.initializer("one", [], [1])
    model.node("MatMul", ["x", "w"], ["a"])
    model.node("Add", ["a", "one"], ["b"])
    model.node("Relu", ["a"], ["unused"])
    model.node("Tanh", ["b"], ["y"])
    model.output("y")
    let read = try model.read()
    #expect(read.graph.inputs.map(\.name) == ["x"] && read.graph.outputs == ["y"])
    #expect(read.graph.nodes.map(\.operation.name) == ["matMul", "add", "tanh"])
    #expect(read.parameters == ["w": Tensor([2, 3], [1, 2, 3, 4, 5, 6])])
    #expect(read.graph.constants["one"]?.values == [1])
  }

  @Test func unknownOperatorIsNamedWithItsNodeAndTheNearest() {
    var model = TestModel()
    model.input("x")
    model.node("Tahn", ["x"], ["y"])
    model.output("y")
    let error = failure(model)
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("the node 'the Tahn' (Tahn)") == true)
    #expect(error?.message.contains("Tanh") == true)
    var other = TestModel()
    other.node("LSTM", [], ["y"], domain: "org.example")
    other.output("y")
    #expect(failure(other)?.message.contains("(org.example.LSTM)") == true)
    #expect(failure(other)?.message.contains("the nearest that is: 'LSTM'") == true)
    var far = TestModel()
    far.node("MaxUnpool", [], ["y"])
    far.output("y")
    #expect(failure(far)?.message.contains("the nearest that is: 'MaxPool'") == true)
  }

  @Test func cycleAndMissingTensorsAreSaid() {
    var cycle = TestModel()
    cycle.node("Add", ["b", "b"], ["a"])
    cycle.node("Neg", ["a"], ["b"])
    cycle.output("b")
    #expect(failure(cycle)?.message.contains("'b' is read before it is made") == true)
    var missing = TestModel()
    missing.node("Neg", ["w"], ["y"])
    missing.output("y")
    #expect(failure(missing)?.message.contains("'w' is read, but it is no input") == true)
    var twice = TestModel()
    twice.input("x")
    twice.node("Neg", ["x"], ["y"])
    twice.node("Abs", ["x"], ["y"])
    twice.output("y")
    #expect(failure(twice)?.message.contains("'y'") == true)
  }

  @Test func versionThatIsNotKnownIsRefused() {
    for version in [6, 99] as [Int64] {
      #expect(failure(TestModel(opset: version))?.message.contains("version from 7 to") == true)
    }
  }

  @Test func branchWhoseConditionIsKnownIsDecided() throws {
    for value in [0, 1] as [Int32] {
      var model = TestModel()
      model.input("x")
      var condition = ONNXTensorProto()
      (condition.name, condition.dataType, condition.int32Data) = ("c", 9, [value])
      model.proto.graph.initializer.append(condition)
      let branches = ["Relu", "Tanh"].map { type in
        var graph = ONNXGraphProto()
        graph.node = [TestModel.node(type, ["x"], ["inner"])]
        var output = ONNXValueInfoProto()
        output.name = "inner"
        graph.output = [output]
        return graph
      }
      model.node(
        "If", ["c"], ["y"],
        [.graph("then_branch", branches[0]), .graph("else_branch", branches[1])])
      model.output("y")
      let read = try model.read()
      #expect(
        read.graph.nodes.map(\.operation.name) == [value == 1 ? "relu" : "tanh", "identity"])
    }
  }

  @Test func graphsWithinSeeTheTensorsAround() throws {
    var model = TestModel()
    model.input("x")
    model.input("c", type: 9)
    model.initializer("w", [2], [1, 2])
    let branches = ["Add", "Mul"].map { type in
      var graph = ONNXGraphProto()
      graph.node = [TestModel.node(type, ["x", "w"], ["same name"])]
      var output = ONNXValueInfoProto()
      output.name = "same name"
      graph.output = [output]
      return graph
    }
    model.node(
      "If", ["c"], ["y"],
      [.graph("then_branch", branches[0]), .graph("else_branch", branches[1])])
    model.output("y")
    let read = try model.read()
    #expect(read.graph.nodes.map(\.operation.name) == ["branch"])
    #expect(read.parameters.keys.sorted() == ["w"])
    #expect(read.graph.nodes[0].operation.subgraphs.map { $0.nodes.count } == [1, 1])
  }

  @Test func boundsOfOldVersionsAreAttributes() throws {
    var model = TestModel(opset: 9)
    model.input("x")
    model.node("Clip", ["x"], ["a"], [.float("min", -1), .float("max", 2)])
    model.node("Slice", ["a"], ["y"], [.ints("starts", [1]), .ints("ends", [3])])
    model.output("y")
    let read = try model.read()
    #expect(read.graph.nodes.map(\.operation.name) == ["clip", "slice"])
    #expect(read.graph.constants.values.map(\.values).contains([-1]))
    #expect(read.graph.constants.values.map(\.values).contains([3]))
  }

  @Test func attributeOfAnotherTypeIsRefused() {
    var model = TestModel()
    model.input("x")
    model.node("LeakyRelu", ["x"], ["y"], [.int("alpha", 1)])
    model.output("y")
    #expect(failure(model)?.message.contains("an attribute 'alpha' of another type") == true)
  }
}
