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

/// Windows of a text, or synthetic sequences, all of one size.
final class WindowWork<B: Backend>: TrainingWork {
  let pass: TrainingPass<B>
  private let data: any TrainingData
  let unitsPerStep: Int

  init(_ pass: TrainingPass<B>, _ data: any TrainingData, countsBytes: Bool) {
    (self.pass, self.data) = (pass, data)
    unitsPerStep = countsBytes ? data.sequenceLength * data.batchSize : data.batchSize
  }

  var epochSteps: Int { data.epochSteps }

  func queueGradients(step: Int, seed: UInt64) throws {
    let batch = try data.batch(step)
    if batch.begins { try pass.resetStates() }
    try pass.queueGradients(batch.input, batch.targets, dropoutSeed: (seed: seed, step: step))
  }

  func readLoss() throws -> Double { try pass.readLoss() }
}

/// Passes of a network for the sizes that are asked for, each made once.
final class PassCache<B: Backend> {
  private let network: Network<B>
  private let batchSize: Int
  private let training: Bool, readsLastStep: Bool
  private var passes: [Int: SequencePass<B>] = [:]

  init(_ network: Network<B>, batchSize: Int, training: Bool, readsLastStep: Bool) {
    (self.network, self.batchSize) = (network, batchSize)
    (self.training, self.readsLastStep) = (training, readsLastStep)
  }

  /// The pass for T steps.
  func pass(_ sequenceLength: Int) throws -> SequencePass<B> {
    if let pass = passes[sequenceLength] { return pass }
    let pass = try SequencePass(
      network, sequenceLength: sequenceLength, batchSize: batchSize, training: training,
      readsLastStep: readsLastStep)
    passes[sequenceLength] = pass
    return pass
  }

  /// The outputs for a batch; waits for the device.
  func outputs(
    _ batch: ExampleBatch, dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> (outputs: BatchOutputs, pass: SequencePass<B>) {
    let pass = try pass(batch.sequenceLength)
    let values = try pass.forward(batch.input, lengths: batch.lengths, dropoutSeed: dropoutSeed)
    return (
      BatchOutputs(
        values: values, rows: pass.outputRows, batchSize: batchSize,
        width: network.configuration.outputSize), pass
    )
  }
}

/// Examples of one's own data, in batches of like length.
///
/// The loss is computed on the host from the outputs, the one read of a step; the next batch is made while
/// the device computes the backward pass.
final class SequenceWork<B: Backend>: TrainingWork {
  private let examples: any SequenceExamples
  private let plan: BatchPlan
  private let passes: PassCache<B>
  private var next: (step: Int, batch: ExampleBatch)?
  private var loss = 0.0

  init(_ network: Network<B>, _ examples: any SequenceExamples, batchSize: Int, seed: UInt64) {
    self.examples = examples
    plan = BatchPlan(
      lengths: (0..<examples.count).map(examples.length), batchSize: batchSize, seed: seed)
    passes = PassCache(
      network, batchSize: batchSize, training: true, readsLastStep: examples.readsLastStep)
  }

  var epochSteps: Int { plan.epochSteps }
  var unitsPerStep: Int { plan.batchSize }

  private func batch(_ step: Int, _ seed: UInt64) -> ExampleBatch {
    let (indices, length) = plan.batch(step)
    return examples.batch(
      indices, sequenceLength: length, batchSize: plan.batchSize, noise: (seed, step))
  }

  func queueGradients(step: Int, seed: UInt64) throws {
    let current = next?.step == step ? next?.batch : nil
    let batch = current ?? self.batch(step, seed)
    let (outputs, pass) = try passes.outputs(batch, dropoutSeed: (seed: seed, step: step))
    var gradient: [Double]? = [Double](repeating: 0, count: outputs.values.count)
    let sum = examples.loss(outputs, batch, gradient: &gradient)
    loss = sum.mean ?? 0
    let weight = max(sum.weight, .leastNonzeroMagnitude)
    try pass.queueBackward((gradient ?? []).map { $0 / weight })
    next = (step + 1, self.batch(step + 1, seed))
  }

  func readLoss() -> Double { loss }
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
      network, batchSize: batchSize, training: false, readsLastStep: examples.readsLastStep)
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
      let batch = examples.batch(indices, sequenceLength: length, batchSize: batchSize)
      let outputs = try passes.outputs(batch).outputs
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
