import CarouselFormats
import CarouselModel

/// One pass of a recurrent stack over given tensors, forward and, where gradients are given, back.
public struct RecurrentPass: Sendable {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// The parameters under their bare names, `weight_ih_l0` and so on.
  public var parameters: [String: Tensor]
  /// The input, `[T, N, C]`.
  public let x: Tensor
  /// The steps of each sequence `[N]`, from 0 to T; nil means T everywhere.
  public var lengths: [Int]?
  /// The initial states by their names, `h` of `[L·D, N, P]`, P being H without a projection, and those of
  /// `CellTraits.memory`, such as `c`, of `[L·D, N, H]`; zeros where absent.
  public var initial: [String: Tensor]
  /// What the backward pass begins with; without it there is none.
  public var gradients: Gradients?
  /// Draws the dropout masks; nil drops nothing.
  public var dropoutSeed: UInt64?
  /// A linear layer that reads the outputs; nil leaves them as they are.
  public var head: Head?

  /// The gradients of the loss with respect to the outputs.
  public struct Gradients: Sendable {
    /// ∂loss/∂y in the shape of the output; nil means zeros.
    public var y: Tensor?
    /// Those of the final states by their names, that of `h` beyond `y`; zeros where absent.
    public var final: [String: Tensor]

    /// Gathers the gradients.
    public init(y: Tensor? = nil, final: [String: Tensor] = [:]) {
      self.y = y
      self.final = final
    }
  }

  /// Describes a pass; shapes are the caller's to check.
  public init(
    _ configuration: RecurrentConfiguration, parameters: [String: Tensor], x: Tensor,
    lengths: [Int]? = nil, initial: [String: Tensor] = [:],
    gradients: Gradients? = nil, dropoutSeed: UInt64? = nil
  ) {
    self.configuration = configuration
    self.parameters = parameters
    self.x = x
    self.lengths = lengths
    self.initial = initial
    self.gradients = gradients
    self.dropoutSeed = dropoutSeed
  }

  /// T, the steps of the input.
  public var sequenceLength: Int { x.shape[0] }
  /// N, the sequences of the input.
  public var batchSize: Int { x.shape[1] }
  /// The shape of the states of a name: `[L·D, N, P]` of `h`, `[L·D, N, H]` of the others.
  public func stateShape(_ name: String) -> Shape {
    [
      configuration.layers * configuration.directions, batchSize,
      name == "h" ? configuration.stateSize : configuration.hiddenSize,
    ]
  }
  /// The shape of the output: `[T, N, O]` behind a head, else `[T, N, D·P]`, P where the directions are
  /// not concatenated.
  public var outputShape: Shape {
    [sequenceLength, batchSize, head?.weight.shape[0] ?? configuration.outputSize]
  }

  /// Computes `y`, `h_n`, `c_n`, and with gradients `grad_x`, `grad_h_0`, `grad_c_0` and `grad_NAME`
  /// for each parameter, in this order.
  ///
  /// Throws where a parameter is missing or of a wrong shape, and where the backend has no room.
  public func tensors<B: Backend>(on backend: B) throws -> [NamedTensor] {
    let store = try ParameterStore(
      configuration.parameterDescriptions + (head?.parameterDescriptions ?? []), backend: backend,
      seed: nil)
    try store.load(
      parameters.merging(head?.parameters ?? []) { $1 }, source: "the parameters")
    let stack = try RecurrentStack(
      configuration, store: store, prefix: "", sequenceLength: sequenceLength, batchSize: batchSize,
      training: gradients != nil)
    let inputs = try Inputs<B>(
      x: backend.makeBuffer(x), lengths: indices(lengths, on: backend),
      initial: states(stack, initial, on: backend))
    let final = try poisonedStates(stack, on: backend)
    try backend.fill(
      stack.y, count: sequenceLength * batchSize * configuration.outputSize, with: .nan)
    let seed = dropoutSeed.map { (seed: $0, step: 0) }
    try stack.forward(
      x: inputs.x, lengths: inputs.lengths, initial: inputs.initial, final: final,
      dropoutSeed: seed)
    var result = [("y", try output(of: stack, store: store))]
    result += try read(final, named: { $0 + "_n" }, from: backend)
    guard let gradients else { return result }
    return try result + backward(gradients, stack: stack, store: store, inputs: inputs)
  }

