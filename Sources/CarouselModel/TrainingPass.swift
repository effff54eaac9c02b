/// A training pass of a graph over a window of T steps of N sequences, a segment of it after the other.
///
/// A graph that reads forward in time alone computes windows of more than `segmentSteps` steps in segments
/// of as many, forward from the first to the last and backward from the last to the first: states and
/// their gradients are handed on, the parameters' gradients and the loss added up in the order of the
/// way back. With `checkpointSteps` the activations of some segments alone are kept, and those before
/// are computed again from the states they began with (Chen et al. 2016): the same calls on the same
/// numbers, so that every bit is that of a pass which keeps all. It takes at most one forward pass
/// more, and memory ∝ K for the activations and ∝ T/K for the states: ∝ √T with K near √T.
///
/// The axes of the graph's inputs are fixed, `"T"` or `"N"`; its loss, the first output, is a cross-entropy or a
/// regression.
public final class TrainingPass<B: Backend> {
  /// The graph that is trained, with its parameters.
  public let model: GraphModel<B>
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// The states of every stack, which one window hands on to the next.
  public let states: GraphStates<B>
  /// Which sequences of a larger batch these are, see `RecurrentStack.slice`.
  package var slice: BatchSlice? {
    didSet { for pass in passes + [shortPass].compactMap(\.self) { pass.slice = slice } }
  }
  /// Hears from which offset of the store on gradients are final, where there is one segment; see `GraphPass`.
  package var gradientIsFinal: ((Int) throws -> Void)? {
    didSet { if sums == nil { passes[0].gradientIsFinal = gradientIsFinal } }
  }

  /// The steps of a segment; the same whatever is kept, for it decides in which order sums are.
  static var segmentSteps: Int { 64 }

  /// One for each segment whose activations are kept at a time; the last one of the window may be
  /// shorter than the others.
  private let passes: [GraphPass<B>]
  private let shortPass: GraphPass<B>?
  private let segmentCount: Int
  /// The segments that are kept at a time; the states with which each run of so many begins, but the
  /// last, and those after all.
  private let keptCount: Int
  private let checkpoints: [GraphStates<B>]
  private let last: GraphStates<B>?
  private let sums: Sums?
  private var backend: B { model.backend }

  /// What is added up over the segments, and what they hand back.
  private struct Sums {
    let gradients: B.Buffer, loss: B.Buffer
    let gradStates: [GraphStates<B>]
  }

  /// Allocates the activations; with `checkpointSteps` K those of K steps, rounded up to segments.
  ///
  /// Throws where an input has another axis, and where the device has no room.
  public init(
    _ model: GraphModel<B>, sequenceLength: Int, batchSize: Int, checkpointSteps: Int? = nil
  ) throws {
    try model.backend.checkSizes(
      sequenceLength: sequenceLength, batchSize: batchSize, width: 1)
    if let checkpointSteps, checkpointSteps < 1 {
      throw CarouselError(
        .usage, "the steps between checkpoints must be at least 1, but are \(checkpointSteps)")
    }
    let graph = model.graph.selecting(outputs: Array(model.graph.outputs.prefix(1)))
    let length = Self.segmentSteps
    let count = graph.readsForward ? (sequenceLength + length - 1) / length : 1
    self.model = model
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    segmentCount = count
    func program(_ sequenceLength: Int) throws -> GraphProgram {
      try GraphProgram(
        graph, shapes: graph.shapes(sequenceLength: sequenceLength, batchSize: batchSize),
        training: true)
    }
    let whole = try program(count > 1 ? length : sequenceLength)
    let states = try GraphStates(whole, backend: model.backend)
    self.states = states
    guard count > 1 else {
      passes = [try GraphPass(whole, model, states: states)]
      (keptCount, checkpoints, last, sums, shortPass) = (1, [], nil, nil, nil)
      return
    }
    let kept = min(
      count, (min(checkpointSteps ?? sequenceLength, sequenceLength) + length - 1) / length)
    let rest = sequenceLength % length
    // Without checkpoints the short segment needs no long one beside it.
    let long = min(kept, rest == 0 ? count : count - 1)
    passes = try (0..<long).map { _ in try GraphPass(whole, model, states: states) }
    shortPass = rest == 0 ? nil : try GraphPass(program(rest), model, states: states)
    keptCount = kept
    func makeStates() throws -> GraphStates<B> { try GraphStates(whole, backend: model.backend) }
    checkpoints = try (0..<(count - 1) / kept).map { _ in try makeStates() }
    last = checkpoints.isEmpty ? nil : try makeStates()
    sums = Sums(
      gradients: try model.backend.makeBuffer(count: model.parameters.count),
      loss: try model.backend.makeBuffer(count: 1),
      gradStates: [try makeStates(), try makeStates()])
  }

