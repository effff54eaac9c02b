import CarouselModel

/// The gradients of several batches that make one update, added up in their order.
final class GradientSum<B: Backend> {
  private let store: ParameterStore<B>
  private let gradients: B.Buffer, loss: B.Buffer

  init(_ store: ParameterStore<B>) throws {
    self.store = store
    gradients = try store.backend.makeBuffer(count: store.count)
    loss = try store.backend.makeBuffer(count: 1)
  }

  /// Queues that what is in the store and `loss` is added; `isFirst` begins anew.
  func add(loss part: B.Buffer?, isFirst: Bool) throws {
    let backend = store.backend
    if isFirst {
      try backend.copy(store.gradients, to: gradients, count: store.count)
      if let part { try backend.copy(part, to: loss, count: 1) }
    } else {
      try backend.add(store.gradients, to: gradients, count: store.count)
      if let part { try backend.add(part, to: loss, count: 1) }
    }
  }

  /// Queues that the sum, times `scale`, takes the place of the gradients in the store.
  func finish(scale: Double = 1) throws {
    guard scale != 1 else {
      return try store.backend.copy(gradients, to: store.gradients, count: store.count)
    }
    try store.backend.elementwise(
      .unary(.affine(scale: scale, shift: 0)), [(gradients, StridedView([store.count]))],
      into: store.gradients, extents: [store.count])
  }

  /// The sum of the losses; waits for the device.
  func readLoss() throws -> Double { try store.backend.read(loss, count: 1)[0] }
}
