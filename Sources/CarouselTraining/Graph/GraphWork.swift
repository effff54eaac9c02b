import CarouselModel

/// Passes of a model for the shapes that batches have, each made when it is first needed.
///
/// The passes that were used last are kept: batches of like length come in few shapes.
final class GraphPassCache<B: Backend> {
  private let model: GraphModel<B>
  private let graph: Graph
  /// The inputs that the passes read.
  private let inputs: Set<String>
  private let training: Bool
  private let shared: [String: GraphTensor]
  /// The one used last is at the end.
  private var passes: [(shapes: [String: Shape], pass: GraphPass<B>)] = []

  private static var mostPasses: Int { 16 }

  /// Prepares passes that compute `outputs`; `shared` inputs are the same in every one of them.
  init(
    _ model: GraphModel<B>, outputs: [String], training: Bool, shared: [String: GraphTensor]
  ) {
    (self.model, self.training, self.shared) = (model, training, shared)
    graph = model.graph.selecting(outputs: outputs)
    inputs = Set(graph.inputs.map(\.name))
  }

  /// Computes the outputs of a batch without waiting, and returns what has them.
  func forward(
    _ batch: [String: GraphTensor], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> GraphPass<B> {
    let pass = try pass(like: batch)
    try pass.forward(batch.filter { inputs.contains($0.key) }, dropoutSeed: dropoutSeed)
    return pass
  }

  /// The pass for batches of the shapes of this one.
  func pass(like batch: [String: GraphTensor]) throws -> GraphPass<B> {
    let shapes = batch.filter { inputs.contains($0.key) }.mapValues(\.shape)
    if let index = passes.firstIndex(where: { $0.shapes == shapes }) {
      passes.append(passes.remove(at: index))
      return passes[passes.count - 1].pass
    }
    let (real, whole) = (
      shared.filter { $0.value.type.isReal }, shared.filter { !$0.value.type.isReal }
    )
    let program = try GraphProgram(
      graph, shapes: shapes.merging(real.mapValues(\.shape)) { $1 }, constants: whole,
      training: training)
    let pass = try GraphPass(program, model)
    for (name, tensor) in real where inputs.contains(name) { try pass.write(tensor, to: name) }
    if passes.count == Self.mostPasses { passes.removeFirst() }
    passes.append((shapes, pass))
    return pass
  }
}

/// The gradients of a graph's training steps.
final class GraphWork<B: Backend> {
  /// The training steps of an epoch.
  var epochSteps: Int { plan.epochSteps }

  private let data: any TrainingData
  private let batcher: ExampleBatcher
  private let passes: GraphPassCache<B>
  private let plan: BatchPlan
  /// N, and K, the batches of an update.
  private let batchSize: Int, accumulate: Int
  private let sum: GradientSum<B>?
  private var lastPass: GraphPass<B>?
  private var sliceCount = 1

  init(
    _ model: GraphModel<B>, _ data: any TrainingData, _ settings: TrainingSettings
  ) throws {
    self.data = data
    (batchSize, accumulate) = (settings.batchSize, settings.accumulate ?? 1)
    batcher = ExampleBatcher(model.graph, shared: data.shared)
    passes = GraphPassCache(
      model, outputs: Array(model.graph.outputs.prefix(1)), training: true, shared: data.shared)
    plan = BatchPlan(
      lengths: (0..<data.count).map(data.length), batchSize: settings.updateSize,
      seed: settings.seed)
    sum = accumulate > 1 ? try GradientSum(model.parameters) : nil
  }

  /// The batches of N that make the update of a step, counted from 0.
  private func slices(_ step: Int) -> [[Int]] {
    let examples = plan.batch(step).examples
    return stride(from: 0, to: examples.count, by: batchSize).map {
      Array(examples[$0..<min($0 + batchSize, examples.count)])
    }
  }

  /// Makes the pass of a step, so that what does not fit shows before anything is written.
  func prepare(step: Int) throws {
    _ = try passes.pass(like: batcher.batch(data, slices(step)[0]))
  }

  /// Queues the gradients of a step, counted from 0, which go to the model's store: those of the mean loss of
  /// its batches.
  func queueGradients(step: Int, seed: UInt64) throws {
    let slices = slices(step)
    for (index, slice) in slices.enumerated() {
      let pass = try passes.forward(
        batcher.batch(data, slice), dropoutSeed: (seed: seed, step: step * accumulate + index))
      try pass.backward()
      try sum?.add(loss: pass.lossBuffer, isFirst: index == 0)
      lastPass = pass
    }
    sliceCount = slices.count
    try sum?.finish(scale: 1 / Double(sliceCount))
  }

  /// The mean loss of the step that was queued last; waits for the device.
  func readLoss() throws -> Double {
    if let sum { return try sum.readLoss() / Double(sliceCount) }
    return try lastPass?.loss() ?? .nan
  }
}

/// What a graph's loss and metrics are on data.
public struct GraphEvaluation: Hashable, Sendable {
  /// The mean of the losses of batches, each weighed by its examples.
  public var loss: Double
  /// The metrics by their names; one of which nothing counted is absent.
  public var metrics: [String: Double] = [:]
}

/// Measures a graph on data.
final class GraphEvaluator<B: Backend> {
  let passCount: Int
  private let data: any TrainingData
  private let metrics: [Metric]
  private let loss: String
  private let batcher: ExampleBatcher
  private let passes: GraphPassCache<B>
  private let batches: [[Int]]

  init(
    _ model: GraphModel<B>, _ data: any TrainingData, batchSize: Int, metrics: [Metric]
  ) {
    (self.data, self.metrics) = (data, metrics)
    batcher = ExampleBatcher(model.graph, shared: data.shared)
    let inputs = Set(model.graph.inputs.map(\.name))
    loss = model.graph.outputs.first ?? ""
    let read = Set(metrics.flatMap(\.tensors)).subtracting(inputs).subtracting([loss])
    passes = GraphPassCache(
      model, outputs: [loss] + read.sorted(), training: false, shared: data.shared)
    let lengths = (0..<data.count).map(data.length)
    let order = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
    batches = stride(from: 0, to: order.count, by: batchSize).map {
      Array(order[$0..<min($0 + batchSize, order.count)])
    }
    passCount = batches.count
  }

  /// Makes the first pass, so that what does not fit shows before anything is written.
  func prepare() throws {
    _ = try passes.pass(like: batcher.batch(data, batches[0]))
  }

  /// Measures the model.
  ///
  /// Asks `shouldStop` before each pass, and returns nil once it says true.
  func measure(shouldStop: () throws -> Bool) throws -> GraphEvaluation? {
    var sum = 0.0
    var parts = metrics.map { _ in Metric.Part(sum: 0, count: 0) }
    for indices in batches {
      if try shouldStop() { return nil }
      let batch = try batcher.batch(data, indices)
      let pass = try passes.forward(batch)
      let outputs = Dictionary(
        uniqueKeysWithValues: try pass.outputs().map { ($0.name, $0.tensor) })
      sum += (outputs[loss]?.values.first ?? .nan) * Double(indices.count)
      let tensors = batch.merging(data.shared) { $1 }.merging(outputs) { $1 }
      for (index, metric) in metrics.enumerated() {
        let wanted = Set(metric.tensors)
        let part = try metric.measure(tensors.filter { wanted.contains($0.key) })
        parts[index].sum += part.sum
        parts[index].count += part.count
      }
    }
    var result = GraphEvaluation(loss: sum / Double(data.count))
    for (metric, part) in zip(metrics, parts) where part.count > 0 {
      result.metrics[metric.name] = part.sum / part.count
    }
    return result
  }
}
