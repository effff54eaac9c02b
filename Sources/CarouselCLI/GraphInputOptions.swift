import ArgumentParser
import Carousel

/// `--inputs`, `--shape` and `--value`: what a model is given for a check or a measurement.
struct GraphInputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A file with the model's inputs, as run takes them; what it lacks is drawn.",
      valueName: "file"))
  var inputs: String?

  @Option(
    help: ArgumentHelp(
      "The shape of an input of an ONNX model, such as x=1,576 (repeatable).",
      discussion: """
        Open dimensions are N (--batch-size) where they come first or are named N or after a batch, and \
        else T (--sequence-length).
        """, valueName: "name=size,…"))
  var shape: [NamedSizes] = []

  @Option(
    help: ArgumentHelp(
      "The value of all elements of an input of an ONNX model, such as sr=16000 (repeatable).",
      valueName: "name=number"))
  var value: [NamedNumber] = []

  /// Whether none was given.
  var isEmpty: Bool { inputs == nil && shape.isEmpty && value.isEmpty }

  /// The model of an ONNX file and its inputs, the values of `file` where it has them; says both on standard error.
  func model(
    at path: String, file: TensorFile?, work: WorkOptions, seed: UInt64
  ) throws -> (model: ONNXModel, inputs: GraphInputs) {
    let model = try ONNXModel(contentsOf: path, inputs: file)
    Output.note("carousel: \(path): \(model.summary)")
    let (sequenceLength, batchSize) = try work.sizes(
      sequenceLength: Compare.modelSequenceLength, batchSize: Compare.modelBatchSize)
    let inputs = try inputs(
      of: model.graph, file: file, sequenceLength: sequenceLength, batchSize: batchSize, seed: seed)
    return (model, inputs)
  }

  /// The inputs of a graph, each said on standard error.
  private func inputs(
    of graph: Graph, file: TensorFile?, sequenceLength: Int, batchSize: Int, seed: UInt64
  ) throws -> GraphInputs {
    var options = GraphInputs.Options()
    (options.sequenceLength, options.batchSize, options.seed) = (sequenceLength, batchSize, seed)
    for item in shape { options.shapes[item.name] = item.sizes }
    for item in value { options.numbers[item.name] = item.number }
    let result = try GraphInputs(graph, file: file, options: options)
    for note in result.notes { Output.note("carousel: \(note)") }
    return result
  }
}

/// A name with sizes behind `=`.
struct NamedSizes: ExpressibleByArgument {
  let name: String
  let sizes: [Int]

  init?(argument: String) {
    guard let split = argument.lastIndex(of: "="), split != argument.startIndex else { return nil }
    name = String(argument[..<split])
    let words = argument[argument.index(after: split)...]
      .split(separator: ",", omittingEmptySubsequences: true)
    sizes = words.compactMap { Int($0) }
    guard sizes.count == words.count, sizes.allSatisfy({ 0...(1 << 30) ~= $0 }) else { return nil }
  }
}

/// A name with a number behind `=`.
struct NamedNumber: ExpressibleByArgument {
  let name: String
  let number: Double

  init?(argument: String) {
    guard let split = argument.lastIndex(of: "="), split != argument.startIndex,
      let number = Double(argument[argument.index(after: split)...]), number.isFinite
    else { return nil }
    name = String(argument[..<split])
    self.number = number
  }
}
