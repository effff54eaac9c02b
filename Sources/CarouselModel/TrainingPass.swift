/// A training pass over a window of T steps of N sequences, a segment of it after the other.
///
/// A network that walks forward in time computes windows of more than `segmentSteps` steps in segments
/// of as many, forward from the first to the last and backward from the last to the first: states and
/// their gradients are handed on, the parameters' gradients and the loss added up in the order of the
/// way back. With `checkpointSteps` the activations of some segments alone are kept, and those before
/// are computed again from the states they began with (Chen et al. 2016): the same calls on the same
/// numbers, so that every bit is that of a pass which keeps all. It takes at most one forward pass
/// more, and memory ∝ K for the activations and ∝ T/K for the states: ∝ √T with K near √T.
public final class TrainingPass<B: Backend> {
  /// The network that is trained.
  public let network: Network<B>
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// The states of every layer, which one window hands on to the next.
  public let states: [RecurrentState<B.Buffer>]
  /// Which sequences of a larger batch these are, see `RecurrentStack.slice`.
  package var slice: BatchSlice? {
    didSet {
      for pass in passes { pass.slice = slice }
      shortPass?.slice = slice
    }
  }
  /// Hears from which offset of the store on gradients are final, where there is one segment; see `NetworkPass`.
  package var gradientIsFinal: ((Int) throws -> Void)? {
    didSet { if sums == nil { passes[0].gradientIsFinal = gradientIsFinal } }
  }

  /// The steps of a segment; the same whatever is kept, for it decides in which order sums are.
  static var segmentSteps: Int { 64 }

  /// One for each segment whose activations are kept at a time; the last one of the window may be
  /// shorter than the others.
  private let passes: [NetworkPass<B>]
  private let shortPass: NetworkPass<B>?
  private let segmentCount: Int
  /// The segments that are kept at a time; the states with which each run of so many begins, but the
  /// last, and those after all.
  private let keptCount: Int
  private let checkpoints: [[RecurrentState<B.Buffer>]]
  private let last: [RecurrentState<B.Buffer>]
  private let sums: Sums?
  private var backend: B { network.backend }

  /// What is added up over the segments, and what they hand back.
  private struct Sums {
    let gradients: B.Buffer, loss: B.Buffer
    let gradStates: [[RecurrentState<B.Buffer>]]
  }

  /// Allocates the activations; with `checkpointSteps` K those of K steps, rounded up to segments.
  ///
  /// Throws where the device has no room.
  public init(
    _ network: Network<B>, sequenceLength: Int, batchSize: Int, checkpointSteps: Int? = nil
  ) throws {
    try network.backend.checkSizes(
      sequenceLength: sequenceLength, batchSize: batchSize, width: network.configuration.outputSize)
    if let checkpointSteps, checkpointSteps < 1 {
      throw CarouselError(
        .usage, "the steps between checkpoints must be at least 1, but are \(checkpointSteps)")
    }
    let length = Self.segmentSteps
    let isForward = network.configuration.recurrent.direction == .forward
    let count = isForward ? (sequenceLength + length - 1) / length : 1
    self.network = network
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    segmentCount = count
    guard count > 1 else {
      let pass = try NetworkPass(
        network, sequenceLength: sequenceLength, batchSize: batchSize, training: true)
      (passes, shortPass, states) = ([pass], nil, pass.states)
      (keptCount, checkpoints, last, sums) = (1, [], [], nil)
      return
    }
    let kept = min(
      count, (min(checkpointSteps ?? sequenceLength, sequenceLength) + length - 1) / length)
    let first = try NetworkPass(
      network, sequenceLength: length, batchSize: batchSize, training: true)
    func pass(_ sequenceLength: Int) throws -> NetworkPass<B> {
      try NetworkPass(
        network, sequenceLength: sequenceLength, batchSize: batchSize, training: true,
        states: first.states)
    }
    let rest = sequenceLength % length
    // Without checkpoints the short segment needs no long one beside it.
    let long = min(kept, rest == 0 ? count : count - 1)
    passes = try [first] + (1..<long).map { _ in try pass(length) }
    shortPass = rest == 0 ? nil : try pass(rest)
    states = first.states
    keptCount = kept
    let makeStates = first.stack.makeStates
    checkpoints = try (0..<(count - 1) / kept).map { _ in try makeStates() }
    last = checkpoints.isEmpty ? [] : try makeStates()
    sums = Sums(
      gradients: try network.backend.makeBuffer(count: network.parameters.count),
      loss: try network.backend.makeBuffer(count: 1),
      gradStates: [try makeStates(), try makeStates()])
  }

