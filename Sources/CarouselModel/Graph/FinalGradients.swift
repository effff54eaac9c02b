/// Keeps account, while a backward pass is queued, of which gradients in the parameters' store are final.
struct FinalGradients {
  /// Where each parameter begins in the store.
  private let offsets: [Int]
  private let places: [String: Int]
  /// How many instructions are still to write each gradient.
  private var writers: [Int]
  /// The first of the last parameters that are all final.
  private var first: Int

  /// Before the first instruction of a backward pass.
  init<B: Backend>(_ program: GraphProgram, _ store: ParameterStore<B>) {
    let names = store.descriptions.map(\.name)
    offsets = store.offsets
    places = Dictionary(zip(names, names.indices), uniquingKeysWith: { one, _ in one })
    writers = [Int](repeating: 0, count: names.count)
    first = names.count
    for name in program.backward.flatMap(program.gradients) {
      if let place = places[name] { writers[place] += 1 }
    }
  }

  /// Takes note that an instruction for these gradients is queued, and returns from which offset of the store on all
  /// are final; nil where they are from no earlier one than before.
  mutating func write(_ names: [String]) -> Int? {
    for name in names { if let place = places[name] { writers[place] -= 1 } }
    let before = first
    while first > 0, writers[first - 1] <= 0 { first -= 1 }
    return first < before ? offsets[first] : nil
  }
}

extension GraphProgram {
  /// The parameters whose gradients an instruction writes.
  func gradients(_ instruction: ProgramInstruction) -> [String] {
    if case .recurrentBackward(let work, _, _, _, _, _) = instruction {
      return stacks[work.stack].parameters.map(\.name)
    }
    return Set(instruction.written).sorted().compactMap { index in
      if case .parameterGradient(let name) = storages[index].kind { name } else { nil }
    }
  }
}

extension ProgramStack {
  /// The parameters of one layer under their names in the graph.
  func parameterNames(layer: Int) -> [String] {
    parameters.map(\.name).filter {
      $0.hasSuffix("_l\(layer)") || $0.hasSuffix("_l\(layer)_reverse")
    }
  }
}
