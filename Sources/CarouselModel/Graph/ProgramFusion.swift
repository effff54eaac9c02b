/// Joins functions of elements: where one alone reads what another wrote, both become one instruction, and what
/// was between them needs neither memory nor a launch.
///
/// A function of another's result is joined with it where both count through the same elements, where the two
/// read at most four tensors together, and where nothing else reads the result. So a training pass joins
/// only what its backward pass does not read. A function of a copy reads what was copied where it lies.
struct ProgramFusion {
  var instructions: [ProgramInstruction?]
  var labels: [ProgramLabel]
  let storages: [ProgramStorage]
  /// How many instructions of all lists name a storage.
  private(set) var uses: [Int]

  /// Joins the instructions of one list; `others` are the lists that are run too.
  static func fused(
    _ instructions: [ProgramInstruction], _ labels: [ProgramLabel],
    beside others: [ProgramInstruction],
    storages: [ProgramStorage]
  ) -> ([ProgramInstruction], [ProgramLabel]) {
    var uses = [Int](repeating: 0, count: storages.count)
    for instruction in instructions + others {
      for storage in Set(instruction.storages) { uses[storage] += 1 }
    }
    var fusion = ProgramFusion(
      instructions: instructions, labels: labels, storages: storages, uses: uses)
    for index in instructions.indices { fusion.readWithoutPads(index) }
    for index in instructions.indices { fusion.activate(index) }
    for index in instructions.indices { fusion.gate(index) }
    for index in instructions.indices { fusion.add(index) }
    for index in instructions.indices { fusion.joinWithReader(index) }
    let kept = instructions.indices.filter { fusion.instructions[$0] != nil }
    return (kept.compactMap { fusion.instructions[$0] }, kept.map { fusion.labels[$0] })
  }

  /// Joins an instruction with the one that reads its result, where that may be.
  private mutating func joinWithReader(_ index: Int) {
    guard let (function, inputs, result, extents) = instructions[index]?.function,
      storages[result].isTemporary, uses[result] == 2,
      let readerIndex = instructions[(index + 1)...].firstIndex(where: {
        $0?.storages.contains(result) ?? false
      }),
      case .elementwise(let reader, let readInputs, let y, let readExtents)? = instructions[
        readerIndex],
      y != result, (function?.stepCount ?? 0) + reader.stepCount <= ElementwiseChain.maximumSteps
    else { return }
    // All inputs of both, each once.
    var all: [(storage: Int, view: StridedView)] = []
    func place(of input: (storage: Int, view: StridedView)) -> Int {
      if let known = all.firstIndex(where: { $0 == input }) { return known }
      all.append(input)
      return all.count - 1
    }
    var operands: [Int] = []
    for (storage, view) in inputs {
      guard let view = view.counted(as: readExtents, from: extents) else { return }
      operands.append(place(of: (storage, view)))
    }
    var next: [Int?] = []
    for (storage, view) in readInputs {
      guard storage == result else {
        next.append(place(of: (storage, view)))
        continue
      }
      guard view.isContiguous, view.count == extents.reduce(1, *) else { return }
      next.append(function == nil ? operands[0] : nil)
    }
    let between = instructions[(index + 1)..<readerIndex].compactMap(\.self)
    guard all.count <= ElementwiseChain.maximumInputs,
      !between.contains(where: { instruction in
        inputs.contains { instruction.written.contains($0.0) }
      })
    else { return }
    let joined: ElementwiseFunction
    if let function {
      joined = .chain(
        function.followed(by: reader, operands: operands, next: next, inputCount: all.count))
    } else if next.compactMap(\.self) == Array(all.indices) {
      joined = reader
    } else {
      joined = .chain(reader.reading(next.compactMap(\.self), inputCount: all.count))
    }
    instructions[index] = nil
    instructions[readerIndex] = .elementwise(
      joined, all.map { ($0.storage, $0.view) }, into: y, extents: readExtents)
    // Two instructions that read an input are one now.
    for storage in Set(inputs.map(\.0)).intersection(readInputs.map(\.0)) { uses[storage] -= 1 }
    guard function != nil else { return }
    labels[readerIndex] = ProgramLabel(
      node: labels[readerIndex].node,
      operation: labels[index].operation + " + " + labels[readerIndex].operation)
  }
}

extension ProgramInstruction {
  /// What a function of elements is made of; of a copy into all of a storage, without a function.
  fileprivate var function:
    (ElementwiseFunction?, inputs: [(Int, StridedView)], result: Int, extents: [Int])?
  {
    switch self {
    case .elementwise(let function, let inputs, let result, let extents):
      (function, inputs, result, extents)
    case .copy(let x, let from, let y, let into, accumulates: false) where into.isContiguous:
      (nil, [(x, from)], y, from.extents)
    default: nil
    }
  }
}

extension StridedView {
  /// Whether its elements follow each other without a gap from the first place on.
  var isContiguous: Bool {
    let own = Self.strides(of: extents)
    return offset == 0
      && extents.indices.allSatisfy { extents[$0] == 1 || strides[$0] == own[$0] }
  }

  /// The same elements in the same order, counted by other extents; nil where no strides say that.
  fileprivate func counted(as other: [Int], from extents: [Int]) -> StridedView? {
    if other == extents { return self }
    guard other.reduce(1, *) == count else { return nil }
    if isContiguous { return StridedView(Shape(other)) }
    if extents.indices.allSatisfy({ extents[$0] == 1 || strides[$0] == 0 }) {
      return StridedView(
        offset: offset, extents: other, strides: [Int](repeating: 0, count: other.count))
    }
    return nil
  }
}
