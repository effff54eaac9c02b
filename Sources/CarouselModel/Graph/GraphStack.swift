/// A recurrent stack of a graph with its states, which the graph holds side by side, `[L·D, N, …]`.
final class GraphStack<B: Backend> {
  let stack: RecurrentStack<B>
  private let backend: B
  private let initial: [RecurrentState<B.Buffer>], final: [RecurrentState<B.Buffer>]
  private let gradInitial: [RecurrentState<B.Buffer>], gradFinal: [RecurrentState<B.Buffer>]

  init(_ program: ProgramStack, store: ParameterStore<B>, training: Bool) throws {
    backend = store.backend
    stack = try RecurrentStack(
      program.operation.configuration, store: store, prefix: program.operation.prefix,
      sequenceLength: program.sequenceLength, batchSize: program.batchSize, training: training)
    initial = try stack.makeStates()
    final = try stack.makeStates()
    gradInitial = training ? try stack.makeStates() : []
    gradFinal = training ? try stack.makeStates() : []
  }

  /// `initial` are h₀ and c₀ where they are given, `final` where hₙ and cₙ go.
  func forward(
    x: B.Buffer, lengths: B.IndexBuffer?, initial given: [B.Buffer?], final wanted: [B.Buffer],
    dropoutSeed: (seed: UInt64, step: Int)?
  ) throws {
    try load(initial, from: given)
    try stack.forward(
      x: x, lengths: lengths, initial: isGiven(given) ? initial : nil, final: final,
      dropoutSeed: dropoutSeed)
    try store(final, to: wanted)
  }

  func backward(
    x: B.Buffer, lengths: B.IndexBuffer?, isGiven: [Bool], gradY: B.Buffer,
    gradFinal given: [B.Buffer?], gradX: B.Buffer?, gradInitial wanted: [B.Buffer?],
    dropoutSeed: (seed: UInt64, step: Int)?
  ) throws {
    try load(gradFinal, from: given)
    let wantsInitial = wanted.contains { $0 != nil }
    try stack.backward(
      x: x, lengths: lengths, initial: isGiven.contains(true) ? initial : nil, gradY: gradY,
      gradFinal: self.isGiven(given) ? gradFinal : nil, gradX: gradX,
      gradInitial: wantsInitial ? gradInitial : nil, dropoutSeed: dropoutSeed)
    if wantsInitial { try store(gradInitial, to: wanted) }
  }

  private func isGiven(_ buffers: [B.Buffer?]) -> Bool { buffers.contains { $0 != nil } }

  /// The elements of h and of c of one layer and direction.
  private func counts(_ state: RecurrentState<B.Buffer>) -> [(buffer: B.Buffer, count: Int)] {
    let (sizes, sequences) = (stack.configuration, stack.batchSize)
    return [(state.hidden, sequences * sizes.stateSize)]
      + (state.memory.map { [($0, sequences * sizes.memorySize)] } ?? [])
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
