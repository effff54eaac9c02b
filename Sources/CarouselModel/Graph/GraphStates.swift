/// The states of a graph's recurrent stacks, which one pass hands on to the next: zeros at first.
///
/// A pass that was made with states begins with them and leaves its last ones, so that sequences are read in
/// windows, or step by step. They are those of every stack whose first states the graph does not give itself, with
/// all that a cell has beside h. Passes of the same graph and the same N may share them, whatever their T is.
public final class GraphStates<B: Backend> {
  /// The states of each stack in the order of the graph's nodes, in PyTorch's order: from the bottom, forward before
  /// reverse.
  public let stacks: [[RecurrentState<B.Buffer>]]
  private let sizes: [(hidden: Int, memory: Int)]
  private let backend: B

  /// Allocates the states of a bound graph, zeros.
  public init(_ program: GraphProgram, backend: B) throws {
    self.backend = backend
    let stacks = program.carryingStacks.map { program.stacks[$0] }
    sizes = stacks.map { stack in
      let (configuration, N) = (stack.operation.configuration, stack.batchSize)
      return (N * configuration.stateSize, N * configuration.memorySize)
    }
    self.stacks = try zip(stacks, sizes).map { stack, size in
      try stack.operation.configuration.units.map { _ in
        RecurrentState(
          hidden: try backend.makeBuffer(count: size.hidden),
          memory: size.memory > 0 ? try backend.makeBuffer(count: size.memory) : nil)
      }
    }
  }

  /// Those of every stack, one behind the other.
  public var all: [RecurrentState<B.Buffer>] { stacks.flatMap(\.self) }

  /// Sets every state to zero: the next pass begins new sequences.
  public func reset() throws {
    for (states, size) in zip(stacks, sizes) {
      for state in states {
        try backend.fill(state.hidden, count: size.hidden, with: 0)
        if let memory = state.memory { try backend.fill(memory, count: size.memory, with: 0) }
      }
    }
  }

  /// Queues a copy to other states of the same graph and N.
  public func copy(to others: GraphStates) throws {
    for ((from, to), size) in zip(zip(stacks, others.stacks), sizes) {
      for (from, to) in zip(from, to) {
        try backend.copy(from.hidden, to: to.hidden, count: size.hidden)
        if let memory = from.memory, let other = to.memory {
          try backend.copy(memory, to: other, count: size.memory)
        }
      }
    }
  }

  /// Whether they are those of a bound graph: as many stacks, units and sequences.
  func fit(_ program: GraphProgram) -> Bool {
    let expected = program.carryingStacks.map { program.stacks[$0] }
    return expected.count == stacks.count
      && zip(zip(expected, stacks), sizes).allSatisfy { pair, size in
        let (configuration, N) = (pair.0.operation.configuration, pair.0.batchSize)
        return configuration.units.count == pair.1.count
          && size == (N * configuration.stateSize, N * configuration.memorySize)
      }
  }
}
