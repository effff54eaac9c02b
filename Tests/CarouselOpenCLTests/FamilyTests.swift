import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// Directions, lengths and the options of every cell, on both forms of the kernels.
@MainActor @Suite(.device)
struct FamilyTests {
  private func expectOptionsAgree(
    _ cell: Cell, _ options: CellOptions, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try options.validate(for: cell)
    for (hiddenSize, isReverse) in [(18, false), (36, true)] {
      let layer = RecurrentLayer(
        cell: cell, inputSize: 6, hiddenSize: hiddenSize, options: options, isReverse: isReverse)
      for lengths in [nil, [4, 0, 2, 1, 3] as [Int32]] {
        var work = LayerWork(layer, sequenceLength: 4, batchSize: 5, lengths: lengths)
        work.directions = isReverse ? 2 : 1
        try expectAgreement(work, sourceLocation: sourceLocation)
      }
    }
  }

  @Test(arguments: Cell.allCases, [false, true])
  func sequencesOfAnyLengthAgree(cell: Cell, isReverse: Bool) throws {
    var layer = RecurrentLayer(cell: cell, inputSize: 3, hiddenSize: 17)
    layer.isReverse = isReverse
    for lengths: [Int32] in [
      [5, 0, 3, 1, 5, 2, 4, 0, 5, 5, 1], [0, 0, 0], [1], [5, 5], [2, 2, 2, 2, 2, 2, 2, 2, 2],
    ] {
      for hasInitial in [true, false] {
        var work = LayerWork(layer, sequenceLength: 5, batchSize: lengths.count, lengths: lengths)
        work.hasInitial = hasInitial
        work.directions = hasInitial ? 2 : 1
        try expectAgreement(work)
      }
    }
  }

  @Test(
    arguments: Cell.allCases.filter { $0.has(.recurrence) },
    [Recurrence.dense, .diagonal, .blocks(2), .blocks(9)])
  func everyRecurrenceAgrees(cell: Cell, recurrence: Recurrence) throws {
    try expectOptionsAgree(cell, CellOptions(recurrence: recurrence))
  }

  /// Every function stands at one gate or another: a program is built for each mix.
  @Test(arguments: [
    (Cell.lstm, [Activation.Function.hardSigmoid, .softsign, .elu, .sigmoid, .scaledTanh]),
    (.lstm, [.softplus, .affine, .leakyRelu, .relu, .thresholdedRelu]),
    (.gru, [.hardSigmoid, .softsign, .elu]), (.rnn, [.relu]), (.mingru, [.hardSigmoid, .positive]),
    (.slstm, [.softsign, .hardSigmoid]),
  ])
  func everyActivationAgrees(cell: Cell, functions: [Activation.Function]) throws {
    var options = CellOptions()
    for (name, function) in zip(cell.activationNames, functions) {
      options.activations[name] = Activation(function, alpha: 0.7, beta: 0.3)
    }
    try expectOptionsAgree(cell, options)
  }

  @Test(arguments: [
    CellOptions(peepholes: true), CellOptions(forgetGate: .coupled, peepholes: true),
    CellOptions(forgetGate: .coupled, recurrence: .diagonal), CellOptions(forgetGate: .input),
    CellOptions(forgetGate: .output), CellOptions(forgetGate: .constant(0.9), peepholes: true),
    CellOptions(forgetGate: .constant(0.9)),
    CellOptions(forgetGate: .input, peepholes: true, cellClip: 0.05),
    CellOptions(peepholes: true, cellClip: 0.5),
  ])
  func everyForgetGateAgrees(options: CellOptions) throws {
    try expectOptionsAgree(.lstm, options)
  }

  @Test(arguments: [
    (Cell.lstm, ["input": 1.0, "output": 0.5]), (.lstm, ["forget": 0]), (.lstm, ["cell": -0.5]),
    (.gru, ["reset": 0]), (.gru, ["update": 0.25, "new": 1]), (.mingru, ["update": 0.25]),
    (.slstm, ["cell": 0.5]),
  ])
  func forcedGatesAgree(cell: Cell, overrides: [String: Double]) throws {
    try expectOptionsAgree(cell, CellOptions(overrides: overrides))
  }

