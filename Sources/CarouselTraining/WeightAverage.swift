import CarouselModel

/// An exponential moving average of a network's parameters, with which it is evaluated.
///
/// After update t, counted from 1, `a ← a + (1 − dₜ)·(θ − a)` with `dₜ = min(decay, t / (t + 9))`: the first
/// updates, whose parameters are far from any good ones, are soon forgotten (Polyak & Juditsky 1992 for the
/// average; the rising decay is TensorFlow's). It takes memory for the parameters twice, and two passes
/// over them an update.
final class WeightAverage<B: Backend> {
  private let store: ParameterStore<B>
  private let decay: Double
  private let values: B.Buffer
  /// The difference from the parameters, or the parameters while the average is in their place.
  private let scratch: B.Buffer
  private var backend: B { store.backend }

  /// Begins with the parameters as they are.
  init(_ store: ParameterStore<B>, decay: Double) throws {
    (self.store, self.decay) = (store, decay)
    values = try store.backend.makeBuffer(count: store.count)
    scratch = try store.backend.makeBuffer(count: store.count)
    try store.backend.copy(store.values, to: values, count: store.count)
  }

  /// Queues the average's step after update `step`, counted from 1.
  func queueStep(_ step: Int) throws {
    let view = StridedView([store.count])
    try backend.elementwise(
      .binary(.subtract), [(values, view), (store.values, view)], into: scratch,
      extents: [store.count])
    let kept = min(decay, Double(step) / Double(step + 9))
    // A step of gradient descent along the difference.
    try backend.optimize(
      .sgd(momentum: 0, weightDecay: 0), parameters: values, gradients: scratch, moments: [],
      count: store.count, learningRate: 1 - kept, gradientNorm: nil, maximumNorm: nil, step: step)
  }

  /// Computes with the average in place of the parameters, which are then as they were.
  func inPlace<Result>(_ body: () throws -> Result) throws -> Result {
    try backend.copy(store.values, to: scratch, count: store.count)
    try backend.copy(values, to: store.values, count: store.count)
    let result: Result
    do {
      result = try body()
    } catch {
      try? backend.copy(scratch, to: store.values, count: store.count)
      throw error
    }
    try backend.copy(scratch, to: store.values, count: store.count)
    return result
  }

  /// The average of each parameter NAME as `average.NAME`.
  func tensors() throws -> [(name: String, tensor: Tensor)] {
    try views.map { name, shape, view in (name, try backend.readTensor(view, shape)) }
  }

  /// Overwrites the average with what `tensors` gave.
  func load(_ checkpoint: Checkpoint) throws {
    try load { name, shape throws(CarouselError) in try checkpoint.tensor(name, shape: shape) }
  }

  /// The same from tensors by name and shape.
  func load(_ tensor: (String, Shape) throws -> Tensor) throws {
    for (name, shape, view) in try views { try backend.write(tensor(name, shape), to: view) }
  }

  private var views: [(name: String, shape: Shape, view: B.Buffer)] {
    get throws {
      try zip(store.descriptions, store.offsets).map { description, offset in
        (
          "average.\(description.name)", description.shape,
          try backend.slice(values, offset: offset, count: description.shape.count)
        )
      }
    }
  }
}
