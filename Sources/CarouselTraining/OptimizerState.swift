import CarouselModel

/// An optimizer with what it keeps between steps.
///
/// With several ranks each may keep the moments of its own segment of the parameters alone, and update that; the
/// others send theirs. No bit depends on it, since an update changes each parameter by itself.
final class OptimizerState<B: Backend> {
  private let optimizer: Optimizer
  private let store: ParameterStore<B>
  private let ranks: any Communicator
  /// The parameters that this rank updates, and all ranks' in their order where each updates its own.
  private let own: Range<Int>, segments: [Range<Int>]?
  /// Of the parameters in `own`.
  private let moments: [B.Buffer]
  private let norm: B.Buffer
  /// The parameters in `own`.
  private let values: B.Buffer
  private let groups: [Group]
  private var backend: B { store.backend }
  /// What the ranks send to each other where each updates its own.
  private let sent = TransferMemory(), received = TransferMemory()

  /// Parameters that lie side by side and learn at a rate of their own.
  private struct Group {
    let values: B.Buffer, gradients: B.Buffer
    let moments: [B.Buffer]
    let count: Int
    let factor: Double
  }

  /// Allocates the moments, which are 0 at first.
  ///
  /// `factors` are those of the learning rate, one for each parameter; nil is 1 for all. With `isSharded` each of
  /// several ranks keeps its own share of the moments.
  init(
    _ optimizer: Optimizer, store: ParameterStore<B>, factors: [Double]? = nil,
    ranks: any Communicator = Alone(), isSharded: Bool = false
  ) throws {
    (self.optimizer, self.store, self.ranks) = (optimizer, store, ranks)
    let whole = 0..<store.count
    let segments =
      isSharded && ranks.count > 1
      ? whole.segments(ranks.count, alignment: store.backend.sliceAlignment) : nil
    let own = segments?[ranks.rank] ?? whole
    (self.own, self.segments) = (own, segments)
    moments = try (0..<optimizer.momentCount).map { _ in
      try store.backend.makeBuffer(count: max(own.count, 1))
    }
    norm = try store.backend.makeBuffer(count: 1)
    values = try Self.slice(store.values, own, of: store)
    guard let factors, let first = factors.first, factors.contains(where: { $0 != first }) else {
      groups = [
        Group(
          values: values,
          gradients: try Self.slice(store.gradients, own, of: store), moments: moments,
          count: own.count, factor: factors?.first ?? 1)
      ]
      return
    }
    var begins = [0]
    for index in factors.indices.dropFirst() where factors[index] != factors[index - 1] {
      begins.append(index)
    }
    groups = try begins.enumerated().map { [moments] number, begin in
      let next = number + 1 < begins.count ? store.offsets[begins[number + 1]] : store.count
      let range = (store.offsets[begin]..<next).clamped(to: own)
      return try Group(
        values: Self.slice(store.values, range, of: store),
        gradients: Self.slice(store.gradients, range, of: store),
        moments: range.isEmpty
          ? []
          : moments.map {
            try store.backend.slice(
              $0, offset: range.lowerBound - own.lowerBound, count: range.count)
          }, count: range.count, factor: factors[begin])
    }
  }

  /// A part of a buffer as large as the store; the buffer itself where that is all of it.
  private static func slice(
    _ buffer: B.Buffer, _ range: Range<Int>, of store: ParameterStore<B>
  ) throws -> B.Buffer {
    range == 0..<store.count || range.isEmpty
      ? buffer : try store.backend.slice(buffer, offset: range.lowerBound, count: range.count)
  }

  /// Queues one step with the gradients that are in the store; `step` is 1 for the first.
  func queueStep(_ step: Int, learningRate: Double, clipNorm: Double?) throws {
    if clipNorm != nil {
      try backend.norm(of: store.gradients, count: store.count, into: norm)
    }
    for group in groups where group.count > 0 {
      try backend.optimize(
        optimizer, parameters: group.values, gradients: group.gradients, moments: group.moments,
        count: group.count, learningRate: learningRate * group.factor,
        gradientNorm: clipNorm == nil ? nil : norm, maximumNorm: clipNorm, step: step)
    }
    if segments != nil { try backend.write(gatherBytes(values), to: store.values) }
  }

  /// The elements of all ranks' segments, of which this one's are in a buffer, as they lie in memory until the
  /// next call.
  private func gatherBytes(_ buffer: B.Buffer) throws -> UnsafeRawBufferPointer {
    let size = backend.elementType.byteCount
    let segments = segments ?? [own]
    sent.reserve(own.count * size)
    received.reserve(store.count * size)
    let (part, all) = (sent[0..<own.count * size], received[0..<store.count * size])
    if !own.isEmpty { try backend.readLater(buffer, into: part)() }
    try ranks.allGather(part, into: all, counts: segments.map { $0.count * size })
    return UnsafeRawBufferPointer(all.bytes)
  }

  /// The same as elements.
  private func gather(_ buffer: B.Buffer) throws -> Tensor.Elements {
    segments == nil
      ? try backend.readTensor(buffer, [own.count]).elements
      : Tensor.Elements(try gatherBytes(buffer), as: backend.elementType)
  }

  /// The norm of the gradient before it was clipped in the last step; waits for the device.
  func readGradientNorm() throws -> Double { try backend.read(norm, count: 1)[0] }

  /// The moments, `optimizer.0.NAME` and `optimizer.1.NAME` for each parameter NAME.
  ///
  /// Every rank has to ask where each keeps its own.
  func tensors() throws -> [(name: String, tensor: Tensor)] {
    var result: [(name: String, tensor: Tensor)] = []
    for (index, moment) in moments.enumerated() {
      let all = try gather(moment)
      for (description, offset) in zip(store.descriptions, store.offsets) {
        let elements = all.slice(offset..<offset + description.shape.count)
        result.append((name(index, description), Tensor(description.shape, elements)))
      }
    }
    return result
  }

  /// Overwrites the moments with what `tensors` gave.
  func load(_ checkpoint: Checkpoint) throws {
    try load { name, shape throws(CarouselError) in try checkpoint.tensor(name, shape: shape) }
  }

  /// The same from tensors by name and shape.
  func load(_ tensor: (String, Shape) throws -> Tensor) throws {
    for (index, moment) in moments.enumerated() {
      for (description, offset) in zip(store.descriptions, store.offsets) {
        let elements = try tensor(name(index, description), description.shape).elements
        let range = (offset..<offset + description.shape.count).clamped(to: own)
        guard !range.isEmpty else { continue }
        let slice = elements.slice(range.lowerBound - offset..<range.upperBound - offset)
        try backend.write(
          Tensor([range.count], slice),
          to: backend.slice(
            moment, offset: range.lowerBound - own.lowerBound, count: range.count))
      }
    }
  }

  private func name(_ moment: Int, _ description: ParameterDescription) -> String {
    "optimizer.\(moment).\(description.name)"
  }
}

extension Range<Int> {
  /// The range cut into `count` parts as equal as can be, which begin at multiples of `alignment` from the first
  /// on; some may be empty.
  func segments(_ count: Int, alignment: Int) -> [Range<Int>] {
    let units = (self.count + alignment - 1) / alignment
    func bound(_ part: Int) -> Int {
      Swift.min(lowerBound + part * units / count * alignment, upperBound)
    }
    return (0..<count).map { bound($0)..<bound($0 + 1) }
  }
}