  /// Sets every state to zero: the next window begins a new text.
  public func resetStates() throws { try passes[0].resetStates() }

  /// Queues a forward and a backward pass over `[T, N]`, which leaves the gradients of the mean loss in
  /// the network's store, without waiting for the device more than inputs need; `readLoss` waits.
  ///
  /// With `count` the loss is divided by that many steps of sequences, and not by those that count in
  /// `targets`: the windows of a larger batch, one after the other, add up to its mean.
  public func queueGradients(
    _ input: NetworkInput, _ targets: NetworkTargets, count: Int? = nil,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    let count = count ?? targets.count
    guard let sums else {
      return try passes[0].queueGradients(input, targets, count: count, dropoutSeed: dropoutSeed)
    }
    try network.configuration.check(input, rows: sequenceLength * batchSize)
    try network.configuration.check(targets, rows: sequenceLength * batchSize)
    let stack = passes[0].stack
    func write(_ segment: Int) throws {
      let (pass, rows) = (pass(segment), rows(segment))
      try pass.write(input.rows(rows, of: sequenceLength * batchSize))
      try pass.write(targets.rows(rows, of: sequenceLength * batchSize))
    }
    func forward(_ segment: Int) throws {
      if !checkpoints.isEmpty { try write(segment) }
      try pass(segment).forwardStates(dropoutSeed: dropoutSeed, segment: segment)
    }
    // Where every segment has memory of its own, the host waits for nothing further on.
    if checkpoints.isEmpty { for segment in 0..<segmentCount { try write(segment) } }
    for segment in 0..<segmentCount {
      let (run, place) = segment.quotientAndRemainder(dividingBy: keptCount)
      if place == 0, run < checkpoints.count { try stack.copy(states, to: checkpoints[run]) }
      try forward(segment)
    }
    if !checkpoints.isEmpty { try stack.copy(states, to: last) }
    for run in (0...checkpoints.count).reversed() {
      let segments = run * keptCount..<min((run + 1) * keptCount, segmentCount)
      if run < checkpoints.count {
        try stack.copy(checkpoints[run], to: states)
        for segment in segments { try forward(segment) }
      }
      for segment in segments.reversed() {
        let isLast = segment == segmentCount - 1
        let pass = pass(segment)
        try pass.queueLogits()
        try pass.queueBackward(
          targets, count: count, dropoutSeed: dropoutSeed, segment: segment,
          gradFinal: isLast ? nil : sums.gradStates[(segment + 1) % 2],
          gradInitial: segment == 0 ? nil : sums.gradStates[segment % 2])
        try gather(network.parameters.gradients, network.parameters.count, sums.gradients, isLast)
        try gather(pass.loss, 1, sums.loss, isLast)
      }
    }
    if !checkpoints.isEmpty { try stack.copy(last, to: states) }
    try backend.copy(
      sums.gradients, to: network.parameters.gradients, count: network.parameters.count)
  }

  /// States like `states`, zeros at first.
  package func makeStates() throws -> [RecurrentState<B.Buffer>] {
    try passes[0].stack.makeStates()
  }

  /// Queues a copy of states.
  package func copyStates(
    _ source: [RecurrentState<B.Buffer>], to destination: [RecurrentState<B.Buffer>]
  ) throws {
    try passes[0].stack.copy(source, to: destination)
  }

  /// The loss that was queued last.
  package var loss: B.Buffer { sums?.loss ?? passes[0].loss }

  /// The mean loss that was queued last; waits for the device.
  public func readLoss() throws -> Double {
    guard let sums else { return try passes[0].readLoss() }
    return try backend.read(sums.loss, count: 1)[0]
  }

  private func gather(_ value: B.Buffer, _ count: Int, _ sum: B.Buffer, _ isFirst: Bool) throws {
    if isFirst {
      try backend.copy(value, to: sum, count: count)
    } else {
      try backend.add(value, to: sum, count: count)
    }
  }

  private func pass(_ segment: Int) -> NetworkPass<B> {
    if segment == segmentCount - 1, let shortPass { return shortPass }
    return passes[segment % keptCount]
  }

  /// The rows of a segment in `[T·N]`.
  private func rows(_ segment: Int) -> Range<Int> {
    let first = segment * Self.segmentSteps
    return first * batchSize..<min(first + Self.segmentSteps, sequenceLength) * batchSize
  }
}