  private struct Inputs<B: Backend> {
    let x: B.Buffer
    let lengths: B.IndexBuffer?
    let initial: [RecurrentState<B.Buffer>]?
  }

  private func indices<B: Backend>(_ values: [Int]?, on backend: B) throws -> B.IndexBuffer? {
    guard let values else { return nil }
    let buffer = try backend.makeIndexBuffer(count: values.count)
    try backend.write(values.map(Int32.init), to: buffer)
    return buffer
  }

  private func backward<B: Backend>(
    _ gradients: Gradients, stack: RecurrentStack<B>, store: ParameterStore<B>,
    inputs: Inputs<B>
  ) throws -> [NamedTensor] {
    let backend = store.backend
    let gradX = try backend.makePoisonedBuffer(count: x.shape.count)
    let gradInitial = try poisonedStates(stack, on: backend)
    for description in store.descriptions {
      try backend.fill(
        store.gradient(description.name), count: description.shape.count, with: .nan)
    }
    try stack.backward(
      x: inputs.x, lengths: inputs.lengths, initial: inputs.initial,
      gradY: gradStackOutput(
        gradients.y ?? Tensor(zeros: outputShape), stack: stack, store: store),
      gradFinal: states(stack, gradients.final, on: backend),
      gradX: gradX, gradInitial: gradInitial, dropoutSeed: dropoutSeed.map { ($0, 0) })
    var result = [("grad_x", try backend.readTensor(gradX, x.shape))]
    result += try read(gradInitial, named: { "grad_\($0)_0" }, from: backend)
    return result + (try store.gradientTensors().map { ("grad_" + $0.name, $0.tensor) })
  }

  /// States from host tensors; nil where none is given.
  private func states<B: Backend>(
    _ stack: RecurrentStack<B>, _ tensors: [String: Tensor], on backend: B
  ) throws -> [RecurrentState<B.Buffer>]? {
    guard !tensors.isEmpty else { return nil }
    let (N, H) = (batchSize, configuration.hiddenSize)
    let names = configuration.cell.traits.memory.map(\.name)
    let result = try stack.makeStates()
    for (index, state) in result.enumerated() {
      if let hidden = tensors["h"] { try backend.write(hidden.part(index), to: state.hidden) }
      guard let memory = state.memory else { continue }
      // From a tensor of each state to the rows [N, M, H] of a layer.
      let parts = names.map { tensors[$0]?.part(index) ?? Tensor(zeros: [N, H]) }
      let joined = Tensor(joining: parts, as: [names.count, N, H])
      let rows = (0..<N * names.count).map { row in
        let first = (row % names.count * N + row / names.count) * H
        return first..<first + H
      }
      try backend.write(joined.gathering(rows, as: [N, names.count, H]), to: memory)
    }
    return result
  }

  private func poisonedStates<B: Backend>(
    _ stack: RecurrentStack<B>, on backend: B
  ) throws -> [RecurrentState<B.Buffer>] {
    let result = try stack.makeStates()
    for state in result {
      try backend.fill(state.hidden, count: batchSize * configuration.stateSize, with: .nan)
      if let memory = state.memory {
        try backend.fill(memory, count: batchSize * configuration.memorySize, with: .nan)
      }
    }
    return result
  }