  @Test(arguments: [
    (Cell.gru, CellOptions(gruReset: .before)),
    (.gru, CellOptions(bias: .single, recurrence: .diagonal, gruReset: .before)),
    (.gru, CellOptions(gruReset: .before, layerNorm: true, recurrentDropout: 0.5)),
    (.gru, CellOptions(recurrence: .diagonal, gruReset: .before, layerNorm: true)),
    (.gru, CellOptions(recurrence: .blocks(3), gruReset: .before, zoneoutHidden: 0.3)),
    (.lstm, CellOptions(projectionSize: 9)),
    (.lstm, CellOptions(bias: .none, peepholes: true, cellClip: 0.5, projectionSize: 1)),
    (
      .lstm,
      CellOptions(
        recurrence: .blocks(2), projectionSize: 16, layerNorm: true, recurrentDropout: 0.3,
        zoneoutHidden: 0.4, zoneoutCell: 0.3, dropConnect: 0.2)
    ),
    (.lstm, CellOptions(bias: .none, forgetGate: .coupled, layerNorm: true)),
    (
      .lstm,
      CellOptions(
        peepholes: true, cellClip: 0.4, recurrentDropout: 0.3, zoneoutHidden: 0.4, zoneoutCell: 0.3)
    ),
    (.lstm, CellOptions(peepholes: true, layerNorm: true, zoneoutCell: 0.3)),
    (.lstm, CellOptions(recurrence: .diagonal, layerNorm: true)),
    (.slstm, CellOptions(recurrence: .blocks(2), projectionSize: 8, zoneoutHidden: 0.3)),
    (.slstm, CellOptions(bias: .none, projectionSize: 9, layerNorm: true, dropConnect: 0.3)),
    (.mingru, CellOptions(bias: .none, zoneoutHidden: 0.3)),
  ])
  func everyMixAgrees(cell: Cell, options: CellOptions) throws {
    try expectOptionsAgree(cell, options)
  }

  @Test(
    arguments: Cell.allCases.filter { $0.traits.hasRecurrentWeights },
    [
      CellOptions(layerNorm: true), CellOptions(recurrentDropout: 0.5),
      CellOptions(zoneoutHidden: 0.5), CellOptions(dropConnect: 0.5),
      CellOptions(recurrence: .diagonal, recurrentDropout: 0.4, dropConnect: 0.3),
      CellOptions(recurrence: .blocks(2), recurrentDropout: 0.4, dropConnect: 0.3),
    ])
  func everyCellAgrees(cell: Cell, options: CellOptions) throws {
    try expectOptionsAgree(cell, options)
  }

  /// So many rows that the gradients of gains and biases are sums of several ranges.
  @Test func gainsOfManyRowsAgree() throws {
    let layer = RecurrentLayer(
      cell: .lstm, inputSize: 3, hiddenSize: 9, options: CellOptions(layerNorm: true))
    try expectAgreement(LayerWork(layer, sequenceLength: 30, batchSize: 7))
  }

  @Test(arguments: Cell.allCases) func withoutNoiseZoneoutIsItsExpectation(cell: Cell) throws {
    var layer = RecurrentLayer(cell: cell, inputSize: 3, hiddenSize: 20)
    layer.options = CellOptions(
      recurrentDropout: cell.has(.recurrentDropout) ? 0.5 : 0, zoneoutHidden: 0.25,
      zoneoutCell: cell.has(.zoneoutCell) ? 0.5 : 0)
    var work = LayerWork(layer, sequenceLength: 4, batchSize: 3, lengths: [4, 0, 2])
    work.noise = nil
    try expectAgreement(work)
  }

  @Test func aForcedGateNoLongerFollowsAnother() throws {
    try expectOptionsAgree(
      .lstm, CellOptions(forgetGate: .coupled, overrides: ["forget": 0.25]))
  }

  @Test(arguments: KernelForm.both) func zeroForgetGateClearsTheCell(form: KernelForm) throws {
    var layer = RecurrentLayer(cell: .lstm, inputSize: 3, hiddenSize: 20)
    layer.options.overrides = ["forget": 0, "input": 0]
    let final = try LayerWork(layer, sequenceLength: 2, batchSize: 3).forward(
      on: Machine.backend(form), training: true)
    #expect(final[2].allSatisfy { $0 == 0 })
  }

  @Test(arguments: Merge.allCases.filter { $0 != .concatenate })
  func everyMergeAgrees(merge: Merge) throws {
    for (rows, width) in [(1, 1), (3, 16), (5, 17), (2, 33)] {
      try expectAgreement(MergeWork(merge: merge, rows: rows, width: width))
    }
  }
}

/// The two directions of a bidirectional layer merged, forward and backward, and a sum.
struct MergeWork: Work {
  let merge: Merge
  let rows: Int
  let width: Int

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let count = rows * width
    let (a, b) = (
      try backend.input(numbers(count, stream: 1)), try backend.input(numbers(count, stream: 2))
    )
    let (y, gradA, gradB) = (
      try backend.output(count), try backend.output(count), try backend.output(count)
    )
    try backend.mergeForward(merge, a, b, into: y, rows: rows, width: width)
    try backend.mergeBackward(
      merge, gradY: backend.input(numbers(count, stream: 3)), a, b, gradA: gradA, gradB: gradB,
      rows: rows, width: width)
    try backend.add(b, to: a, count: count)
    return [
      try backend.outcome("y", y, count), try backend.outcome("grad_a", gradA, count),
      try backend.outcome("grad_b", gradB, count), try backend.outcome("sum", a, count),
    ]
  }
}
