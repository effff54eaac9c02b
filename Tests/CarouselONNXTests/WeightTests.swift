import CarouselFormats
import CarouselModel
import Testing

@testable import CarouselONNX

/// Weights go back to where they came from in the file.
@Suite struct WeightTests {
  /// A GRU whose weights come out of a transposition, a concatenation and half-precision numbers.
  private func model() -> TestModel {
    var model = TestModel()
    model.input("x")
    func numbers(_ count: Int, _ start: Float) -> [Float] { (0..<count).map { start + Float($0) } }
    model.initializer("Wt", [2, 6], numbers(12, 1))
    model.node("Transpose", ["Wt"], ["W2"], [.ints("perm", [1, 0])])
    model.initializer("axes", [1], [])
    model.proto.graph.initializer[1].dataType = 7
    model.proto.graph.initializer[1].floatData = []
    model.proto.graph.initializer[1].int64Data = [0]
    model.node("Unsqueeze", ["W2", "axes"], ["W"])
    model.initializer("R", [1, 6, 2], numbers(12, 101))
    model.initializer("Bi", [1, 6], numbers(6, 201))
    model.initializer("Bh", [1, 6], numbers(6, 301))
    model.node("Concat", ["Bi", "Bh"], ["B"], [.int("axis", 1)])
    model.node("GRU", ["x", "W", "R", "B"], ["y"], [.int("hidden_size", 2)])
    model.initializer("scale", [2], [1, 2])
    model.node("Mul", ["y", "scale"], ["z"])
    model.output("z")
    return model
  }

  @Test func everyWeightIsReadAgainAsItWasWritten() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("m.onnx", holding: try model().proto.serializedBytes())
    let read = try ONNXModel(contentsOf: path)
    #expect(read.parameters.count == 5)
    let changed = read.parameters.mapValues { tensor in
      Tensor(tensor.shape, tensor.values.map { $0 * 2 + 0.5 })
    }
    try read.requireWritable(Array(read.parameters.keys))
    let target = folder.path + "/n.onnx"
    try read.write(changed, to: target)
    let again = try ONNXModel(contentsOf: target)
    #expect(again.parameters == changed)
    #expect(again.graph == read.graph)

    // What is not given keeps its numbers.
    try read.write(["scale": Tensor([2], [7, 8])], to: target)
    let last = try ONNXModel(contentsOf: target).parameters
    #expect(last["scale"]?.values == [7, 8])
    for (name, tensor) in read.parameters where name != "scale" { #expect(last[name] == tensor) }
  }

  @Test func tensorOfTwoLayersIsNotTrainedApart() throws {
    var model = model()
    model.node("GRU", ["x", "W", "R", "B"], ["other"], [.int("hidden_size", 2)])
    model.output("other")
    let folder = try TemporaryFolder()
    let read = try ONNXModel(
      contentsOf: folder.file("m.onnx", holding: try model.proto.serializedBytes()))
    let names = read.parameters.keys.filter { $0.hasSuffix("weight_ih_l0") }
    #expect(names.count == 2)
    try read.requireWritable(["scale"])
    #expect(throws: CarouselError.self) { try read.requireWritable(Array(names)) }
  }

  @Test func unknownParameterIsRefused() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("m.onnx", holding: try model().proto.serializedBytes())
    let read = try ONNXModel(contentsOf: path)
    #expect(throws: CarouselError.self) {
      try read.write(["nothing": Tensor([2], [7, 8])], to: folder.path + "/n.onnx")
    }
    #expect(throws: CarouselError.self) {
      try read.write(["scale": Tensor([1], [7])], to: folder.path + "/n.onnx")
    }
  }
}
