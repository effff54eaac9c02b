/// A network with its parameters, in a backend's memory; `NetworkPass` computes with it.
public final class Network<B: Backend> {
  /// What the network is made of.
  public let configuration: NetworkConfiguration
  /// The parameters.
  public let parameters: ParameterStore<B>
  /// What computes.
  public var backend: B { parameters.backend }

  /// Allocates a network; `seed` draws its initial parameters, nil leaves them 0, to be loaded.
  public init(_ configuration: NetworkConfiguration, backend: B, seed: UInt64?) throws {
    try configuration.validate()
    self.configuration = configuration
    parameters = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: seed)
  }
}

/// The activations of a network for fixed T and N, and the passes over them.
///
/// Several passes of different sizes may share one network.
public final class NetworkPass<B: Backend> {
  /// The network whose parameters are used.
  public let network: Network<B>
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// The states of every layer, zero at first: `forward` reads them and leaves the final ones, so
  /// that the next call goes on where this one ended.
  public let states: [RecurrentState<B.Buffer>]
  /// `[T, N, O]`, after `forward`.
  public let logits: B.Buffer

  /// Which sequences of a larger batch these are, see `RecurrentStack.slice`.
  package var slice: BatchSlice? {
    get { stack.slice }
    set { stack.slice = newValue }
  }

  /// Hears, as a backward pass is queued, from which offset of the store on its gradients are final; nil
  /// hears nothing.
  package var gradientIsFinal: ((Int) throws -> Void)?

  let stack: RecurrentStack<B>
  /// The loss that was queued last, 1 element.
  let loss: B.Buffer
  /// Tokens, and what counts or which class it is: `[T, N]` each.
  private let tokens: B.IndexBuffer, targets: B.IndexBuffer
  /// What the layers read, `[T, N, C]`, and the values of the targets.
  private let x: B.Buffer, values: B.Buffer?
  private let initial: [RecurrentState<B.Buffer>]
  private let gradients: (logits: B.Buffer, y: B.Buffer, x: B.Buffer)?
  private var backend: B { network.backend }
  private var rows: Int { sequenceLength * batchSize }

  /// Allocates the activations for T steps of N sequences; with `training`, for a backward pass too.
  ///
  /// `states` are those of another pass where this one is to go on with them.
  public init(
    _ network: Network<B>, sequenceLength: Int, batchSize: Int, training: Bool,
    states: [RecurrentState<B.Buffer>]? = nil
  ) throws {
    let (backend, configuration) = (network.backend, network.configuration)
    let (O, E) = (configuration.outputSize, configuration.recurrent.inputSize)
    self.network = network
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    stack = try RecurrentStack(
      configuration.recurrent, store: network.parameters, prefix: "recurrent.",
      sequenceLength: sequenceLength,
      batchSize: batchSize, training: training)
    let rows = sequenceLength * batchSize
    self.states = try states ?? stack.makeStates()
    initial = training ? try stack.makeStates() : self.states
    tokens = try backend.makeIndexBuffer(count: rows)
    targets = try backend.makeIndexBuffer(count: rows)
    x = try backend.makeBuffer(count: rows * E)
    logits = try backend.makeBuffer(count: rows * O)
    values =
      configuration.vocabularySize == nil ? try backend.makeBuffer(count: rows * O) : nil
    loss = try backend.makeBuffer(count: 1)
    gradients =
      training
      ? (
        try backend.makeBuffer(count: rows * O),
        try backend.makeBuffer(count: rows * configuration.recurrent.outputSize),
        try backend.makeBuffer(count: rows * E)
      ) : nil
  }

  /// Sets every state to zero: the next `forward` begins a new text.
  public func resetStates() throws {
    let recurrent = network.configuration.recurrent
    for state in states {
      try backend.fill(state.hidden, count: batchSize * recurrent.stateSize, with: 0)
      if let memory = state.memory {
        try backend.fill(memory, count: batchSize * recurrent.memorySize, with: 0)
      }
    }
  }

  /// From `tokens [T, N]` to `logits`.
  public func forward(
    tokens: [Int32], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    try forward(.tokens(tokens), dropoutSeed: dropoutSeed)
  }

  /// From an input to `logits`.
  public func forward(
    _ input: NetworkInput, dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    try write(input)
    try forwardStates(dropoutSeed: dropoutSeed)
    try queueLogits()
  }

  /// Hands the input of the next `forwardStates` to the backend, which may wait for what is queued.
  func write(_ input: NetworkInput) throws {
    try network.configuration.check(input, rows: rows)
    switch input {
    case .tokens(let values): try backend.write(values, to: tokens)
    case .features(let values): try backend.write(values, to: x)
    }
  }

  /// From the input that was written last to the outputs and states of the layers; `segment` says which
  /// part of a long window it is, see `TrainingPass`.
  func forwardStates(
    dropoutSeed: (seed: UInt64, step: Int)?, segment: Int = 0
  ) throws {
    let (store, configuration) = (network.parameters, network.configuration)
    if let vocabulary = configuration.vocabularySize {
      try backend.embeddingForward(
        indices: tokens, weight: store.value("embedding.weight"), y: x, count: rows,
        vocabulary: vocabulary, width: configuration.recurrent.inputSize)
    }
    // The backward pass needs the states as they were before `forward` overwrites them.
    if gradients != nil { try stack.copy(states, to: initial) }
    try stack.forward(
      x: x, initial: initial, final: states, dropoutSeed: dropoutSeed, segment: segment)
  }

