import CarouselModel

/// The memory that a network's training needs, in bytes of Float32.
public struct ParameterMemory: Hashable, Sendable, Encodable {
  /// T and N.
  public let steps: Int, batchSize: Int
  /// The parameters.
  public let weightBytes: Int
  /// What the recurrent layers keep for the backward pass: ∝ T·N.
  public let activationBytes: Int
  /// The two moments of Adam.
  public let optimizerBytes: Int

  /// Counts for `parameterCount` parameters, of which the recurrent ones are `configuration`'s, over T
  /// steps of N sequences.
  public init(
    _ configuration: RecurrentConfiguration, parameterCount: Int, steps: Int, batchSize: Int
  ) {
    let size = ElementType.float32.byteCount
    self.steps = steps
    self.batchSize = batchSize
    weightBytes = size * parameterCount
    activationBytes = size * steps * batchSize * configuration.activationsPerStep
    optimizerBytes = 2 * weightBytes
  }
}

extension RecurrentConfiguration {
  /// The numbers that the equations of the backward pass take from one step of one sequence.
  ///
  /// They are the input and, for each layer and direction, every gate, the states, and for the GRU the
  /// recurrent part of n. A device may keep fewer and compute them again.
  public var activationsPerStep: Int {
    let kept =
      switch cell {
      case .rnn: 1  // h
      case .gru: 5  // r, z, n, the recurrent part of n, h
      case .lstm: 6  // i, f, g, o, c, h
      }
    let merged = directions == 2 ? outputSize : 0
    return inputSize + layers * (kept * directions * hiddenSize + merged)
  }
}
