import CarouselModel

extension RecurrentPass {
  /// A linear layer behind the stack: y·weightᵀ + bias, and 0 past a sequence's length.
  public struct Head: Sendable {
    /// What its parameters' names begin with, without the dot.
    public var name: String
    /// `[O, D·P]`.
    public var weight: Tensor
    /// `[O]`.
    public var bias: Tensor?

    /// Gathers the parameters.
    public init(name: String, weight: Tensor, bias: Tensor? = nil) {
      self.name = name
      self.weight = weight
      self.bias = bias
    }

    var parameters: [(String, Tensor)] {
      [(weightName, weight)] + (bias.map { [(biasName, $0)] } ?? [])
    }
    var parameterDescriptions: [ParameterDescription] {
      parameters.map { ParameterDescription($0.0, $0.1.shape, .constant(0)) }
    }
    fileprivate var weightName: String { name + ".weight" }
    fileprivate var biasName: String { name + ".bias" }
  }

  /// What the pass puts out, from the outputs of the stack.
  func output<B: Backend>(
    of stack: RecurrentStack<B>, store: ParameterStore<B>
  ) throws -> Tensor {
    guard let head else { return try store.backend.readTensor(stack.y, outputShape) }
    let y = try store.backend.makePoisonedBuffer(count: outputShape.count)
    try store.backend.linearForward(
      x: stack.y, weight: store.value(head.weightName),
      bias: head.bias.map { _ in try store.value(head.biasName) }, y: y,
      rows: sequenceLength * batchSize,
      inputSize: configuration.outputSize, outputSize: head.weight.shape[0])
    return cleared(try store.backend.readTensor(y, outputShape))
  }

  /// ∂loss/∂ the outputs of the stack, from `gradY`; leaves the gradients of the head in the store.
  func gradStackOutput<B: Backend>(
    _ gradY: Tensor, stack: RecurrentStack<B>, store: ParameterStore<B>
  ) throws -> B.Buffer {
    guard let head else { return try store.backend.makeBuffer(gradY) }
    let result = try store.backend.makePoisonedBuffer(
      count: sequenceLength * batchSize * configuration.outputSize)
    try store.backend.linearBackward(
      x: stack.y, weight: store.value(head.weightName),
      gradY: store.backend.makeBuffer(cleared(gradY)), gradX: result,
      gradWeight: store.gradient(head.weightName),
      gradBias: head.bias.map { _ in try store.gradient(head.biasName) },
      rows: sequenceLength * batchSize,
      inputSize: configuration.outputSize, outputSize: head.weight.shape[0])
    return result
  }

  private func cleared(_ tensor: Tensor) -> Tensor {
    guard let lengths else { return tensor }
    var result = tensor
    result.clear(pastLengths: lengths)
    return result
  }
}
