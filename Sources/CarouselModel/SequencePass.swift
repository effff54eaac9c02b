/// Passes of a network over batches of sequences whose loss is computed on the host: `forward` gives the
/// outputs, `queueBackward` takes ∂loss/∂outputs.
///
/// Sequences begin with zero states and may have lengths of their own. The one read of the outputs is all
/// that the host waits for in a training step: the backward pass runs while the host prepares the next
/// batch. Several passes of different sizes may share one network.
public final class SequencePass<B: Backend> {
  /// The network whose parameters are used.
  public let network: Network<B>
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// R: T where outputs are computed at every step, 1 where those of the last step alone are.
  public let outputRows: Int

  private let stack: RecurrentStack<B>
  private let tokens: B.IndexBuffer?
  private let lengths: B.IndexBuffer
  /// What the layers read, `[T, N, C]`, and the outputs `[R, N, O]`.
  private let x: B.Buffer, outputs: B.Buffer
  /// The rows of the stack's outputs that the linear layer reads.
  private let read: B.Buffer
  private let gradients: Gradients?
  private var backend: B { network.backend }
  private var isRagged = false
  private var dropoutSeed: (seed: UInt64, step: Int)?

  private struct Gradients {
    let outputs: B.Buffer, y: B.Buffer, x: B.Buffer
    /// The rows of `y` that the linear layer writes.
    let read: B.Buffer
  }

  /// Allocates the activations for N sequences of up to T steps; with `training`, for a backward pass too.
  ///
  /// With `readsLastStep` the outputs of the last of the T steps alone are computed, where the backend can
  /// slice there; `outputRows` says whether it can.
  public init(
    _ network: Network<B>, sequenceLength: Int, batchSize: Int, training: Bool,
    readsLastStep: Bool = false
  ) throws {
    let (backend, configuration) = (network.backend, network.configuration)
    let (O, E) = (configuration.outputSize, configuration.recurrent.inputSize)
    let width = configuration.recurrent.outputSize
    let rows = sequenceLength * batchSize
    self.network = network
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    stack = try RecurrentStack(
      configuration.recurrent, store: network.parameters, prefix: "recurrent.",
      sequenceLength: sequenceLength, batchSize: batchSize, training: training)
    let offset = (rows - batchSize) * width
    let slices = readsLastStep && offset.isMultiple(of: backend.sliceAlignment)
    outputRows = slices ? 1 : sequenceLength
    func rowsThatAreRead(_ buffer: B.Buffer) throws -> B.Buffer {
      slices ? try backend.slice(buffer, offset: offset, count: batchSize * width) : buffer
    }
    read = try rowsThatAreRead(stack.y)
    tokens = configuration.vocabularySize == nil ? nil : try backend.makeIndexBuffer(count: rows)
    lengths = try backend.makeIndexBuffer(count: batchSize)
    x = try backend.makeBuffer(count: rows * E)
    outputs = try backend.makeBuffer(count: outputRows * batchSize * O)
    guard training else {
      gradients = nil
      return
    }
    let gradY = try backend.makeBuffer(count: rows * width)
    gradients = Gradients(
      outputs: try backend.makeBuffer(count: outputRows * batchSize * O), y: gradY,
      x: try backend.makeBuffer(count: rows * E), read: try rowsThatAreRead(gradY))
  }

  /// From an input of T·N rows to the outputs `[R, N, O]`; waits for the device.
  ///
  /// `lengths` are the steps of each sequence `[N]`, from 0 to T; nil means T everywhere. Throws where
  /// sizes are wrong or a token or a length is out of range.
  public func forward(
    _ input: NetworkInput, lengths: [Int32]? = nil,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> [Double] {
    let (store, configuration) = (network.parameters, network.configuration)
    let rows = sequenceLength * batchSize
    try configuration.check(input, rows: rows)
    isRagged = lengths != nil
    self.dropoutSeed = dropoutSeed
    if let lengths { try backend.write(lengths, to: self.lengths) }
    switch input {
    case .tokens(let values): if let tokens { try backend.write(values, to: tokens) }
    case .features(let values): try backend.write(values, to: x)
    }
    if let tokens, let vocabulary = configuration.vocabularySize {
      try backend.embeddingForward(
        indices: tokens, weight: store.value("embedding.weight"), y: x, count: rows,
        vocabulary: vocabulary, width: configuration.recurrent.inputSize)
    }
    try stack.forward(
      x: x, lengths: isRagged ? self.lengths : nil, initial: nil, final: nil,
      dropoutSeed: dropoutSeed)
    try backend.linearForward(
      x: read, weight: store.value("output.weight"), bias: store.value("output.bias"), y: outputs,
      rows: outputRows * batchSize, inputSize: configuration.recurrent.outputSize,
      outputSize: configuration.outputSize)
    return try backend.read(outputs, count: outputRows * batchSize * configuration.outputSize)
  }

  /// Queues the backward pass of the last `forward` without waiting: the parameters' gradients go to the
  /// network's store.
  ///
  /// `gradOutputs` is ∂loss/∂outputs `[R, N, O]`, 0 past a sequence's end.
  public func queueBackward(_ gradOutputs: [Double]) throws {
    guard let gradients else {
      throw CarouselError(.usage, "the pass was not made for training")
    }
    let (store, configuration) = (network.parameters, network.configuration)
    let rows = sequenceLength * batchSize
    guard gradOutputs.count == outputRows * batchSize * configuration.outputSize else {
      throw CarouselError(
        .usage,
        "expected \(outputRows * batchSize * configuration.outputSize) gradients of outputs, found "
          + "\(gradOutputs.count)")
    }
    try backend.write(gradOutputs, to: gradients.outputs)
    if outputRows < sequenceLength {
      try backend.fill(gradients.y, count: rows * configuration.recurrent.outputSize, with: 0)
    }
    try backend.linearBackward(
      x: read, weight: store.value("output.weight"), gradY: gradients.outputs,
      gradX: gradients.read, gradWeight: store.gradient("output.weight"),
      gradBias: store.gradient("output.bias"), rows: outputRows * batchSize,
      inputSize: configuration.recurrent.outputSize, outputSize: configuration.outputSize)
    try stack.backward(
      x: x, lengths: isRagged ? lengths : nil, initial: nil, gradY: gradients.y,
      gradX: tokens == nil ? nil : gradients.x, dropoutSeed: dropoutSeed)
    if let tokens, let vocabulary = configuration.vocabularySize {
      try backend.embeddingBackward(
        indices: tokens, gradY: gradients.x, gradWeight: store.gradient("embedding.weight"),
        count: rows, vocabulary: vocabulary, width: configuration.recurrent.inputSize)
    }
  }
}
