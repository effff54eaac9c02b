import CarouselModel

/// Windows of a text, or synthetic sequences, all of one size.
///
/// The pieces of an update that this rank computes are computed one after the other; the states of each are kept
/// from one window to the next.
final class WindowWork<B: Backend>: TrainingWork {
  private let pass: TrainingPass<B>
  private let data: any WindowData
  private let pieces: BatchPieces
  let unitsPerStep: Int
  /// The states that one step hands on to the next, of every piece of this rank.
  let states: [[RecurrentState<B.Buffer>]]
  private let tree: GradientTree<B>?

  init(
    _ pass: TrainingPass<B>, _ data: any WindowData, _ pieces: BatchPieces, countsBytes: Bool
  ) throws {
    (self.pass, self.data, self.pieces) = (pass, data, pieces)
    unitsPerStep = countsBytes ? data.sequenceLength * data.batchSize : data.batchSize
    states =
      pieces.own.count > 1 ? try pieces.own.map { _ in try pass.makeStates() } : [pass.states]
    tree = pieces.count > 1 ? try GradientTree(pass.network.parameters, pieces) : nil
  }

  var epochSteps: Int { data.epochSteps }

  func queueGradients(step: Int, seed: UInt64) throws {
    for (piece, states) in zip(pieces.own, states) {
      let batch = try data.batch(step, sequences: pieces.sequences(piece))
      if batch.begins {
        try pass.resetStates()
      } else if pieces.own.count > 1 {
        try pass.copyStates(states, to: pass.states)
      }
      pass.slice = pieces.slice(piece)
      pass.gradientIsFinal = try tree?.begin(
        piece: piece, isLast: piece == pieces.own.upperBound - 1)
      // Each piece has as many steps that count as any other.
      try pass.queueGradients(
        batch.input, batch.targets, count: batch.targets.count * pieces.count,
        dropoutSeed: (seed: seed, step: step))
      if pieces.own.count > 1 { try pass.copyStates(pass.states, to: states) }
      try tree?.add(piece: piece, loss: pass.loss)
    }
    try tree?.finish(present: pieces.count)
  }

  func readLoss() throws -> Double { try tree?.readLoss() ?? pass.readLoss() }
}
