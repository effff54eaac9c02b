/// Which storages of a program share memory.
///
/// A temporary one lives from the first instruction that names it to the last; each takes the smallest
/// memory that is free then and large enough. What a backward pass reads lives through the forward one.
struct GraphPlan {
  /// The place of each storage in `sizes`; nil for those with memory of their own.
  private(set) var places: [Int?]
  /// The elements of each shared memory.
  private(set) var sizes: [Int] = []

  init(_ program: GraphProgram) {
    let instructions = program.forward + program.updates + program.backward
    var last = [Int](repeating: -1, count: program.storages.count)
    for (time, instruction) in instructions.enumerated() {
      for storage in instruction.storages { last[storage] = time }
    }
    places = [Int?](repeating: nil, count: program.storages.count)
    var free: [Int] = []
    for (time, instruction) in instructions.enumerated() {
      let used = Set(instruction.storages).filter { program.storages[$0].isTemporary }.sorted()
      for storage in used where places[storage] == nil {
        places[storage] = take(program.storages[storage].count, from: &free)
      }
      for storage in used where last[storage] == time {
        if let place = places[storage] { free.append(place) }
      }
    }
  }

  private mutating func take(_ count: Int, from free: inout [Int]) -> Int {
    // Memory of a multiple of the size is left to what needs it.
    let fitting = free.indices.filter {
      sizes[free[$0]] >= count && sizes[free[$0]] <= 4 * count + 64
    }
    if let index = fitting.min(by: { sizes[free[$0]] < sizes[free[$1]] }) {
      return free.remove(at: index)
    }
    sizes.append(count)
    return sizes.count - 1
  }
}

extension ProgramStorage {
  /// Whether its memory serves others too.
  var isTemporary: Bool {
    if case .temporary = kind { true } else { false }
  }
}
