/// A recurrent stack of a graph with its states, which the graph holds side by side, `[L·D, N, …]`.
final class GraphStack<B: Backend> {
  let stack: RecurrentStack<B>
  /// What the stack begins with and leaves its last states in, where these are handed from pass to pass.
  var carried: [RecurrentState<B.Buffer>]?
  private let backend: B
  private let training: Bool
  /// Memory for states that cannot be read or written where the graph has them.
  private let ownInitial: [RecurrentState<B.Buffer>], ownFinal: [RecurrentState<B.Buffer>]
  /// What the last `forward` read.
  private var initial: [RecurrentState<B.Buffer>] = []
  private let gradInitial: [RecurrentState<B.Buffer>], gradFinal: [RecurrentState<B.Buffer>]

  init(_ program: ProgramStack, store: ParameterStore<B>, training: Bool) throws {
    backend = store.backend
    self.training = training
    stack = try RecurrentStack(
      program.operation.configuration, store: store, prefix: program.operation.prefix,
      sequenceLength: program.sequenceLength, batchSize: program.batchSize, training: training)
    ownInitial = try stack.makeStates()
    ownFinal = try stack.makeStates()
    gradInitial = training ? try stack.makeStates() : []
    gradFinal = training ? try stack.makeStates() : []
  }

  /// `initial` are h₀ and c₀ where they are given, `final` where hₙ and cₙ go.
  func forward(
    x: B.Buffer, lengths: B.IndexBuffer?, initial given: [B.Buffer?], final wanted: [B.Buffer?],
    dropoutSeed: (seed: UInt64, step: Int)?, segment: Int
  ) throws {
    if carried == nil, let inPlace = try states(in: given) {
      initial = inPlace
    } else {
      initial = ownInitial
      try load(initial, from: given)
    }
    // The backward pass needs the states as they were before these are overwritten.
    if let carried, training { try stack.copy(carried, to: initial) }
    let first = carried.map { training ? initial : $0 } ?? (isGiven(given) ? initial : nil)
    let inPlace = carried == nil ? try states(in: wanted) : nil
    let final = carried ?? inPlace ?? (isGiven(wanted) ? ownFinal : nil)
    try stack.forward(
      x: x, lengths: lengths, initial: first, final: final, dropoutSeed: dropoutSeed,
      segment: segment)
    if inPlace == nil, let final { try store(final, to: wanted) }
  }

  /// The states in tensors `[L·D, N, …]`, one beside the other; nil where one is missing, or begins where no slice
  /// may.
  private func states(in tensors: [B.Buffer?]) throws -> [RecurrentState<B.Buffer>]? {
    guard isGiven(tensors) else { return nil }
    let given = tensors.compactMap(\.self)
    let sizes = counts(ownInitial[0]).map(\.count)
    guard given.count == sizes.count,
      ownInitial.count == 1 || sizes.allSatisfy({ $0.isMultiple(of: backend.sliceAlignment) })
    else { return nil }
    return try ownInitial.indices.map { unit in
      let parts = try zip(given, sizes).map { tensor, count in
        unit == 0 ? tensor : try backend.slice(tensor, offset: unit * count, count: count)
      }
      return RecurrentState(hidden: parts[0], memory: parts.count > 1 ? parts[1] : nil)
    }
  }

  /// `carried` are the gradients of the states that are handed from pass to pass: those of the last ones, which
  /// are added to `given`, and where those of the first ones go.
  func backward(
    x: B.Buffer, lengths: B.IndexBuffer?, isGiven: [Bool], gradY: B.Buffer,
    gradFinal given: [B.Buffer?], gradX: B.Buffer?, gradInitial wanted: [B.Buffer?],
    carried handed: (final: [RecurrentState<B.Buffer>]?, initial: [RecurrentState<B.Buffer>]?)?,
    dropoutSeed: (seed: UInt64, step: Int)?, segment: Int, layerIsDone: (Int) throws -> Void
  ) throws {
    try load(gradFinal, from: given)
    var last = self.isGiven(given) ? gradFinal : nil
    if let more = handed?.final {
      if last != nil { try add(more, to: gradFinal) } else { last = more }
    }
    let wantsInitial = wanted.contains { $0 != nil }
    try stack.backward(
      x: x, lengths: lengths, initial: carried != nil || isGiven.contains(true) ? initial : nil,
      gradY: gradY, gradFinal: last, gradX: gradX,
      gradInitial: wantsInitial ? gradInitial : handed?.initial, dropoutSeed: dropoutSeed,
      segment: segment, layerIsDone: layerIsDone)
    if wantsInitial { try store(gradInitial, to: wanted) }
  }

  private func isGiven(_ buffers: [B.Buffer?]) -> Bool { buffers.contains { $0 != nil } }

  /// The elements of h and of c of one layer and direction.
  private func counts(_ state: RecurrentState<B.Buffer>) -> [(buffer: B.Buffer, count: Int)] {
    let (sizes, sequences) = (stack.configuration, stack.batchSize)
    return [(state.hidden, sequences * sizes.stateSize)]
      + (state.memory.map { [($0, sequences * sizes.memorySize)] } ?? [])
  }

  private func add(
    _ source: [RecurrentState<B.Buffer>], to sums: [RecurrentState<B.Buffer>]
  ) throws {
    for (more, sum) in zip(source.flatMap(counts), sums.flatMap(counts)) {
      try backend.add(more.buffer, to: sum.buffer, count: sum.count)
    }
  }

  /// Copies the states out of tensors; those that are not given are zeros where some are.
  private func load(
    _ states: [RecurrentState<B.Buffer>], from tensors: [B.Buffer?]
  ) throws {
    guard isGiven(tensors) else { return }
    for (unit, state) in states.enumerated() {
      for (index, (buffer, count)) in counts(state).enumerated() {
        if index < tensors.count, let tensor = tensors[index] {
          try backend.copyView(
            tensor, StridedView(offset: unit * count, extents: [count], strides: [1]), to: buffer,
            StridedView([count]), accumulates: false)
        } else {
          try backend.fill(buffer, count: count, with: 0)
        }
      }
    }
  }

  private func store(
    _ states: [RecurrentState<B.Buffer>], to tensors: [B.Buffer?]
  ) throws {
    for (unit, state) in states.enumerated() {
      for (index, (buffer, count)) in counts(state).enumerated() where index < tensors.count {
        guard let tensor = tensors[index] else { continue }
        try backend.copyView(
          buffer, StridedView([count]), to: tensor,
          StridedView(offset: unit * count, extents: [count], strides: [1]), accumulates: false)
      }
    }
  }
}
