/// What a loss asks of the outputs of a network, computed where the outputs are.
package enum SequenceLoss: Hashable, Sendable {
  /// Cross-entropy with a weight for each class, nil for ones, and smoothed targets; see
  /// `LossBackend.crossEntropy`.
  case crossEntropy(weights: [Double]?, smoothing: Double)
  /// How far numbers are off, `width` of them in each row; see `LossBackend.regressionLoss`.
  case regression(RegressionLoss, width: Int)
}

/// Which rows of the layers' outputs a network's linear layer reads.
package enum SequenceReading: Sendable {
  /// Those of every step.
  case allSteps
  /// Those of the last of T steps alone, for sequences that all have T.
  case lastStep
  /// The mean over the steps of each sequence, `[N]` rows: the mean of what every step's outputs would be.
  case meanOfSteps
}

/// Passes of a network over batches of sequences: with a `SequenceLoss` `queueGradients` does all of a training
/// step; for any other loss `forward` gives the outputs and `queueBackward` takes ∂loss/∂outputs.
///
/// Sequences begin with zero states and may have lengths of their own. Nothing waits for the device but
/// `forward` and `readLoss`, so that the host prepares the next batch meanwhile. Several passes of different
/// sizes may share one network.
package final class SequencePass<B: Backend> {
  /// The network whose parameters are used.
  package let network: Network<B>
  /// T and N.
  package let sequenceLength: Int, batchSize: Int
  /// R: T where outputs are computed at every step, 1 where those of the last step or of the mean are.
  package let outputRows: Int

  /// Which sequences of a larger batch these are, see `RecurrentStack.slice`.
  package var slice: BatchSlice? {
    get { stack.slice }
    set { stack.slice = newValue }
  }

  /// Hears, as a backward pass is queued, from which offset of the store on its gradients are final; nil
  /// hears nothing.
  package var gradientIsFinal: ((Int) throws -> Void)?

  private let stack: RecurrentStack<B>
  private let tokens: B.IndexBuffer?
  private let lengths: B.IndexBuffer
  /// What the layers read, `[T, N, C]`, and the outputs `[R, N, O]`.
  private let x: B.Buffer, outputs: B.Buffer
  /// The rows of the stack's outputs that the linear layer reads.
  private let read: B.Buffer
  private var pool: Pool?
  private let gradients: Gradients?
  private let targets: Targets?
  /// The loss of the last `queueGradients`, one number.
  package let loss: B.Buffer
  private var backend: B { network.backend }
  private var isRagged = false
  private var dropoutSeed: (seed: UInt64, step: Int)?

  private struct Gradients {
    let outputs: B.Buffer, y: B.Buffer, x: B.Buffer
    /// The rows of `y` that the linear layer writes.
    let read: B.Buffer
  }

  /// What the mean over steps needs: the share of each step `[T, N]`, 0 past an end, and the outputs of the
  /// layers times their shares.
  private struct Pool {
    let shares: B.Buffer, weighted: B.Buffer
    /// The lengths that the shares are those of.
    var lengths: [Int32]?
  }

  /// What a loss compares the outputs with.
  private struct Targets {
    let loss: SequenceLoss
    /// The classes, or which rows count.
    let indices: B.IndexBuffer
    let values: B.Buffer?, weights: B.Buffer?
  }

  /// Allocates the activations for N sequences of up to T steps; with `training`, for a backward pass too.
  ///
  /// With the reading `.lastStep` the outputs of the last of the T steps alone are computed where the backend can
  /// slice there, else those of all; `outputRows` says whether it can.
  package init(
    _ network: Network<B>, sequenceLength: Int, batchSize: Int, training: Bool,
    reading: SequenceReading = .allSteps, loss: SequenceLoss? = nil
  ) throws {
    let (backend, configuration) = (network.backend, network.configuration)
    let (O, E) = (configuration.outputSize, configuration.recurrent.inputSize)
    let width = configuration.recurrent.outputSize
    let rows = sequenceLength * batchSize
    self.network = network
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    stack = try RecurrentStack(
      configuration.recurrent, store: network.parameters, prefix: "recurrent.",
      sequenceLength: sequenceLength, batchSize: batchSize, training: training)
    let offset = (rows - batchSize) * width
    let slices = reading == .lastStep && offset.isMultiple(of: backend.sliceAlignment)
    let pools = reading == .meanOfSteps
    let outputRows = slices || pools ? 1 : sequenceLength
    self.outputRows = outputRows
    func rowsThatAreRead(_ buffer: B.Buffer) throws -> B.Buffer {
      if pools { return try backend.makeBuffer(count: batchSize * width) }
      return slices ? try backend.slice(buffer, offset: offset, count: batchSize * width) : buffer
    }
    pool =
      pools
      ? Pool(
        shares: try backend.makeBuffer(count: rows),
        weighted: try backend.makeBuffer(count: rows * width)) : nil
    read = try rowsThatAreRead(stack.y)
    tokens = configuration.vocabularySize == nil ? nil : try backend.makeIndexBuffer(count: rows)
    lengths = try backend.makeIndexBuffer(count: batchSize)
    x = try backend.makeBuffer(count: rows * E)
    outputs = try backend.makeBuffer(count: outputRows * batchSize * O)
    self.loss = try backend.makeBuffer(count: 1)
    targets = try loss.map { loss in
      var (values, weights) = (B.Buffer?.none, B.Buffer?.none)
      switch loss {
      case .crossEntropy(let given, _):
        if let given {
          let buffer = try backend.makeBuffer(count: given.count)
          try backend.write(given, to: buffer)
          weights = buffer
        }
      case .regression(_, let width):
        values = try backend.makeBuffer(count: outputRows * batchSize * width)
      }
      return Targets(
        loss: loss, indices: try backend.makeIndexBuffer(count: outputRows * batchSize),
        values: values, weights: weights)
    }
    guard training else {
      gradients = nil
      return
    }
    let gradY = try backend.makeBuffer(count: rows * width)
    gradients = Gradients(
      outputs: try backend.makeBuffer(count: outputRows * batchSize * O), y: gradY,
      x: try backend.makeBuffer(count: rows * E), read: try rowsThatAreRead(gradY))
  }

  /// From an input of T·N rows to the outputs `[R, N, O]`; waits for the device.
  ///
  /// `lengths` are the steps of each sequence `[N]`, from 0 to T; nil means T everywhere. Throws where
  /// sizes are wrong or a token or a length is out of range.
  package func forward(
    _ input: NetworkInput, lengths: [Int32]? = nil,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> [Double] {
    try write(input, lengths: lengths)
    try queueOutputs(dropoutSeed: dropoutSeed)
    return try backend.read(
      outputs, count: outputRows * batchSize * network.configuration.outputSize)
  }

  /// Queues a forward and a backward pass without waiting: the parameters' gradients go to the network's
  /// store, the loss is there for `readLoss`.
  ///
  /// `targets` are those of the rows of the outputs, `[R, N]`; `scale` is what the sum of the losses is
  /// multiplied with. Throws where the pass was made without a loss or not for training, or as `forward` does.
  package func queueGradients(
    _ input: NetworkInput, lengths: [Int32]? = nil, _ targets: NetworkTargets, scale: Double,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    guard let gradients, let held = self.targets else {
      throw CarouselError(.usage, "the pass was not made for training with a loss")
    }
    // All before the pass, which a later write would wait for.
    try write(input, lengths: lengths)
    try write(targets, to: held)
    try queueOutputs(dropoutSeed: dropoutSeed)
    let rows = outputRows * batchSize
    switch held.loss {
    case .crossEntropy(_, let smoothing):
      try backend.crossEntropy(
        logits: outputs, targets: held.indices, classWeights: held.weights, smoothing: smoothing,
        gradLogits: gradients.outputs, loss: loss, rows: rows,
        classes: network.configuration.outputSize, scale: scale)
    case .regression(let kind, let width):
      guard let values = held.values else { return }
      try backend.regressionLoss(
        kind, predictions: outputs, targets: values, counted: held.indices,
        gradPredictions: gradients.outputs, loss: loss, rows: rows, width: width, scale: scale)
    }
    try queueBackward()
  }

  /// The loss that was queued last; waits for the device.
  package func readLoss() throws -> Double { try backend.read(loss, count: 1)[0] }

  private func write(_ targets: NetworkTargets, to held: Targets) throws {
    let rows = outputRows * batchSize
    switch (targets, held.loss) {
    case (.classes(let classes), .crossEntropy) where classes.count == rows:
      try backend.write(classes, to: held.indices)
    case (.values(let numbers, let counted), .regression(_, let width))
    where counted.count == rows && numbers.count == rows * width:
      if let values = held.values { try backend.write(numbers, to: values) }
      try backend.write(counted, to: held.indices)
    default:
      throw CarouselError(
        .usage,
        "expected the targets of \(rows) rows of outputs that the loss asks for, found others")
    }
  }

  private func write(_ input: NetworkInput, lengths: [Int32]?) throws {
    try network.configuration.check(input, rows: sequenceLength * batchSize)
    isRagged = lengths != nil
    if let lengths { try backend.write(lengths, to: self.lengths) }
    try writeShares(lengths)
    switch input {
    case .tokens(let values): if let tokens { try backend.write(values, to: tokens) }
    case .features(let values): try backend.write(values, to: x)
    }
  }

  /// The share that each step has in the mean of its sequence, where that is read.
  private func writeShares(_ lengths: [Int32]?) throws {
    let lengths = lengths ?? [Int32](repeating: Int32(sequenceLength), count: batchSize)
    guard let pool, pool.lengths != lengths else { return }
    let shares = (0..<sequenceLength * batchSize).map { index in
      let length = Int(lengths[index % batchSize])
      return index / batchSize < length ? 1 / Double(length) : 0
    }
    try backend.write(shares, to: pool.shares)
    self.pool?.lengths = lengths
  }

  /// The views of `[T, N, C]` in which each row of the outputs, each share of a step, and each row of the mean
  /// are.
  private var poolViews: (rows: StridedView, shares: StridedView, mean: StridedView) {
    let (T, N, C) = (sequenceLength, batchSize, network.configuration.recurrent.outputSize)
    return (
      StridedView([T, N, C]), StridedView(extents: [T, N, C], strides: [N, 1, 0]),
      StridedView(extents: [T, N, C], strides: [0, C, 1])
    )
  }

  /// Queues the mean of the layers' outputs over the steps of each sequence.
  private func queueMean(_ pool: Pool) throws {
    let (T, N, C) = (sequenceLength, batchSize, network.configuration.recurrent.outputSize)
    let views = poolViews
    try backend.elementwise(
      .binary(.multiply), [(stack.y, views.rows), (pool.shares, views.shares)],
      into: pool.weighted, extents: [T, N, C])
    try backend.reduce(
      .sum, pool.weighted, kept: StridedView([N * C]),
      reduced: StridedView(extents: [T], strides: [N * C]), into: read, scale: 1)
  }

  /// From the input that was written last to `outputs`.
  private func queueOutputs(dropoutSeed: (seed: UInt64, step: Int)?) throws {
    let (store, configuration) = (network.parameters, network.configuration)
    let rows = sequenceLength * batchSize
    self.dropoutSeed = dropoutSeed
    if let tokens, let vocabulary = configuration.vocabularySize {
      try backend.embeddingForward(
        indices: tokens, weight: store.value("embedding.weight"), y: x, count: rows,
        vocabulary: vocabulary, width: configuration.recurrent.inputSize)
    }
    try stack.forward(
      x: x, lengths: isRagged ? self.lengths : nil, initial: nil, final: nil,
      dropoutSeed: dropoutSeed)
    if let pool { try queueMean(pool) }
    try backend.linearForward(
      x: read, weight: store.value("output.weight"), bias: store.value("output.bias"), y: outputs,
      rows: outputRows * batchSize, inputSize: configuration.recurrent.outputSize,
      outputSize: configuration.outputSize)
  }

  /// Queues the backward pass of the last `forward` without waiting: the parameters' gradients go to the
  /// network's store.
  ///
  /// `gradOutputs` is ∂loss/∂outputs `[R, N, O]`, 0 past a sequence's end.
  package func queueBackward(_ gradOutputs: [Double]) throws {
    guard let gradients else {
      throw CarouselError(.usage, "the pass was not made for training")
    }
    let count = outputRows * batchSize * network.configuration.outputSize
    guard gradOutputs.count == count else {
      throw CarouselError(
        .usage, "expected \(count) gradients of outputs, found \(gradOutputs.count)")
    }
    try backend.write(gradOutputs, to: gradients.outputs)
    try queueBackward()
  }

  /// The backward pass of what `gradients.outputs` holds.
  private func queueBackward() throws {
    guard let gradients else { return }
    let (store, configuration) = (network.parameters, network.configuration)
    let rows = sequenceLength * batchSize
    if outputRows < sequenceLength, pool == nil {
      try backend.fill(gradients.y, count: rows * configuration.recurrent.outputSize, with: 0)
    }
    try backend.linearBackward(
      x: read, weight: store.value("output.weight"), gradY: gradients.outputs,
      gradX: gradients.read, gradWeight: store.gradient("output.weight"),
      gradBias: store.gradient("output.bias"), rows: outputRows * batchSize,
      inputSize: configuration.recurrent.outputSize, outputSize: configuration.outputSize)
    if let pool {
      let views = poolViews
      try backend.elementwise(
        .binary(.multiply), [(gradients.read, views.mean), (pool.shares, views.shares)],
        into: gradients.y, extents: views.rows.extents)
    }
    try gradientIsFinal?(store.offset("output.weight"))
    try stack.backward(
      x: x, lengths: isRagged ? lengths : nil, initial: nil, gradY: gradients.y,
      gradX: tokens == nil ? nil : gradients.x, dropoutSeed: dropoutSeed,
      layerIsDone: { layer in
        try gradientIsFinal?(store.offset("recurrent.weight_ih_l\(layer)"))
      })
    if let tokens, let vocabulary = configuration.vocabularySize {
      try backend.embeddingBackward(
        indices: tokens, gradY: gradients.x, gradWeight: store.gradient("embedding.weight"),
        count: rows, vocabulary: vocabulary, width: configuration.recurrent.inputSize)
    }
  }
}
