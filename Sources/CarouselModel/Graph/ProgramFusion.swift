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

// A convolution does itself what stands before and behind it: pads of zeros, an activation, a sum.
extension ProgramFusion {
  /// The place behind `index` of the first instruction that names a storage.
  private func next(_ storage: Int, after index: Int) -> Int? {
    instructions[(index + 1)...].firstIndex { $0?.storages.contains(storage) ?? false }
  }

  /// Whether an instruction between two places writes one of some storages.
  private func isWritten(_ storages: [Int], between first: Int, _ last: Int) -> Bool {
    instructions[(first + 1)..<last].contains {
      !Set($0?.written ?? []).isDisjoint(with: storages)
    }
  }

  /// The convolution at `index` and the place of the function of elements that alone reads its result.
  private func convolution(
    _ index: Int
  ) -> (convolution: ProgramConvolution, result: Int, reader: Int)? {
    guard case .convolve(let convolution, let result)? = instructions[index],
      storages[result].isTemporary, uses[result] == 2, convolution.added == nil,
      let reader = next(result, after: index),
      !isWritten(convolution.read, between: index, reader)
    else { return nil }
    return (convolution, result, reader)
  }

  /// Puts a convolution where the function that read its result was, and leaves that function out.
  private mutating func replace(
    _ index: Int, _ reader: Int, by convolution: ProgramConvolution, into y: Int
  ) {
    instructions[index] = nil
    instructions[reader] = .convolve(convolution, into: y)
    labels[reader] = ProgramLabel(
      node: labels[reader].node,
      operation: labels[index].operation + " + " + labels[reader].operation)
  }

  /// Joins a convolution with the activation of its result.
  mutating func activate(_ index: Int) {
    guard var found = convolution(index), found.convolution.operation.activation == .none,
      case .elementwise(let function, let inputs, let y, _)? = instructions[found.reader],
      let activation = function.activation, inputs[0].1.isContiguous,
      inputs[0].1.count == found.convolution.operation.outputCount
    else { return }
    found.convolution.operation.activation = activation
    replace(index, found.reader, by: found.convolution, into: y)
  }

  /// Joins a convolution with x·sigmoid(x) of its result x, as exporters write it.
  mutating func gate(_ index: Int) {
    guard case .convolve(var convolution, let result)? = instructions[index],
      storages[result].isTemporary, uses[result] == 3, convolution.added == nil,
      convolution.operation.activation == .none, let first = next(result, after: index),
      case .elementwise(.unary(.sigmoid), let inputs, let sigmoid, _)? = instructions[first],
      storages[sigmoid].isTemporary, uses[sigmoid] == 2,
      let second = next(result, after: first), second == next(sigmoid, after: first),
      case .elementwise(.binary(.multiply), let factors, let y, _)? = instructions[second],
      Set(factors.map(\.0)) == [result, sigmoid],
      !isWritten(convolution.read, between: index, second),
      (inputs + factors).allSatisfy({
        $0.1.isContiguous && $0.1.count == convolution.operation.outputCount
      })
    else { return }
    convolution.operation.activation = .silu
    labels[second] = ProgramLabel(
      node: labels[second].node,
      operation: labels[first].operation + " + " + labels[second].operation)
    instructions[first] = nil
    replace(index, second, by: convolution, into: y)
  }

  /// Joins a convolution with the sum of its result and another tensor.
  mutating func add(_ index: Int) {
    guard var found = convolution(index),
      case .elementwise(.binary(.add), let inputs, let y, _)? = instructions[found.reader],
      let added = inputs.map(\.0).first(where: { $0 != found.result }),
      inputs.allSatisfy({
        $0.1.isContiguous && $0.1.count == found.convolution.operation.outputCount
      })
    else { return }
    found.convolution.added = added
    replace(index, found.reader, by: found.convolution, into: y)
  }

  /// Has a convolution read where it lies what is copied into zeros for it alone; `index` is the place of these.
  mutating func readWithoutPads(_ index: Int) {
    guard case .fill(let padded, let count, with: 0)? = instructions[index],
      storages[padded].isTemporary, uses[padded] == 3, count == storages[padded].count,
      let copy = next(padded, after: index),
      case .copy(let x, let from, padded, let into, accumulates: false)? = instructions[copy],
      from.isContiguous, let reader = next(padded, after: copy),
      case .convolve(var convolution, let y)? = instructions[reader], convolution.x == padded,
      !convolution.operation.isAdjoint, !isWritten([x], between: copy, reader),
      let window = convolution.operation.window.unpadded(into)
    else { return }
    convolution.operation.window = window
    convolution.x = x
    (instructions[index], instructions[copy]) = (nil, nil)
    instructions[reader] = .convolve(convolution, into: y)
  }
}

extension Window {
  /// The same windows over what a view of the padded planes holds; nil where that is no part of each plane.
  fileprivate func unpadded(_ view: StridedView) -> Window? {
    // A sequence is a plane of one row.
    let isPlane = view.extents.count > 3 || input[0] > 1
    let axes = isPlane ? 2 : 1
    guard view.extents.count > axes, view.extents.dropLast(axes).reduce(1, *) == planes else {
      return nil
    }
    let inner = (isPlane ? [] : [1]) + view.extents.suffix(axes)
    let (top, left) = (view.offset / input[1], view.offset % input[1])
    let padded = StridedView.strides(of: view.extents.dropLast(axes) + input.suffix(axes))
    guard view.strides == padded, top + inner[0] <= input[0], left + inner[1] <= input[1] else {
      return nil
    }
    var result = self
    result.input = inner
    result.before = [before[0] + top, before[1] + left]
    return result
  }
}

extension ElementwiseFunction {
  /// The activation of a convolution that it is.
  fileprivate var activation: DirectConvolution.Activation? {
    guard case .unary(let function) = self else { return nil }
    return DirectConvolution.Activation.allCases.first { $0 != .none && $0.function == function }
  }
}
