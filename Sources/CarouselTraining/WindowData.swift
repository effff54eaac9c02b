import CarouselModel

/// One step's worth of data.
struct TrainingBatch {
  let input: NetworkInput
  let targets: NetworkTargets
  /// Whether sequences begin, so that the states before are zeros.
  let begins: Bool
}

/// What a network is trained on: batches that are a function of how many steps were taken before.
protocol WindowData: Sendable {
  /// The steps of each sequence in a batch.
  var sequenceLength: Int { get }
  /// The sequences of an update.
  var batchSize: Int { get }
  /// The training steps of an epoch.
  var epochSteps: Int { get }
  /// Some sequences of the update `step`, counted from 0.
  func batch(_ step: Int, sequences: Range<Int>) throws -> TrainingBatch
}

extension WindowData {
  /// All sequences of an update.
  func batch(_ step: Int) throws -> TrainingBatch { try batch(step, sequences: 0..<batchSize) }
}

extension TextStreams: WindowData {
  var epochSteps: Int { windowCount }

  func batch(_ step: Int, sequences: Range<Int>) throws -> TrainingBatch {
    let index = step % windowCount
    let window = try window(index, streams: sequences)
    return TrainingBatch(
      input: .tokens(window.inputs), targets: .classes(window.targets), begins: index == 0)
  }
}

/// Measures a network as its parameters are now.
protocol TrainingEvaluator {
  /// The passes that an evaluation is.
  var passCount: Int { get }
  /// The loss, with other metrics where the task has them; nil where `shouldStop`, which is asked before
  /// each pass, became true on the way.
  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics?
}

extension TextEvaluator: TrainingEvaluator {
  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics? {
    try evaluate(shouldStop: shouldStop).map { TaskMetrics(loss: $0.loss) }
  }
}

/// Windows of a text, or synthetic sequences, all of one size.
///
/// The pieces of an update that this rank computes are computed one after the other; the states of each are kept
/// from one window to the next.
final class WindowWork<B: Backend>: TrainingWork {
  private let configuration: NetworkConfiguration
  private let pass: TrainingPass<B>
  private let data: any WindowData
  private let pieces: BatchPieces
  let unitsPerStep: Int
  /// The states that one step hands on to the next, of every piece of this rank.
  let states: [GraphStates<B>]
  private let tree: GradientTree<B>?

  /// With `checkpointSteps` activations are computed again, see `TrainingPass`.
  init(
    _ network: Network<B>, _ data: any WindowData, _ pieces: BatchPieces, checkpointSteps: Int?,
    countsBytes: Bool
  ) throws {
    (configuration, self.data, self.pieces) = (network.configuration, data, pieces)
    let pass = try TrainingPass(
      network.model, sequenceLength: data.sequenceLength, batchSize: pieces.size,
      checkpointSteps: checkpointSteps)
    self.pass = pass
    unitsPerStep = countsBytes ? data.sequenceLength * data.batchSize : data.batchSize
    states =
      pieces.own.count > 1 ? try pieces.own.map { _ in try pass.makeStates() } : [pass.states]
    tree = pieces.count > 1 ? try GradientTree(pass.model.parameters, pieces) : nil
  }

  var epochSteps: Int { data.epochSteps }

  func queueGradients(step: Int, seed: UInt64) throws {
    for (piece, states) in zip(pieces.own, states) {
      let batch = try data.batch(step, sequences: pieces.sequences(piece))
      if batch.begins {
        try pass.states.reset()
      } else if pieces.own.count > 1 {
        try states.copy(to: pass.states)
      }
      pass.slice = pieces.slice(piece)
      pass.gradientIsFinal = try tree?.begin(
        piece: piece, isLast: piece == pieces.own.upperBound - 1)
      // Each piece has as many steps that count as any other.
      try pass.queueGradients(
        configuration.tensors(batch.input, batch.targets, data.sequenceLength, pieces.size),
        count: configuration.count(batch.targets) * Double(pieces.count),
        dropoutSeed: (seed: seed, step: step))
      if pieces.own.count > 1 { try pass.states.copy(to: states) }
      try tree?.add(piece: piece, loss: pass.loss)
    }
    try tree?.finish(present: pieces.count)
  }

  func readLoss() throws -> Double { try tree?.readLoss() ?? pass.readLoss() }
}
