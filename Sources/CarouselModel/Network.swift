/// A network that reads tokens and predicts one class per step: an embedding, a stack of recurrent
/// layers, a linear output.
public struct NetworkConfiguration: Hashable, Sendable, Codable {
  /// V, the number of tokens, and of the output's classes.
  public var vocabularySize: Int
  /// The stack; its `inputSize` is the embedding's width E.
  public var recurrent: RecurrentConfiguration

  /// Describes a network.
  public init(vocabularySize: Int, recurrent: RecurrentConfiguration) {
    self.vocabularySize = vocabularySize
    self.recurrent = recurrent
  }

  /// Throws a usage error where a size makes no sense.
  public func validate() throws(CarouselError) {
    guard vocabularySize > 0 else {
      throw CarouselError(.usage, "the vocabulary must hold at least 1 token, but is empty")
    }
    guard vocabularySize <= RecurrentConfiguration.maximumSize else {
      throw CarouselError(
        .noDevice,
        "a vocabulary of \(vocabularySize) tokens is more than any device holds, at most "
          + "\(RecurrentConfiguration.maximumSize)")
    }
    try recurrent.validate()
  }

  /// Every parameter: `embedding.weight [V, E]`, `recurrent.…`, `output.weight [V, D·H]`,
  /// `output.bias [V]`.
  public var parameterDescriptions: [ParameterDescription] {
    let bound = 1 / Double(recurrent.outputSize).squareRoot()
    return [
      ParameterDescription(
        "embedding.weight", [vocabularySize, recurrent.inputSize], .normal(1))
    ]
      + recurrent.parameterDescriptions.map {
        ParameterDescription("recurrent." + $0.name, $0.shape, $0.initializer)
      } + [
        ParameterDescription(
          "output.weight", [vocabularySize, recurrent.outputSize], .uniform(bound)),
        ParameterDescription("output.bias", [vocabularySize], .uniform(bound)),
      ]
  }
}

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
  public let steps: Int, batchSize: Int
  /// The states of every layer, zero at first: `forward` reads them and leaves the final ones, so
  /// that the next call goes on where this one ended.
  public let states: [RecurrentState<B.Buffer>]
  /// `[T, N, V]`, after `forward`.
  public let logits: B.Buffer

  private let stack: RecurrentStack<B>
  private let tokens: B.IndexBuffer, targets: B.IndexBuffer
  private let embedded: B.Buffer, loss: B.Buffer
  private let initial: [RecurrentState<B.Buffer>]
  private let gradients: (logits: B.Buffer, y: B.Buffer, embedded: B.Buffer)?
  private var backend: B { network.backend }
  private var rows: Int { steps * batchSize }

  /// Allocates the activations for T steps of N sequences; with `training`, for a backward pass too.
  public init(_ network: Network<B>, steps: Int, batchSize: Int, training: Bool) throws {
    let (backend, configuration) = (network.backend, network.configuration)
    let (V, E) = (configuration.vocabularySize, configuration.recurrent.inputSize)
    let (H, rows) = (configuration.recurrent.outputSize, steps * batchSize)
    self.network = network
    self.steps = steps
    self.batchSize = batchSize
    stack = try RecurrentStack(
      configuration.recurrent, store: network.parameters, prefix: "recurrent.", steps: steps,
      batchSize: batchSize, training: training)
    states = try stack.makeStates()
    initial = training ? try stack.makeStates() : states
    tokens = try backend.makeIndexBuffer(count: rows)
    targets = try backend.makeIndexBuffer(count: rows)
    embedded = try backend.makeBuffer(count: rows * E)
    logits = try backend.makeBuffer(count: rows * V)
    loss = try backend.makeBuffer(count: 1)
    gradients =
      training
      ? (
        try backend.makeBuffer(count: rows * V), try backend.makeBuffer(count: rows * H),
        try backend.makeBuffer(count: rows * E)
      ) : nil
  }

  /// Sets every state to zero: the next `forward` begins a new text.
  public func resetStates() throws {
    let recurrent = network.configuration.recurrent
    for state in states {
      try backend.fill(state.hidden, count: batchSize * recurrent.stateSize, with: 0)
      if let cell = state.cell {
        try backend.fill(cell, count: batchSize * recurrent.hiddenSize, with: 0)
      }
    }
  }

  /// From `tokens [T, N]` to `logits`.
  public func forward(
    tokens values: [Int32], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    let (store, configuration) = (network.parameters, network.configuration)
    let recurrent = configuration.recurrent
    precondition(values.count == rows, "\(values.count) tokens for \(rows) rows")
    try backend.write(values, to: tokens)
    try backend.embeddingForward(
      indices: tokens, weight: store.value("embedding.weight"), y: embedded, count: rows,
      vocabulary: configuration.vocabularySize, width: recurrent.inputSize)
    if gradients != nil { try keepInitialStates() }
    try stack.forward(x: embedded, initial: initial, final: states, dropoutSeed: dropoutSeed)
    try backend.linearForward(
      x: stack.y, weight: store.value("output.weight"), bias: store.value("output.bias"),
      y: logits, rows: rows, inputSize: recurrent.outputSize,
      outputSize: configuration.vocabularySize)
  }

  /// The mean cross-entropy of the last `forward` in nats, over the `targets [T, N]` that are not
  /// negative.
  ///
  /// This waits for the device.
  public func loss(targets values: [Int32]) throws -> Double {
    try queueLoss(targets: values, gradLogits: nil)
    return try backend.read(loss, count: 1)[0]
  }

  /// Forward and backward: leaves the gradients in the network's store and returns the mean
  /// cross-entropy in nats.
  ///
  /// The one read of the loss is all that the host waits for.
  public func lossAndGradients(
    tokens: [Int32], targets: [Int32], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> Double {
    try queueGradients(tokens: tokens, targets: targets, dropoutSeed: dropoutSeed)
    return try readLoss()
  }

  /// Queues what `lossAndGradients` computes, without waiting; `readLoss` waits.
  public func queueGradients(
    tokens: [Int32], targets: [Int32], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    guard let gradients else { preconditionFailure("this pass was not made for training") }
    let (store, configuration) = (network.parameters, network.configuration)
    try forward(tokens: tokens, dropoutSeed: dropoutSeed)
    try queueLoss(targets: targets, gradLogits: gradients.logits)
    try backend.linearBackward(
      x: stack.y, weight: store.value("output.weight"), gradY: gradients.logits,
      gradX: gradients.y, gradWeight: store.gradient("output.weight"),
      gradBias: store.gradient("output.bias"), rows: rows,
      inputSize: configuration.recurrent.outputSize, outputSize: configuration.vocabularySize)
    try stack.backward(
      x: embedded, initial: initial, gradY: gradients.y, gradX: gradients.embedded,
      dropoutSeed: dropoutSeed)
    try backend.embeddingBackward(
      indices: self.tokens, gradY: gradients.embedded,
      gradWeight: store.gradient("embedding.weight"), count: rows,
      vocabulary: configuration.vocabularySize, width: configuration.recurrent.inputSize)
  }

  /// The loss that was queued last; waits for the device.
  public func readLoss() throws -> Double { try backend.read(loss, count: 1)[0] }

  private func queueLoss(targets values: [Int32], gradLogits: B.Buffer?) throws {
    precondition(values.count == rows, "\(values.count) targets for \(rows) rows")
    let counted = values.count { $0 >= 0 }
    try backend.write(values, to: targets)
    try backend.softmaxCrossEntropy(
      logits: logits, targets: targets, gradLogits: gradLogits, loss: loss, rows: rows,
      classes: network.configuration.vocabularySize, scale: 1 / Double(max(counted, 1)))
  }

  /// The backward pass needs the states as they were before `forward` overwrote them.
  private func keepInitialStates() throws {
    let recurrent = network.configuration.recurrent
    for (state, kept) in zip(states, initial) {
      try backend.copy(state.hidden, to: kept.hidden, count: batchSize * recurrent.stateSize)
      if let cell = state.cell, let keptCell = kept.cell {
        try backend.copy(cell, to: keptCell, count: batchSize * recurrent.hiddenSize)
      }
    }
  }
}
