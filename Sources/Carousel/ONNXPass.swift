import CarouselFormats
import CarouselModel
import CarouselONNX

/// One pass of a model from an ONNX file on given tensors, forward and, where wanted, backward.
public struct ONNXPass: Sendable {
  /// The model.
  public let model: ONNXModel
  /// The model's inputs, by name.
  public let inputs: [String: GraphTensor]
  /// The tensors of the file of inputs that no pass reads, by name.
  public let unusedNames: [String]
  /// The gradients of outputs, where there is a backward pass; zeros for those not named.
  private let gradients: [String: Tensor]?

  /// Reads the inputs of a model, which have the names of the model's.
  ///
  /// With `gradients` the file holds `grad_NAME` for outputs NAME too. Throws `badData` where an input is
  /// missing or of another type, and as reading the file does.
  public init(
    _ model: ONNXModel, inputs file: TensorFile, gradients: Bool
  ) throws(CarouselError) {
    self.model = model
    var inputs: [String: GraphTensor] = [:]
    for input in model.graph.inputs {
      guard let tensor = try input.tensor(in: file) else {
        throw CarouselError(
          .badData,
          "\(file.path): expected the input '\(input.name)', found "
            + file.entries.map { "'\($0.name)'" }.joined(separator: ", "))
      }
      inputs[input.name] = tensor
    }
    var used = Set(model.graph.inputs.map(\.name))
    if gradients {
      var given: [String: Tensor] = [:]
      for output in model.graph.outputs {
        guard let tensor = try file.tensor("grad_" + output) else { continue }
        given[output] = tensor
        used.insert("grad_" + output)
      }
      guard !given.isEmpty else {
        throw CarouselError(
          .badData,
          "\(file.path): expected the gradient of an output, such as 'grad_\(model.graph.outputs[0])', "
            + "found none")
      }
      self.gradients = given
    } else {
      self.gradients = nil
    }
    self.inputs = inputs
    unusedNames = file.entries.map(\.name).filter { !used.contains($0) }
  }

  /// Computes the outputs, and with gradients `grad_NAME` of each floating-point input and of each
  /// parameter that the outputs depend on.
  ///
  /// Throws `badData` where a shape does not fit, naming the node, and where the device fails.
  public func tensors<B: Backend>(
    on backend: B
  ) throws -> [(name: String, tensor: GraphTensor)] {
    let bound = try GraphModel(model.graph, backend: backend)
    try bound.load(model.parameters, source: model.source)
    // Whole numbers decide shapes and branches; here they never change.
    let constants = inputs.filter { !$0.value.type.isReal }
    let real = inputs.filter { $0.value.type.isReal }
    let pass: GraphPass<B>
    do {
      pass = try bound.pass(
        shapes: real.mapValues(\.shape), constants: constants, training: gradients != nil,
        gradientsOf: gradients?.keys.sorted(),
        inputGradients: gradients == nil ? [] : real.keys.sorted())
    } catch let error as CarouselError where error.kind == .badData {
      throw CarouselError(.badData, "\(model.source): \(error.message)")
    }
    try pass.forward(real)
    var result = try pass.outputs()
    guard let gradients else { return result }
    try pass.backward(gradients)
    for name in real.keys.sorted() {
      guard let gradient = try pass.inputGradient(name) else { continue }
      result.append(("grad_" + name, GraphTensor(gradient)))
    }
    for description in model.graph.trainedParameters {
      let buffer = try bound.parameters.gradient(description.name)
      let values = try backend.read(buffer, count: description.shape.count)
      result.append(
        (
          "grad_" + description.name,
          GraphTensor(try Tensor(shape: description.shape, values: values))
        ))
    }
    return result
  }
}

extension GraphType {
  /// The type of a file's elements; unsigned numbers of more than a byte are whole numbers of 64 bits.
  init?(_ type: ElementType) {
    switch type {
    case .uint16, .uint32, .uint64: self = .int64
    default:
      guard let same = GraphType(rawValue: type.rawValue) else { return nil }
      self = same
    }
  }

  /// How a file stores elements of this type; floating-point numbers become Float32.
  public var elementType: ElementType {
    isReal ? .float32 : ElementType(rawValue: rawValue) ?? .int64
  }
}
