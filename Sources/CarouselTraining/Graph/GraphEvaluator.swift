import CarouselModel

/// What a graph's loss and metrics are on data.
public struct GraphEvaluation: Hashable, Sendable {
  /// The mean of the losses of batches, each weighed by its examples.
  public var loss: Double
  /// The metrics by their names; one of which nothing counted is absent.
  public var metrics: [String: Double] = [:]
}

/// Measures a graph on data; several ranks compute the batches in turn, and each counts what all computed.
final class GraphEvaluator<B: Backend>: TrainingEvaluator {
  let passCount: Int
  private let data: any TrainingData
  private let metrics: [Metric]
  private let loss: String
  private let batcher: ExampleBatcher
  private let passes: GraphPassCache<B>
  private let batches: [[Int]]
  private let ranks: any Communicator

  init(
    _ model: GraphModel<B>, _ data: any TrainingData, batchSize: Int, metrics: [Metric],
    ranks: any Communicator = Alone()
  ) throws {
    (self.data, self.metrics, self.ranks) = (data, metrics, ranks)
    batcher = ExampleBatcher(model.graph, shared: data.shared)
    let inputs = Set(model.graph.inputs.map(\.name))
    loss = model.graph.outputs.first ?? ""
    let read = Set(metrics.flatMap(\.tensors)).subtracting(inputs).subtracting([loss])
    passes = GraphPassCache(
      model.graph.selecting(outputs: [loss] + read.sorted()), model, training: false,
      shared: data.shared)
    let size = try batcher.isWholePass(data.example(0)) ? 1 : batchSize
    let lengths = (0..<data.count).map(data.length)
    let order = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
    batches = stride(from: 0, to: order.count, by: size).map {
      Array(order[$0..<min($0 + size, order.count)])
    }
    passCount = (batches.count + ranks.count - 1) / ranks.count
  }

  /// Makes the first pass, so that what does not fit shows before anything is written.
  func prepare() throws {
    _ = try passes.pass(like: batcher.batch(data, batches[0]))
  }

  /// Measures the model.
  ///
  /// Asks `shouldStop` before each pass, and returns nil once it says true.
  func evaluate(shouldStop: () throws -> Bool) throws -> GraphEvaluation? {
    // Of every batch the loss, weighed, then the sum and the count of each metric.
    let width = 1 + 2 * metrics.count
    var sums = [Double](repeating: 0, count: width)
    for start in stride(from: 0, to: batches.count, by: ranks.count) {
      if try shouldStop() { return nil }
      let group = min(ranks.count, batches.count - start)
      let own = ranks.rank < group ? try measure(batches[start + ranks.rank]) : []
      let counts = (0..<ranks.count).map { $0 < group ? width : 0 }
      let found = try ranks.gather(own, counts: counts)
      for (index, value) in found.enumerated() { sums[index % width] += value }
    }
    var result = GraphEvaluation(loss: sums[0] / Double(data.count))
    for (index, metric) in metrics.enumerated() where sums[2 + 2 * index] > 0 {
      result.metrics[metric.name] = sums[1 + 2 * index] / sums[2 + 2 * index]
    }
    return result
  }

  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics? {
    try evaluate(shouldStop: shouldStop).map { found in
      var result = TaskMetrics(loss: found.loss)
      if !metrics.isEmpty { result.others = found.metrics }
      return result
    }
  }

  /// What a batch adds to the sums.
  private func measure(_ indices: [Int]) throws -> [Double] {
    let batch = try batcher.batch(data, indices)
    let pass = try passes.forward(batch)
    let outputs = Dictionary(
      uniqueKeysWithValues: try pass.outputs().map { ($0.name, $0.tensor) })
    var result = [(outputs[loss]?.values.first ?? .nan) * Double(indices.count)]
    let tensors = batch.merging(data.shared) { $1 }.merging(outputs) { $1 }
    for metric in metrics {
      let wanted = Set(metric.tensors)
      let part = try metric.measure(tensors.filter { wanted.contains($0.key) })
      result += [part.sum, part.count]
    }
    return result
  }
}