  /// Queues a forward and a backward pass over the inputs of a window, which leaves the gradients of the loss in
  /// the model's store, without waiting for the device more than inputs need; `readLoss` waits.
  ///
  /// The loss is the sum over what counts divided by `count`: with that of a larger batch, the gradients of the
  /// windows that it is made of add up to its own. Throws where an input is missing or of another shape.
  public func queueGradients(
    _ inputs: [String: GraphTensor], count: Double,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    let divisor = max(count, 1)
    guard let sums else {
      passes[0].lossDivisor = divisor
      try passes[0].forward(inputs, dropoutSeed: dropoutSeed)
      return try passes[0].backward()
    }
    func write(_ segment: Int) throws {
      let rows = rows(segment)
      try pass(segment).write(inputs.mapValues { $0.rows(rows, of: sequenceLength) })
    }
    func forward(_ segment: Int) throws {
      if !checkpoints.isEmpty { try write(segment) }
      pass(segment).segment = segment
      try pass(segment).forwardStates(dropoutSeed: dropoutSeed)
    }
    // Where every segment has memory of its own, the host waits for nothing further on.
    if checkpoints.isEmpty { for segment in 0..<segmentCount { try write(segment) } }
    for segment in 0..<segmentCount {
      let (run, place) = segment.quotientAndRemainder(dividingBy: keptCount)
      if place == 0, run < checkpoints.count { try states.copy(to: checkpoints[run]) }
      try forward(segment)
    }
    if let last { try states.copy(to: last) }
    for run in (0...checkpoints.count).reversed() {
      let segments = run * keptCount..<min((run + 1) * keptCount, segmentCount)
      if run < checkpoints.count {
        try checkpoints[run].copy(to: states)
        for segment in segments { try forward(segment) }
      }
      for segment in segments.reversed() {
        let isLast = segment == segmentCount - 1
        let pass = pass(segment)
        pass.lossDivisor = divisor
        try pass.forwardOutputs()
        try pass.backward(
          gradFinal: isLast ? nil : sums.gradStates[(segment + 1) % 2],
          gradInitial: segment == 0 ? nil : sums.gradStates[segment % 2])
        try gather(model.parameters.gradients, model.parameters.count, sums.gradients, isLast)
        if let loss = pass.lossBuffer { try gather(loss, 1, sums.loss, isLast) }
      }
    }
    try last?.copy(to: states)
    try backend.copy(
      sums.gradients, to: model.parameters.gradients, count: model.parameters.count)
  }

  /// States like `states`, zeros at first.
  package func makeStates() throws -> GraphStates<B> {
    try GraphStates(passes[0].program, backend: backend)
  }

  /// Where the loss that was queued last is.
  package var loss: B.Buffer? { sums?.loss ?? passes[0].lossBuffer }

  /// The loss that was queued last; waits for the device.
  public func readLoss() throws -> Double {
    guard let sums else { return try passes[0].loss() }
    return try backend.read(sums.loss, count: 1)[0]
  }

  private func gather(_ value: B.Buffer, _ count: Int, _ sum: B.Buffer, _ isFirst: Bool) throws {
    if isFirst {
      try backend.copy(value, to: sum, count: count)
    } else {
      try backend.add(value, to: sum, count: count)
    }
  }

  private func pass(_ segment: Int) -> GraphPass<B> {
    if segment == segmentCount - 1, let shortPass { return shortPass }
    return passes[segment % keptCount]
  }

  /// The steps of a segment.
  private func rows(_ segment: Int) -> Range<Int> {
    let first = segment * Self.segmentSteps
    return first..<min(first + Self.segmentSteps, sequenceLength)
  }
}

extension Graph {
  /// The shapes of the inputs for T steps of N sequences; throws where an axis is neither fixed nor `"T"` nor `"N"`.
  func shapes(sequenceLength: Int, batchSize: Int) throws(CarouselError) -> [String: Shape] {
    var result: [String: Shape] = [:]
    for input in inputs {
      var shape: [Int] = []
      for dimension in input.dimensions ?? [.unknown] {
        switch dimension {
        case "T": shape.append(sequenceLength)
        case "N": shape.append(batchSize)
        case .fixed(let extent): shape.append(extent)
        case .symbol, .unknown:
          throw CarouselError(
            .usage,
            "the input '\(input.name)' has the axis \(dimension), expected fixed ones, T and N")
        }
      }
      result[input.name] = Shape(shape)
    }
    return result
  }

  /// Whether a step depends on those before it through the states of recurrent stacks alone, and on none behind it,
  /// so that a window of time, the first axis of every input, may be computed in segments.
  var readsForward: Bool {
    inputs.allSatisfy { $0.dimensions?.first == "T" }
      && nodes.allSatisfy { node in
        switch node.operation {
        case .recurrent(let stack):
          stack.configuration.direction == .forward
            && node.inputs.dropFirst().allSatisfy { $0 == nil }
            && node.outputs.dropFirst().allSatisfy { $0 == nil }
        case .embedding, .linear, .unary, .dropout, .loss(.crossEntropy), .loss(.regression): true
        default: false
        }
      }
  }
}

extension GraphTensor {
  /// The rows `range` of the first axis, which has `count`.
  fileprivate func rows(_ range: Range<Int>, of count: Int) -> GraphTensor {
    let width = shape.count / max(count, 1)
    let extents = [range.count] + shape.dimensions.dropFirst()
    let part = values[range.lowerBound * width..<range.upperBound * width]
    return GraphTensor(Tensor(Shape(extents), Array(part)), type: type)
  }
}
