// What looks along time, T first: recurrent stacks, pools over steps, and their masks.
extension GraphTracer {
  /// 1 for each step that a sequence has, else 0, `[T, N]`.
  func timeMask(
    _ lengths: Traced, sequenceLength: Int, batchSize: Int
  ) throws(CarouselError) -> Traced {
    let (T, N) = (sequenceLength, batchSize)
    guard lengths.shape == [N] else {
      throw failure("the lengths have the shape \(lengths.shape), expected [\(N)]")
    }
    return try hostResult(.bool, [T, N], from: [lengths]) { values in
      (0..<T * N).map { Double($0 / N) < values[0][$0 % N] ? 1 : 0 }
    }
  }

  func recurrent(
    _ recurrent: RecurrentOperator, _ x: Traced, lengths: Traced?, hidden: Traced?, cell: Traced?,
    parameters: Traced?
  ) throws(CarouselError) -> [Traced] {
    let configuration = recurrent.configuration
    try configuration.validate()
    guard x.shape.rank == 3, x.shape[2] == configuration.inputSize else {
      throw failure(
        "an input of shape \(x.shape) does not fit a layer that reads [T, N, \(configuration.inputSize)]"
      )
    }
    let (T, N) = (x.shape[0], x.shape[1])
    let units = configuration.layers * configuration.directions
    let states: [Shape] = [
      [units, N, configuration.stateSize], [units, N, configuration.hiddenSize],
    ]
    let given = [hidden, cell]
    for (state, shape) in zip(given, states) {
      if let state, state.shape != shape {
        throw failure("an initial state has the shape \(state.shape), expected \(shape)")
      }
    }
    if let lengths, lengths.shape != [N] {
      throw failure("the lengths have the shape \(lengths.shape), expected [\(N)]")
    }
    guard T > 0, N > 0 else {
      throw failure("a recurrent layer needs a step and a sequence, but its input is \(x.shape)")
    }
    let index = stacks.count
    let lengthIndex = try lengths.map { lengths throws(CarouselError) in try indexBuffer(lengths) }
    stacks.append(
      ProgramStack(
        operation: recurrent, sequenceLength: T, batchSize: N, lengths: lengthIndex))
    // Of several states beside h, as an sLSTM has them, none is handed on.
    let hasCell = configuration.cell.traits.memory.count == 1
    let inputs = [x, hidden, cell, parameters].compactMap(\.self)
    let y = tensor(
      .storage(
        newStorage(.recurrentOutput(index), count: T * N * configuration.outputSize)), x.type,
      [T, N, configuration.outputSize], needsGradient: inputs.contains(where: \.needsGradient))
    let final = (hasCell ? states : [states[0]]).map { result(x.type, $0, from: inputs) }
    let work = ProgramRecurrentWork(
      stack: index, x: storage(x), initial: given.map { $0.map(storage) },
      final: final.map(storage))
    emit(.recurrentForward(work, y: storage(y)))
    whenBackward([y] + final) { tracer, gradients in
      let gradX = x.needsGradient ? tracer.result(.float32, x.shape, from: []) : nil
      let gradStates = given.map { state in
        state.flatMap { $0.needsGradient ? tracer.result(.float32, $0.shape, from: []) : nil }
      }
      var gradY = gradients[0]
      if gradY == nil {
        let zeros = tracer.result(.float32, y.shape, from: [])
        tracer.emit(.fill(tracer.storage(zeros), count: zeros.shape.count, with: 0))
        gradY = zeros
      }
      guard let gradY else { return }
      tracer.emit(
        .recurrentBackward(
          work, y: tracer.storage(y), gradY: tracer.storage(gradY),
          gradFinal: gradients.dropFirst().map { $0.map(tracer.storage) },
          gradX: gradX.map(tracer.storage), gradInitial: gradStates.map { $0.map(tracer.storage) }))
      if let gradX { try tracer.addGradient(gradX, to: x) }
      for (state, gradient) in zip(given, gradStates) {
        if let state, let gradient { try tracer.addGradient(gradient, to: state) }
      }
    }
    return [y] + final
  }

