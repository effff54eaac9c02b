import CarouselFormats
import CarouselModel
import CarouselONNX

/// A model of an ONNX file that is given one input again and again, and its own states.
///
/// Each pass reads a new piece of one real input, of the extents that it was bound to; every other input keeps
/// what it was given, but for states: an output that goes to an input of the next pass.
package final class ONNXStream<B: Backend> {
  /// The input that each pass is given, and its shape.
  package let input: String, shape: Shape
  /// The outputs that are no states, in the model's order.
  package let outputs: [String]
  private let pass: GraphPass<B>
  private let states: [(output: String, input: String)]

  /// Binds a model.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - inputs: the shapes of all inputs, and the values of those that stay.
  ///   - states: which output goes to which input; these begin with zeros.
  ///   - fixed: the inputs whose values stay.
  ///   - backend: what computes.
  /// - Throws: a usage error where a state is no output or input, and where not one real input is left.
  package init(
    _ model: ONNXModel, inputs: GraphInputs, states: [(output: String, input: String)],
    fixed: Set<String> = [], backend: B
  ) throws {
    for (output, input) in states {
      guard model.graph.outputs.contains(output) else {
        throw CarouselError(
          .usage,
          "--state \(output)=\(input): the model has no output '\(output)', expected one of "
            + model.graph.outputs.map { "'\($0)'" }.joined(separator: ", "))
      }
      guard inputs.real[input] != nil else {
        throw CarouselError(
          .usage,
          "--state \(output)=\(input): the model has no real input '\(input)', expected one of "
            + inputs.real.keys.sorted().map { "'\($0)'" }.joined(separator: ", "))
      }
    }
    let carried = Set(states.map(\.input))
    let free = model.graph.inputs.map(\.name).filter {
      inputs.real[$0] != nil && !carried.contains($0) && !fixed.contains($0)
    }
    guard free.count == 1, let shape = inputs.real[free[0]]?.shape else {
      throw CarouselError(
        .usage,
        "a stream feeds one real input, but the model has "
          + (free.isEmpty ? "none" : free.map { "'\($0)'" }.joined(separator: ", "))
          + " beside its states; --state OUT=IN names those, --value or --inputs gives the others")
    }
    input = free[0]
    self.shape = shape
    let carriedOutputs = Set(states.map(\.output))
    outputs = model.graph.outputs.filter { !carriedOutputs.contains($0) }
    self.states = states
    let bound = try GraphModel(model.graph, backend: backend)
    try bound.load(model.parameters, source: model.source)
    do {
      pass = try bound.pass(shapes: inputs.real.mapValues(\.shape), constants: inputs.whole)
    } catch let error as CarouselError where error.kind == .badData {
      throw CarouselError(.badData, "\(model.source): \(error.message)")
    }
    for (name, tensor) in inputs.real.sorted(by: { $0.key < $1.key }) where name != input {
      try pass.write(
        carried.contains(name) ? GraphTensor(Tensor(zeros: tensor.shape)) : tensor, to: name)
    }
    for (output, input) in states {
      guard let made = pass.program.outputs.first(where: { $0.name == output })?.shape,
        let given = inputs.real[input]?.shape, made.count == given.count
      else {
        throw CarouselError(
          .badData,
          "\(model.source): the state '\(output)' does not have the shape of the input '\(input)'")
      }
    }
  }

  /// The outputs for the next piece of the input; waits for the device.
  package func next(_ values: [Double]) throws -> [(name: String, tensor: GraphTensor)] {
    try pass.forward([input: GraphTensor(try Tensor(shape: shape, values: values))])
    let result = try outputs.map { ($0, try pass.output($0)) }
    for (output, input) in states {
      let state = try pass.output(output)
      guard let shape = pass.program.inputShape(input) else { continue }
      try pass.write(GraphTensor(try Tensor(shape: shape, values: state.values)), to: input)
    }
    return result
  }
}
