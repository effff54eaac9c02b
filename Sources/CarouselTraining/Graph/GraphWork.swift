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

  /// Prepares passes of a graph with the model's parameters; `shared` inputs are the same in every one of them.
  init(
    _ graph: Graph, _ model: GraphModel<B>, training: Bool, shared: [String: GraphTensor] = [:]
  ) {
    (self.graph, self.model, self.training, self.shared) = (graph, model, training, shared)
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
///
/// The pieces of an update that this rank computes are computed one after the other. Each has the mean loss of its
/// examples; the update has the mean over all, in which a piece weighs as much as its loss counts
/// (`GraphPass.lossWeight`), or as many examples as it has.
final class GraphWork<B: Backend>: TrainingWork {
  /// The training steps of an epoch.
  var epochSteps: Int { plan.epochSteps }
  var unitsPerStep: Int { plan.batchSize }

  private let data: any TrainingData
  private let batcher: ExampleBatcher
  private let passes: GraphPassCache<B>
  private let plan: BatchPlan
  private let pieces: BatchPieces
  private let tree: GradientTree<B>?
  private let statistics: PieceStatistics<B>?
  private var lastPass: GraphPass<B>?

  init(
    _ model: GraphModel<B>, _ data: any TrainingData, _ settings: TrainingSettings,
    ranks: any Communicator
  ) throws {
    self.data = data
    batcher = ExampleBatcher(model.graph, shared: data.shared)
    passes = GraphPassCache(
      model.graph.selecting(outputs: Array(model.graph.outputs.prefix(1))), model, training: true,
      shared: data.shared)
    plan = BatchPlan(
      lengths: (0..<data.count).map(data.length), batchSize: settings.updateSize,
      seed: settings.seed)
    let first = plan.batch(0).examples[0]
    pieces = try BatchPieces(
      settings, single: batcher.isWholePass(data.example(first)), ranks: ranks)
    let several = pieces.count > 1
    tree = several ? try GradientTree(model.parameters, pieces, ofMeans: true) : nil
    statistics = several ? try PieceStatistics(model, pieces) : nil
  }

  /// The examples of a piece of an update, which has so many; none where its batch is short.
  private func examples(_ piece: Int, of update: [Int]) -> [Int] {
    Array(update[pieces.sequences(piece).clamped(to: update.indices)])
  }

  /// Makes the pass of a step, so that what does not fit shows before anything is written.
  func prepare(step: Int) throws {
    let update = plan.batch(step).examples
    let piece = pieces.own.lowerBound * pieces.size < update.count ? pieces.own.lowerBound : 0
    _ = try passes.pass(like: batcher.batch(data, examples(piece, of: update)))
  }

  /// Queues the gradients of a step, counted from 0, which go to the model's store.
  ///
  /// What is dropped is drawn for each piece by its number among those of all updates.
  func queueGradients(step: Int, seed: UInt64) throws {
    let update = plan.batch(step).examples
    let present = (update.count + pieces.size - 1) / pieces.size
    let own = pieces.own.clamped(to: 0..<present)
    try statistics?.begin()
    for piece in own {
      let examples = examples(piece, of: update)
      let batch = try batcher.batch(data, examples)
      _ = try tree?.begin(piece: piece, isLast: piece == own.upperBound - 1)
      try statistics?.clear()
      let pass = try passes.forward(
        batch, dropoutSeed: (seed: seed, step: step * pieces.count + piece))
      try pass.backward()
      try statistics?.take()
      lastPass = pass
      if let tree {
        // By the examples of a whole piece, so that most weigh 1.
        let weight = pass.lossWeight ?? Double(examples.count)
        try tree.add(
          piece: piece, loss: loss(pass), weight: weight / Double(pieces.size))
      }
    }
    try tree?.finish(present: present)
    try statistics?.finish(present: present)
  }

  /// Where the loss of a pass is, also where the host knows it.
  private func loss(_ pass: GraphPass<B>) throws -> B.Buffer {
    if let buffer = pass.lossBuffer { return buffer }
    let backend = pass.model.backend
    let known = try backend.makeBuffer(count: 1)
    try backend.write([pass.loss()], to: known)
    return known
  }

  /// The mean loss of the step that was queued last; waits for the device.
  func readLoss() throws -> Double {
    if let tree { return try tree.readLoss() }
    return try lastPass?.loss() ?? .nan
  }
}
