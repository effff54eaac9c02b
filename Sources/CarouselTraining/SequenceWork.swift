import CarouselModel

/// What computes the gradients of a training step.
protocol TrainingWork: AnyObject {
  /// The training steps of an epoch.
  var epochSteps: Int { get }
  /// What a step trains on, in the unit of the run's rate: bytes of a text, or sequences.
  var unitsPerStep: Int { get }
  /// Queues the gradients of the step, counted from 0, which go to the network's store.
  func queueGradients(step: Int, seed: UInt64) throws
  /// The mean loss of the step that was queued last; may wait for the device.
  func readLoss() throws -> Double
}

/// Passes of a network over batches of examples: its graph as they are read, bound to the sizes that batches have.
final class ExamplePasses<B: Backend> {
  private let configuration: NetworkConfiguration
  private let examples: any ExampleSource
  private let hasLengths: Bool
  private let passes: GraphPassCache<B>

  /// Prepares passes for the loss where `training`, else for the outputs.
  ///
  /// `areRagged` is for examples of any length, whatever those given have.
  init(
    _ network: Network<B>, _ examples: any ExampleSource, training: Bool, areRagged: Bool = false
  ) {
    (configuration, self.examples) = (network.configuration, examples)
    hasLengths = areRagged || !examples.haveOneLength
    // Weights of ones too: the gradient of a loss with weights is rounded once.
    let weights =
      examples.weights ?? [Double](repeating: 1, count: network.configuration.outputSize)
    let graph = network.configuration.graph(
      pooling: examples.timePooling, hasLengths: hasLengths, loss: examples.graphLoss,
      classWeights: weights)
    let output = training ? NetworkConfiguration.lossName : NetworkConfiguration.outputName
    passes = GraphPassCache(
      graph.selecting(outputs: [output]), network.model, training: training)
  }

  /// Queues a forward and a backward pass over a batch of `slice`, whose losses are divided by `weight`, and returns
  /// the pass, which has the loss.
  ///
  /// `gradientIsFinal` hears what `GraphPass` says of the gradients.
  func queueGradients(
    _ batch: ExampleBatch, slice: BatchSlice?, weight: Double,
    dropoutSeed: (seed: UInt64, step: Int), gradientIsFinal: ((Int) throws -> Void)?
  ) throws -> GraphPass<B> {
    let (T, N) = (batch.sequenceLength, batch.batchSize)
    let inputs = try inputs(batch).merging(
      configuration.tensors(
        batch.source.targets(batch), examples.timePooling == nil ? [T, N] : [N])
    ) { $1 }
    let pass = try passes.pass(like: inputs)
    pass.slice = slice
    pass.lossDivisor = weight
    pass.gradientIsFinal = gradientIsFinal
    try pass.forward(inputs, dropoutSeed: dropoutSeed)
    try pass.backward()
    return pass
  }

  /// The outputs for a batch; waits for the device.
  func outputs(_ batch: ExampleBatch) throws -> BatchOutputs {
    let pass = try passes.forward(inputs(batch))
    return BatchOutputs(
      values: try pass.output(NetworkConfiguration.outputName).values,
      batchSize: batch.batchSize, width: configuration.outputSize)
  }

  private func inputs(_ batch: ExampleBatch) throws -> [String: GraphTensor] {
    let (T, N) = (batch.sequenceLength, batch.batchSize)
    let lengths = batch.lengths ?? [Int32](repeating: Int32(T), count: N)
    return try configuration.tensors(batch.input, lengths: hasLengths ? lengths : nil, T, N)
  }
}

/// Examples of one's own data, in batches of like length.
///
/// The next batch is made while the device computes.
final class SequenceWork<B: Backend>: TrainingWork {
  private let plan: BatchPlan
  private let reader: BatchReader
  private let passes: ExamplePasses<B>
  private let pieces: BatchPieces
  private let tree: GradientTree<B>?
  private var next: (step: Int, update: Update)?
  private var lastPass: GraphPass<B>?

  /// What an update learns from.
  private struct Update {
    /// The batches of this rank, by the numbers of their pieces.
    let batches: [(piece: Int, batch: ExampleBatch)]
    /// The pieces of all ranks that have an example, and what the losses of all examples are divided by.
    let present: Int, weight: Double
  }

  init(
    _ network: Network<B>, _ examples: any ExampleSource, _ settings: TrainingSettings,
    _ pieces: BatchPieces
  ) throws {
    self.pieces = pieces
    plan = BatchPlan(
      lengths: (0..<examples.count).map(examples.length), batchSize: settings.updateSize,
      seed: settings.seed)
    reader = BatchReader(examples, batchSize: plan.batchSize, seed: settings.seed)
    passes = ExamplePasses(network, examples, training: true)
    tree = pieces.count > 1 ? try GradientTree(network.parameters, pieces) : nil
  }

  var epochSteps: Int { plan.epochSteps }
  var unitsPerStep: Int { plan.batchSize }

  /// What an update learns from; of a short batch, at the end of an epoch, the last pieces have no example.
  private func update(_ step: Int, _ seed: UInt64) throws -> Update {
    let (epoch, index) = step.quotientAndRemainder(dividingBy: plan.epochSteps)
    let (chosen, length) = try reader.batch(index, of: plan.epochSteps, epoch: epoch) {
      plan.batch(epoch * plan.epochSteps + $0)
    }
    let indices = chosen.indices
    let present = (indices.count + pieces.size - 1) / pieces.size
    let own = pieces.own.prefix { $0 < present }
    let batches: [(piece: Int, batch: ExampleBatch)] = own.map { piece in
      let range = pieces.sequences(piece).clamped(to: indices.indices)
      let noise = ExampleNoise(seed: seed, step: step, slice: pieces.slice(piece))
      return (
        piece,
        chosen.batch(range, sequenceLength: length, batchSize: pieces.size, noise: noise)
      )
    }
    // Piece by piece, in the order in which batches were once weighed.
    let weight = (0..<present).reduce(0) { sum, piece in
      sum + chosen.weight(pieces.sequences(piece).clamped(to: indices.indices))
    }
    return Update(batches: batches, present: present, weight: weight)
  }

  func queueGradients(step: Int, seed: UInt64) throws {
    let known = next?.step == step ? next?.update : nil
    let update = try known ?? self.update(step, seed)
    let weight = max(update.weight, .leastNormalMagnitude)
    for (piece, batch) in update.batches {
      let isLast = piece == update.batches[update.batches.count - 1].piece
      let pass = try passes.queueGradients(
        batch, slice: pieces.slice(piece), weight: weight, dropoutSeed: (seed: seed, step: step),
        gradientIsFinal: tree?.begin(piece: piece, isLast: isLast))
      lastPass = pass
      try tree?.add(piece: piece, loss: pass.lossBuffer)
    }
    try tree?.finish(present: update.present)
    next = (step + 1, try self.update(step + 1, seed))
  }

  func readLoss() throws -> Double {
    if let tree { return try tree.readLoss() }
    return try lastPass?.loss() ?? .nan
  }
}