  func timePool(
    _ pooling: TimePooling, _ x: Traced, lengths: Traced?, query: Traced?
  ) throws(CarouselError) -> Traced {
    guard x.shape.rank == 3, x.shape[0] > 0 else {
      throw failure("a pool over time needs an input [T, N, C], but it has the shape \(x.shape)")
    }
    let (T, N, C) = (x.shape[0], x.shape[1], x.shape[2])
    // The last step of all sequences is where it is.
    if pooling == .last, lengths == nil {
      return try alias(sliced(x, axis: 0, start: T - 1, count: 1), [N, C])
    }
    let lengths =
      lengths ?? constant(GraphTensor(wholeNumbers: [Int](repeating: T, count: N)))
    let mask = try timeMask(lengths, sequenceLength: T, batchSize: N)
    let steps = try alias(mask, [T, N, 1])
    switch pooling {
    case .last:
      let places = try hostResult(.int64, [N], from: [lengths]) { values in
        values[0].enumerated().map { $1 > 0 ? ($1 - 1) * Double(N) + Double($0) : -1 }
      }
      return try gatheredRows(x, places, into: [N, C], outer: 1, extent: T * N, inner: C)
    case .mean:
      let shares = try hostResult(.float32, [T, N, 1], from: [lengths]) { values in
        (0..<T * N).map { index in
          let length = values[0][index % N]
          return Double(index / N) < length ? 1 / length : 0
        }
      }
      return try reduce(
        .sum, masked(x, steps, by: shares), axes: [0], keepsDimensions: false)
    case .maximum:
      let largest = try reduced(
        .maximum, select(steps, x, constant(-.infinity)), axes: [0])
      // A sequence without a step has none.
      let has = try hostResult(.bool, [1, N, 1], from: [lengths]) { values in
        values[0].map { $0 > 0 ? 1 : 0 }
      }
      return try alias(select(has, largest, constant(0)), [N, C])
    case .attention:
      guard let query, query.shape == [C] else {
        throw failure("attention needs a query of shape [\(C)]")
      }
      let scale = UnaryFunction.affine(scale: 1 / Double(C).squareRoot(), shift: 0)
      let clean = try select(steps, x, constant(0))
      let scores = try unary(scale, matrixProduct(clean, alias(query, [C, 1])))
      // The least number instead of −∞: a sequence without a step gives no NaN, and then counts nothing.
      let low = try select(steps, scores, constant(-1e30))
      let shares = try softmax(alias(low, [T, N]), axis: 0, isLogarithm: false)
      let weighted = try binary(
        .multiply, clean, binary(.multiply, alias(shares, [T, N, 1]), steps))
      return try reduce(.sum, weighted, axes: [0], keepsDimensions: false)
    }
  }

  /// `x·shares`, 0 where the mask is, whatever x holds there.
  private func masked(
    _ x: Traced, _ mask: Traced, by shares: Traced
  ) throws(CarouselError) -> Traced {
    try select(mask, binary(.multiply, x, shares), constant(0))
  }

  /// Each sequence's steps in the reverse order, those past its end where they are.
  func reverseSequence(
    _ x: Traced, _ lengths: Traced, timeAxis: Int, batchAxis: Int
  ) throws(CarouselError) -> Traced {
    guard x.shape.rank >= 2, Set([timeAxis, batchAxis]) == [0, 1] else {
      throw failure(
        "sequences are reversed along the first two axes, not \(timeAxis), \(batchAxis)")
    }
    let (T, N) = (x.shape[timeAxis], x.shape[batchAxis])
    let isTimeFirst = timeAxis == 0
    guard lengths.shape == [N] else {
      throw failure("the lengths have the shape \(lengths.shape), expected [\(N)]")
    }
    let places = try hostResult(.int64, [T * N], from: [lengths]) { values in
      (0..<T * N).map { row in
        let (t, n) = isTimeFirst ? (row / N, row % N) : (row % T, row / T)
        let length = Int(values[0][n])
        let from = t < length ? length - 1 - t : t
        return Double(isTimeFirst ? from * N + n : n * T + from)
      }
    }
    let inner = T * N == 0 ? 0 : x.shape.count / (T * N)
    return try gatheredRows(x, places, into: x.shape, outer: 1, extent: T * N, inner: inner)
  }
}
