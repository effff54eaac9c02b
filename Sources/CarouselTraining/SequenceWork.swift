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
  private let examples: any SequenceExamples
  private let hasLengths: Bool
  private let passes: GraphPassCache<B>

  /// Prepares passes for the loss where `training`, else for the outputs.
  init(_ network: Network<B>, _ examples: any SequenceExamples, training: Bool) {
    (configuration, self.examples) = (network.configuration, examples)
    hasLengths = !examples.haveOneLength
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
        examples.targets(batch), examples.timePooling == nil ? [T, N] : [N])
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
  private let examples: any SequenceExamples
  private let plan: BatchPlan
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
    _ network: Network<B>, _ examples: any SequenceExamples, _ settings: TrainingSettings,
    _ pieces: BatchPieces
  ) throws {
    (self.examples, self.pieces) = (examples, pieces)
    plan = BatchPlan(
      lengths: (0..<examples.count).map(examples.length), batchSize: settings.updateSize,
      seed: settings.seed)
    passes = ExamplePasses(network, examples, training: true)
    tree = pieces.count > 1 ? try GradientTree(network.parameters, pieces) : nil
  }

  var epochSteps: Int { plan.epochSteps }
  var unitsPerStep: Int { plan.batchSize }

  /// What an update learns from; of a short batch, at the end of an epoch, the last pieces have no example.
  private func update(_ step: Int, _ seed: UInt64) throws -> Update {
    let (indices, length) = plan.batch(step)
    let present = (indices.count + pieces.size - 1) / pieces.size
    let own = pieces.own.prefix { $0 < present }
    let batches: [(piece: Int, batch: ExampleBatch)] = try own.map { piece in
      let range = pieces.sequences(piece).clamped(to: indices.indices)
      let noise = ExampleNoise(seed: seed, step: step, slice: pieces.slice(piece))
      return (
        piece,
        try examples.batch(
          Array(indices[range]), sequenceLength: length, batchSize: pieces.size, noise: noise)
      )
    }
    // Piece by piece, in the order in which batches were once weighed.
    let weight = (0..<present).reduce(0) { sum, piece in
      let range = pieces.sequences(piece).clamped(to: indices.indices)
      return sum + examples.weight(Array(indices[range]))
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

/// Measures a network on examples.
final class SequenceEvaluator<B: Backend>: TrainingEvaluator {
  private let examples: any SequenceExamples
  private let passes: ExamplePasses<B>
  /// The batches: examples sorted by length, so that little is computed past their ends.
  private let batches: [(examples: [Int], sequenceLength: Int)]
  private let batchSize: Int
  private let ranks: any Communicator
  private let width: Int

  /// Measures on all examples, or with a `limit` on so many, spread evenly.
  ///
  /// Several ranks compute the batches in turn, and each counts what all computed.
  init(
    _ network: Network<B>, _ examples: any SequenceExamples, batchSize: Int, limit: Int? = nil,
    ranks: any Communicator = Alone()
  ) {
    self.examples = examples
    self.batchSize = batchSize
    self.ranks = ranks
    width = network.configuration.outputSize
    passes = ExamplePasses(network, examples, training: false)
    let step = limit.map { max(1, (examples.count + $0 - 1) / max($0, 1)) } ?? 1
    batches = Self.batches(
      Array(stride(from: 0, to: examples.count, by: step)), examples, batchSize)
  }

  /// Examples by length in batches, each with the length that all of them fit.
  static func batches(
    _ indices: [Int], _ examples: any SequenceExamples, _ batchSize: Int
  ) -> [(examples: [Int], sequenceLength: Int)] {
    let sorted = indices.sorted { (examples.length($0), $0) < (examples.length($1), $1) }
    let classes = BatchPlan.classes(indices.map(examples.length))
    return stride(from: 0, to: sorted.count, by: batchSize).map { start in
      let batch = Array(sorted[start..<min(start + batchSize, sorted.count)])
      let longest = examples.length(batch[batch.count - 1])
      return (batch, classes.first { $0 >= longest } ?? longest)
    }
  }

  var passCount: Int { (batches.count + ranks.count - 1) / ranks.count }

  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics? {
    var sum = LossSum()
    var tally = examples.makeTally()
    for start in stride(from: 0, to: batches.count, by: ranks.count) {
      if try shouldStop() { return nil }
      for (batch, outputs) in try outputs(start..<min(start + ranks.count, batches.count)) {
        var none: [Double]?
        let part = examples.loss(outputs, batch, gradient: &none)
        sum.sum += part.sum
        sum.weight += part.weight
        tally.add(outputs, batch)
      }
    }
    var metrics = TaskMetrics(loss: sum.mean ?? .nan)
    tally.fill(&metrics)
    return metrics
  }

  /// The outputs for as many batches as there are ranks, or fewer, of which each rank computes one.
  private func outputs(
    _ range: Range<Int>
  ) throws -> [(batch: ExampleBatch, outputs: BatchOutputs)] {
    let group = try range.map { index in
      try examples.batch(
        batches[index].examples, sequenceLength: batches[index].sequenceLength,
        batchSize: batchSize)
    }
    guard ranks.count > 1 else {
      return try group.map { ($0, try passes.outputs($0)) }
    }
    let own = ranks.rank < group.count ? try passes.outputs(group[ranks.rank]).values : []
    let counts = try ranks.gather(Int64(own.count)).map(Int.init)
    var rest = try ranks.gather(own, counts: counts)[...]
    return zip(group, counts).map { batch, count in
      defer { rest = rest.dropFirst(count) }
      return (
        batch,
        BatchOutputs(values: Array(rest.prefix(count)), batchSize: batchSize, width: width)
      )
    }
  }
}