  private func read<B: Backend>(
    _ states: [RecurrentState<B.Buffer>], named name: (String) -> String, from backend: B
  ) throws -> [NamedTensor] {
    let (N, H) = (batchSize, configuration.hiddenSize)
    let hidden = try states.map { try backend.readTensor($0.hidden, [N, configuration.stateSize]) }
    var result = [(name("h"), Tensor(joining: hidden, as: stateShape("h")))]
    let names = configuration.cell.traits.memory.map(\.name)
    let memory = try states.compactMap {
      try $0.memory.map { try backend.readTensor($0, [N, names.count, H]) }
    }
    for (index, state) in names.enumerated() {
      // From the rows [N, M, H] of a layer to those of one state.
      let rows = (0..<N).map { n in
        let first = (n * names.count + index) * H
        return first..<first + H
      }
      let parts = memory.map { $0.gathering(rows, as: [N, H]) }
      result.append((name(state), Tensor(joining: parts, as: stateShape(state))))
    }
    return result
  }
}

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

extension RecurrentPass {
  /// A pass of a model over the tensors of a file.
  ///
  /// The file holds `x [T, N, C]`, and where wanted `lengths [N]`, `h_0 [L·D, N, P]` and the cell's other
  /// states, such as `c_0 [L·D, N, H]`; with `gradients` also `grad_y [T, N, D·P]`, `grad_h_n` and the
  /// others, zeros where absent. What `x` and `grad_y` hold past a sequence's length does not matter.
  ///
  /// - Parameters:
  ///   - model: the layers.
  ///   - file: the inputs; the names in `unusedNames` are not read.
  ///   - head: one of the model's linear layers, to be applied to the outputs; `grad_y` is then
  ///     `[T, N, O]`.
  ///   - isBatchFirst: `x` and `grad_y` are `[N, T, …]` in the file.
  ///   - gradients: whether there is a backward pass.
  /// - Throws: `badData` where `x` is missing, a shape does not fit the model, a length is not from 0 to
  ///   T, or a value is not finite.
  public init(
    _ model: RecurrentModel, inputs file: TensorFile, head: LinearHead? = nil,
    isBatchFirst: Bool = false, gradients: Bool
  ) throws(CarouselError) {
    let reader = try RecurrentInputs(file, of: model.configuration, isBatchFirst: isBatchFirst)
    try reader.check(outputSize: head?.outputSize, gradients: gradients)
    let lengths = try reader.lengths()
    self.init(
      model.configuration, parameters: try model.parameters(),
      x: try reader.input(lengths: lengths), lengths: lengths)
    if let head {
      let (weight, bias) = try model.parameters(of: head)
      self.head = Head(name: head.name, weight: weight, bias: bias)
    }
    let names = configuration.cell.traits.stateNames
    for name in names { initial[name] = try reader.states(name + "_0") }
    guard gradients else { return }
    var given = Gradients(y: try reader.gradOutput(lengths: lengths))
    for name in names { given.final[name] = try reader.states("grad_\(name)_n") }
    self.gradients = given
  }

  /// T and N of the inputs in a file, from the shape of `x` alone.
  ///
  /// Throws as a pass of them does.
  public static func sizes(
    of file: TensorFile, for configuration: RecurrentConfiguration, isBatchFirst: Bool
  ) throws(CarouselError) -> (sequenceLength: Int, batchSize: Int) {
    let inputs = try RecurrentInputs(file, of: configuration, isBatchFirst: isBatchFirst)
    return (inputs.sequenceLength, inputs.batchSize)
  }

  /// The names in a file of inputs that no pass of these layers reads.
  public static func unusedNames(
    in file: TensorFile, of configuration: RecurrentConfiguration, gradients: Bool
  ) -> [String] {
    let known = RecurrentInputs.names(configuration, gradients: gradients)
    return file.entries.map(\.name).filter { !known.contains($0) }
  }
}

extension Tensor {
  /// `[T, N, …]` as `[N, T, …]` and back.
  public var withOuterDimensionsSwapped: Tensor {
    let (outer, inner) = (shape[0], shape[1])
    let width = shape.count == 0 ? 0 : shape.count / (outer * inner)
    let ranges = (0..<inner * outer).lazy.map { place in
      let begin = (place % outer * inner + place / outer) * width
      return begin..<begin + width
    }
    return gathering(ranges, as: Shape([inner, outer] + shape.dimensions.dropFirst(2)))
  }
}
