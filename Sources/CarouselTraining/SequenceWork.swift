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

/// Passes of a network for the sizes that are asked for, each made once.
final class PassCache<B: Backend> {
  private let network: Network<B>
  private let batchSize: Int
  private let training: Bool
  private let reading: SequenceReading
  private let loss: SequenceLoss?
  private var passes: [Int: SequencePass<B>] = [:]

  init(
    _ network: Network<B>, batchSize: Int, training: Bool, reading: SequenceReading,
    loss: SequenceLoss? = nil
  ) {
    (self.network, self.batchSize, self.loss) = (network, batchSize, loss)
    (self.training, self.reading) = (training, reading)
  }

  /// The pass for T steps.
  func pass(_ sequenceLength: Int) throws -> SequencePass<B> {
    if let pass = passes[sequenceLength] { return pass }
    let pass = try SequencePass(
      network, sequenceLength: sequenceLength, batchSize: batchSize, training: training,
      reading: reading, loss: loss)
    passes[sequenceLength] = pass
    return pass
  }

  /// The outputs for a batch; waits for the device.
  func outputs(_ batch: ExampleBatch) throws -> BatchOutputs {
    let pass = try pass(batch.sequenceLength)
    return BatchOutputs(
      values: try pass.forward(batch.input, lengths: batch.lengths), rows: pass.outputRows,
      batchSize: batchSize, width: network.configuration.outputSize)
  }
}

/// Examples of one's own data, in batches of like length.
///
/// The next batch is made while the device computes.
final class SequenceWork<B: Backend>: TrainingWork {
  private let network: Network<B>
  private let examples: any SequenceExamples
  private let plan: BatchPlan
  private let passes: PassCache<B>
  /// N, and K, the batches of an update.
  private let batchSize: Int, accumulate: Int
  private let sum: GradientSum<B>?
  private var next: (step: Int, slices: [ExampleBatch])?
  private var lastPass: SequencePass<B>?

  init(_ network: Network<B>, _ examples: any SequenceExamples, _ settings: TrainingSettings) throws
  {
    (self.network, self.examples) = (network, examples)
    (batchSize, accumulate) = (settings.batchSize, settings.accumulate ?? 1)
    plan = BatchPlan(
      lengths: (0..<examples.count).map(examples.length), batchSize: settings.updateSize,
      seed: settings.seed)
    passes = PassCache(
      network, batchSize: settings.batchSize, training: true,
      reading: examples.reading, loss: examples.sequenceLoss)
    sum = accumulate > 1 ? try GradientSum(network.parameters) : nil
  }

  var epochSteps: Int { plan.epochSteps }
  var unitsPerStep: Int { plan.batchSize }

  /// The batches of N whose gradients make an update.
  private func slices(_ step: Int, _ seed: UInt64) throws -> [ExampleBatch] {
    let (indices, length) = plan.batch(step)
    return try stride(from: 0, to: indices.count, by: batchSize).enumerated().map { slice, start in
      try examples.batch(
        Array(indices[start..<min(start + batchSize, indices.count)]), sequenceLength: length,
        batchSize: batchSize, noise: (seed, step * accumulate + slice))
    }
  }

  func queueGradients(step: Int, seed: UInt64) throws {
    let known = next?.step == step ? next?.slices : nil
    let slices = try known ?? self.slices(step, seed)
    let weight = slices.reduce(0) { $0 + examples.weight($1.examples) }
    let scale = 1 / max(weight, .leastNormalMagnitude)
    for (index, batch) in slices.enumerated() {
      let noise = (seed: seed, step: step * accumulate + index)
      let pass = try passes.pass(batch.sequenceLength)
      try pass.queueGradients(
        batch.input, lengths: batch.lengths, examples.targets(batch, rows: pass.outputRows),
        scale: scale, dropoutSeed: noise)
      lastPass = pass
      try sum?.add(loss: pass.loss, isFirst: index == 0)
    }
    try sum?.finish()
    next = (step + 1, try self.slices(step + 1, seed))
  }

  func readLoss() throws -> Double {
    try sum?.readLoss() ?? lastPass?.readLoss() ?? .nan
  }
}

/// Measures a network on examples.
final class SequenceEvaluator<B: Backend>: TrainingEvaluator {
  private let examples: any SequenceExamples
  private let passes: PassCache<B>
  /// The batches: examples sorted by length, so that little is computed past their ends.
  private let batches: [(examples: [Int], sequenceLength: Int)]
  private let batchSize: Int

  /// Measures on all examples, or with a `limit` on so many, spread evenly.
  init(
    _ network: Network<B>, _ examples: any SequenceExamples, batchSize: Int, limit: Int? = nil
  ) {
    self.examples = examples
    self.batchSize = batchSize
    passes = PassCache(
      network, batchSize: batchSize, training: false, reading: examples.reading)
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

  var passCount: Int { batches.count }

  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics? {
    var sum = LossSum()
    var tally = examples.makeTally()
    for (indices, length) in batches {
      if try shouldStop() { return nil }
      let batch = try examples.batch(indices, sequenceLength: length, batchSize: batchSize)
      let outputs = try passes.outputs(batch)
      var none: [Double]?
      let part = examples.loss(outputs, batch, gradient: &none)
      sum.sum += part.sum
      sum.weight += part.weight
      tally.add(outputs, batch)
    }
    var metrics = TaskMetrics(loss: sum.mean ?? .nan)
    tally.fill(&metrics)
    return metrics
  }
}
