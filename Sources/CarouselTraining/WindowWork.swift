import CarouselModel

/// Windows of a text, or synthetic sequences, all of one size.
///
/// The data give K·N sequences for an update, which are computed N at a time; the states of each N are kept
/// from one window to the next.
final class WindowWork<B: Backend>: TrainingWork {
  private let pass: TrainingPass<B>
  private let data: any WindowData
  let unitsPerStep: Int
  /// The states that one step hands on to the next, of every N sequences.
  let states: [[RecurrentState<B.Buffer>]]
  private let sum: GradientSum<B>?

  init(_ pass: TrainingPass<B>, _ data: any WindowData, countsBytes: Bool) throws {
    (self.pass, self.data) = (pass, data)
    unitsPerStep = countsBytes ? data.sequenceLength * data.batchSize : data.batchSize
    let count = data.batchSize / pass.batchSize
    states = count > 1 ? try (0..<count).map { _ in try pass.makeStates() } : [pass.states]
    sum = count > 1 ? try GradientSum(pass.network.parameters) : nil
  }

  var epochSteps: Int { data.epochSteps }

  func queueGradients(step: Int, seed: UInt64) throws {
    let batch = try data.batch(step)
    guard let sum else {
      if batch.begins { try pass.resetStates() }
      return try pass.queueGradients(
        batch.input, batch.targets, dropoutSeed: (seed: seed, step: step))
    }
    let (count, all) = (batch.targets.count, data.batchSize)
    for (index, states) in states.enumerated() {
      let columns = index * pass.batchSize..<(index + 1) * pass.batchSize
      if batch.begins {
        try pass.resetStates()
      } else {
        try pass.copyStates(states, to: pass.states)
      }
      try pass.queueGradients(
        batch.input.sequences(columns, of: all, steps: data.sequenceLength),
        batch.targets.sequences(columns, of: all, steps: data.sequenceLength), count: count,
        dropoutSeed: (seed: seed, step: step * self.states.count + index))
      try pass.copyStates(pass.states, to: states)
      try sum.add(loss: pass.loss, isFirst: index == 0)
    }
    try sum.finish()
  }

  func readLoss() throws -> Double { try sum?.readLoss() ?? pass.readLoss() }
}

extension NetworkInput {
  /// The sequences `range` of `count` that are side by side over `steps`.
  fileprivate func sequences(_ range: Range<Int>, of count: Int, steps: Int) -> NetworkInput {
    switch self {
    case .tokens(let tokens): .tokens(tokens.sequences(range, of: count, steps: steps))
    case .features(let values): .features(values.sequences(range, of: count, steps: steps))
    }
  }
}

extension NetworkTargets {
  fileprivate func sequences(_ range: Range<Int>, of count: Int, steps: Int) -> NetworkTargets {
    switch self {
    case .classes(let classes): .classes(classes.sequences(range, of: count, steps: steps))
    case .values(let values, let counted):
      .values(
        values.sequences(range, of: count, steps: steps),
        counted: counted.sequences(range, of: count, steps: steps))
    }
  }
}

extension Array {
  /// The sequences `range` of an array `[T, count, …]`.
  fileprivate func sequences(_ range: Range<Int>, of count: Int, steps: Int) -> [Element] {
    let width = self.count / (count * steps)
    return (0..<steps).flatMap { step in
      self[(step * count + range.lowerBound) * width..<(step * count + range.upperBound) * width]
    }
  }
}
