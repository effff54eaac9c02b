/// Which storages of a program share memory.
///
/// A temporary one lives from the first instruction that names it, or a part of it, to the last; each takes the
/// smallest memory that is free then and large enough. What a backward pass reads lives through the forward one.
struct GraphPlan {
  /// The place of each storage in `sizes`; nil for those with memory of their own, and for parts of others.
  private(set) var places: [Int?]
  /// The elements of each shared memory.
  private(set) var sizes: [Int] = []
  /// Where each storage lies.
  let parts: [GraphParts.Place]
  /// What of the program is left to do, copies that are none left out.
  let forward: [(instruction: ProgramInstruction, label: ProgramLabel)]
  /// How many of these come first and change all states.
  let stateSteps: Int
  /// The same of the backward pass.
  let backward: [(instruction: ProgramInstruction, label: ProgramLabel)]

  /// Plans a program whose parts of memory begin at multiples of `alignment` elements.
  init(_ program: GraphProgram, alignment: Int) {
    let instructions = program.forward + program.updates + program.backward
    let found = GraphParts(instructions, storages: program.storages, alignment: alignment)
    parts = found.places
    func left(
      _ instructions: [ProgramInstruction], _ labels: [ProgramLabel], from first: Int
    ) -> [(ProgramInstruction, ProgramLabel)] {
      instructions.indices.filter { !found.copies.contains(first + $0) }.map {
        (instructions[$0], labels[$0])
      }
    }
    forward = left(program.forward, program.forwardLabels, from: 0)
    stateSteps = (0..<program.stateInstructions).count { !found.copies.contains($0) }
    backward = left(
      program.backward, program.backwardLabels, from: instructions.count - program.backward.count)
    var last = [Int](repeating: -1, count: program.storages.count)
    for (time, instruction) in instructions.enumerated() {
      for storage in instruction.storages { last[found.places[storage].storage] = time }
    }
    places = [Int?](repeating: nil, count: program.storages.count)
    var free: [Int] = []
    for (time, instruction) in instructions.enumerated() {
      let used = Set(instruction.storages.map { found.places[$0].storage })
        .filter { program.storages[$0].isTemporary }.sorted()
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

  /// Whether it is read after its pass.
  var isKept: Bool {
    if case .kept = kind { true } else { false }
  }
}