  /// From the outputs of the layers to `logits`.
  func queueLogits() throws {
    let (store, configuration) = (network.parameters, network.configuration)
    try backend.linearForward(
      x: stack.y, weight: store.value("output.weight"), bias: store.value("output.bias"),
      y: logits, rows: rows, inputSize: configuration.recurrent.outputSize,
      outputSize: configuration.outputSize)
  }

  /// The mean cross-entropy of the last `forward` in nats, over the `targets [T, N]` that are not
  /// negative.
  ///
  /// This waits for the device.
  public func loss(targets: [Int32]) throws -> Double { try loss(.classes(targets)) }

  /// The loss of the last `forward`; waits for the device.
  public func loss(_ targets: NetworkTargets) throws -> Double {
    try write(targets)
    try queueLoss(targets, count: targets.count, gradLogits: nil)
    return try readLoss()
  }

  /// Forward and backward: leaves the gradients in the network's store and returns the mean
  /// cross-entropy in nats.
  ///
  /// The one read of the loss is all that the host waits for.
  public func lossAndGradients(
    tokens: [Int32], targets: [Int32], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> Double {
    try queueGradients(.tokens(tokens), .classes(targets), dropoutSeed: dropoutSeed)
    return try readLoss()
  }

  /// Queues a forward and a backward pass, which leaves the gradients in the network's store, without
  /// waiting; `readLoss` waits.
  ///
  /// `count` is what the loss is divided by, the steps that count where it is nil.
  public func queueGradients(
    _ input: NetworkInput, _ targets: NetworkTargets, count: Int? = nil,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    // Both before the pass, which a later write would wait for.
    try write(input)
    try write(targets)
    try forwardStates(dropoutSeed: dropoutSeed)
    try queueLogits()
    try queueBackward(targets, count: count ?? targets.count, dropoutSeed: dropoutSeed)
  }

  /// Queues the loss and the backward pass of the last logits, for the targets that were written last.
  ///
  /// - Parameters:
  ///   - targets: these, or those of the whole window.
  ///   - count: the steps of sequences that the loss is the mean of, those of other parts of a window
  ///     among them.
  ///   - dropoutSeed: as in `forward`.
  ///   - segment: as in `forward`.
  ///   - gradFinal: ∂loss/∂ the last states through what follows; nil means zeros.
  ///   - gradInitial: receives ∂loss/∂ the first states where wanted.
  /// - Throws: where the device fails.
  func queueBackward(
    _ targets: NetworkTargets, count: Int, dropoutSeed: (seed: UInt64, step: Int)?,
    segment: Int = 0, gradFinal: [RecurrentState<B.Buffer>]? = nil,
    gradInitial: [RecurrentState<B.Buffer>]? = nil
  ) throws {
    guard let gradients else {
      throw CarouselError(.usage, "the pass was not made for training")
    }
    let (store, configuration) = (network.parameters, network.configuration)
    try queueLoss(targets, count: count, gradLogits: gradients.logits)
    try backend.linearBackward(
      x: stack.y, weight: store.value("output.weight"), gradY: gradients.logits,
      gradX: gradients.y, gradWeight: store.gradient("output.weight"),
      gradBias: store.gradient("output.bias"), rows: rows,
      inputSize: configuration.recurrent.outputSize, outputSize: configuration.outputSize)
    try gradientIsFinal?(store.offset("output.weight"))
    let vocabulary = configuration.vocabularySize
    try stack.backward(
      x: x, initial: initial, gradY: gradients.y, gradFinal: gradFinal,
      gradX: vocabulary == nil ? nil : gradients.x, gradInitial: gradInitial,
      dropoutSeed: dropoutSeed, segment: segment,
      layerIsDone: { layer in
        try gradientIsFinal?(store.offset("recurrent.weight_ih_l\(layer)"))
      })
    guard let vocabulary else { return }
    try backend.embeddingBackward(
      indices: tokens, gradY: gradients.x, gradWeight: store.gradient("embedding.weight"),
      count: rows, vocabulary: vocabulary, width: configuration.recurrent.inputSize)
  }

  /// The loss that was queued last; waits for the device.
  public func readLoss() throws -> Double { try backend.read(loss, count: 1)[0] }

  /// Hands what should be predicted to the backend, which may wait for what is queued.
  func write(_ targets: NetworkTargets) throws {
    try network.configuration.check(targets, rows: rows)
    switch targets {
    case .classes(let classes): try backend.write(classes, to: self.targets)
    case .values(let numbers, let counted):
      if let values { try backend.write(numbers, to: values) }
      try backend.write(counted, to: self.targets)
    }
  }

  /// Queues the loss for the targets that were written last, which are of the same kind as `targets`.
  private func queueLoss(
    _ targets: NetworkTargets, count: Int, gradLogits: B.Buffer?
  ) throws {
    let outputSize = network.configuration.outputSize
    let scale = 1 / Double(max(count, 1))
    switch targets {
    case .classes:
      try backend.softmaxCrossEntropy(
        logits: logits, targets: self.targets, gradLogits: gradLogits, loss: loss, rows: rows,
        classes: outputSize, scale: scale)
    case .values:
      guard let values else { return }
      try backend.squaredError(
        predictions: logits, targets: values, counted: self.targets, gradPredictions: gradLogits,
        loss: loss, rows: rows, width: outputSize, scale: scale / Double(outputSize))
    }
  }
}
