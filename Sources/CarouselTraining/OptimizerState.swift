import CarouselModel

/// An optimizer with what it keeps between steps.
final class OptimizerState<B: Backend> {
  private let optimizer: Optimizer
  private let store: ParameterStore<B>
  private let moments: [B.Buffer]
  private let norm: B.Buffer
  private let groups: [Group]
  private var backend: B { store.backend }

  /// Parameters that lie side by side and learn at a rate of their own.
  private struct Group {
    let values: B.Buffer, gradients: B.Buffer
    let moments: [B.Buffer]
    let count: Int
    let factor: Double
  }

  /// Allocates the moments, which are 0 at first.
  ///
  /// `factors` are those of the learning rate, one for each parameter; nil is 1 for all.
  init(_ optimizer: Optimizer, store: ParameterStore<B>, factors: [Double]? = nil) throws {
    self.optimizer = optimizer
    self.store = store
    moments = try (0..<optimizer.momentCount).map { _ in
      try store.backend.makeBuffer(count: store.count)
    }
    norm = try store.backend.makeBuffer(count: 1)
    guard let factors, let first = factors.first, factors.contains(where: { $0 != first }) else {
      groups = [
        Group(
          values: store.values, gradients: store.gradients, moments: moments, count: store.count,
          factor: factors?.first ?? 1)
      ]
      return
    }
    var begins = [0]
    for index in factors.indices.dropFirst() where factors[index] != factors[index - 1] {
      begins.append(index)
    }
    groups = try begins.enumerated().map { [moments] number, begin in
      let offset = store.offsets[begin]
      let next = number + 1 < begins.count ? store.offsets[begins[number + 1]] : store.count
      func slice(_ buffer: B.Buffer) throws -> B.Buffer {
        try store.backend.slice(buffer, offset: offset, count: next - offset)
      }
      return Group(
        values: try slice(store.values), gradients: try slice(store.gradients),
        moments: try moments.map(slice), count: next - offset, factor: factors[begin])
    }
  }

  /// Queues one step with the gradients that are in the store; `step` is 1 for the first.
  func queueStep(_ step: Int, learningRate: Double, clipNorm: Double?) throws {
    if clipNorm != nil {
      try backend.norm(of: store.gradients, count: store.count, into: norm)
    }
    for group in groups {
      try backend.optimize(
        optimizer, parameters: group.values, gradients: group.gradients, moments: group.moments,
        count: group.count, learningRate: learningRate * group.factor,
        gradientNorm: clipNorm == nil ? nil : norm, maximumNorm: clipNorm, step: step)
    }
  }

  /// The norm of the gradient before it was clipped in the last step; waits for the device.
  func readGradientNorm() throws -> Double { try backend.read(norm, count: 1)[0] }

  /// The moments, `optimizer.0.NAME` and `optimizer.1.NAME` for each parameter NAME.
  func tensors() throws -> [(name: String, tensor: Tensor)] {
    try parts.map { name, shape, part in (name, try backend.readTensor(part, shape)) }
  }

  /// Overwrites the moments with what `tensors` gave.
  func load(_ checkpoint: Checkpoint) throws {
    try load { name, shape throws(CarouselError) in try checkpoint.tensor(name, shape: shape) }
  }

  /// The same from tensors by name and shape.
  func load(_ tensor: (String, Shape) throws -> Tensor) throws {
    for (name, shape, part) in try parts { try backend.write(tensor(name, shape), to: part) }
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
