import CarouselModel

/// What batches of examples say of a network together.
struct EvaluationSums {
  var loss = LossSum()
  var tally: any ExampleTally

  var metrics: TaskMetrics {
    var metrics = TaskMetrics(loss: loss.mean ?? .nan)
    tally.fill(&metrics)
    return metrics
  }
}

/// Measures a network on examples.
final class SequenceEvaluator<B: Backend>: TrainingEvaluator {
  private let examples: any ExampleSource
  private let passes: ExamplePasses<B>
  /// The batches: examples sorted by length, so that little is computed past their ends.
  private let batches: [(examples: [Int], sequenceLength: Int)]
  private let reader: BatchReader
  private let batchSize: Int
  private let ranks: any Communicator
  private let width: Int

  /// Measures on all examples, or with a `limit` on so many, spread evenly.
  ///
  /// Several ranks compute the batches in turn, and each counts what all computed.
  init(
    _ network: Network<B>, _ examples: any ExampleSource, batchSize: Int, limit: Int? = nil,
    ranks: any Communicator = Alone()
  ) {
    (self.examples, self.batchSize, self.ranks) = (examples, batchSize, ranks)
    reader = BatchReader(examples, batchSize: batchSize, seed: 0)
    width = network.configuration.outputSize
    passes = ExamplePasses(network, examples, training: false)
    let step = limit.map { max(1, (examples.count + $0 - 1) / max($0, 1)) } ?? 1
    batches = Self.batches(
      Array(stride(from: 0, to: examples.count, by: step)), examples, batchSize)
  }

  /// Measures on some of the examples of a file, by passes for examples of any length.
  init(
    _ network: Network<B>, chunk examples: any SequenceExamples, passes: ExamplePasses<B>,
    batchSize: Int, ranks: any Communicator
  ) {
    (self.examples, self.batchSize, self.ranks) = (examples, batchSize, ranks)
    reader = BatchReader(examples, batchSize: batchSize, seed: 0)
    (width, self.passes) = (network.configuration.outputSize, passes)
    batches = Self.batches(Array(0..<examples.count), examples, batchSize).map {
      ($0.examples, BatchPlan.length($0.sequenceLength, among: []))
    }
  }

  /// Examples by length in batches, each with the length that all of them fit.
  static func batches(
    _ indices: [Int], _ examples: any ExampleSource, _ batchSize: Int
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
    var sums = EvaluationSums(tally: examples.makeTally())
    return try add(to: &sums, shouldStop: shouldStop) ? sums.metrics : nil
  }

  /// Measures the network on these examples and adds the result to `sums`; false where `shouldStop` ended it early.
  func add(to sums: inout EvaluationSums, shouldStop: () throws -> Bool) throws -> Bool {
    for start in stride(from: 0, to: batches.count, by: ranks.count) {
      if try shouldStop() { return false }
      for (batch, outputs) in try outputs(start..<min(start + ranks.count, batches.count)) {
        var none: [Double]?
        let part = batch.source.loss(outputs, batch, gradient: &none)
        sums.loss.sum += part.sum
        sums.loss.weight += part.weight
        sums.tally.add(outputs, batch)
      }
    }
    return true
  }

  /// The outputs for as many batches as there are ranks, or fewer, of which each rank computes one.
  private func outputs(
    _ range: Range<Int>
  ) throws -> [(batch: ExampleBatch, outputs: BatchOutputs)] {
    let group = try range.map { index in
      let (chosen, length) = try reader.batch(index, of: batches.count, epoch: 0) { batches[$0] }
      return chosen.batch(
        0..<chosen.indices.count, sequenceLength: length, batchSize: batchSize)
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
