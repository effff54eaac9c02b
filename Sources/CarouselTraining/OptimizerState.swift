import CarouselModel

/// An optimizer with what it keeps between steps.
final class OptimizerState<B: Backend> {
  private let optimizer: Optimizer
  private let store: ParameterStore<B>
  private let moments: [B.Buffer]
  private let norm: B.Buffer
  private var backend: B { store.backend }

  init(_ optimizer: Optimizer, store: ParameterStore<B>) throws {
    self.optimizer = optimizer
    self.store = store
    moments = try (0..<optimizer.momentCount).map { _ in
      try store.backend.makeBuffer(count: store.count)
    }
    norm = try store.backend.makeBuffer(count: 1)
  }

  /// Queues one step with the gradients that are in the store; `step` is 1 for the first.
  func queueStep(_ step: Int, learningRate: Double, clipNorm: Double?) throws {
    if clipNorm != nil {
      try backend.norm(of: store.gradients, count: store.count, into: norm)
    }
    try backend.optimize(
      optimizer, parameters: store.values, gradients: store.gradients, moments: moments,
      count: store.count, learningRate: learningRate,
      gradientNorm: clipNorm == nil ? nil : norm, maximumNorm: clipNorm, step: step)
  }

  /// The norm of the gradient before it was clipped in the last step; waits for the device.
  func readGradientNorm() throws -> Double { try backend.read(norm, count: 1)[0] }

  /// The moments, `optimizer.0.NAME` and `optimizer.1.NAME` for each parameter NAME.
  func tensors() throws -> [(name: String, tensor: Tensor)] {
    try parts.map { name, shape, part in (name, try backend.readTensor(part, shape)) }
  }

  /// Overwrites the moments with what `tensors` gave.
  func load(_ checkpoint: Checkpoint) throws {
    for (name, shape, part) in try parts {
      try backend.write(checkpoint.tensor(name, shape: shape), to: part)
    }
  }

  /// The moments of each parameter by their names.
  private var parts: [(name: String, shape: Shape, part: B.Buffer)] {
    get throws {
      try moments.enumerated().flatMap { index, moment in
        try zip(store.descriptions, store.offsets).map { description, offset in
          (
            "optimizer.\(index).\(description.name)", description.shape,
            try backend.slice(moment, offset: offset, count: description.shape.count)
          )
        }
      }
    }
  }
}
