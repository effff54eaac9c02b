import CarouselModel
import CarouselReference
import Testing

@testable import CarouselOpenCL

@MainActor @Suite(.device)
struct RecurrentTests {
  static func layer(_ cell: Cell, _ inputSize: Int, _ hiddenSize: Int) -> RecurrentLayer {
    RecurrentLayer(cell: cell, inputSize: inputSize, hiddenSize: hiddenSize)
  }

  @Test(
    arguments: Cell.allCases,
    [
      (1, 1, 1, 1), (2, 1, 1, 1), (1, 2, 3, 5), (3, 2, 5, 15), (2, 3, 16, 16), (3, 17, 7, 17),
      (2, 5, 31, 31), (2, 9, 33, 33), (2, 4, 1, 63), (2, 2, 3, 65), (5, 16, 8, 32),
      (2, 33, 20, 31), (4, 7, 65, 3), (2, 1, 2, 64), (60, 3, 2, 5), (2, 67, 3, 4),
      // More steps times sequences than one pass of a product along k.
      (70, 16, 3, 4),
    ])
  func everyShapeAgrees(cell: Cell, _ sizes: (T: Int, N: Int, C: Int, H: Int)) throws {
    let layer = Self.layer(cell, sizes.C, sizes.H)
    try expectAgreement(LayerWork(layer, sequenceLength: sizes.T, batchSize: sizes.N))
  }

  static func small(_ cell: Cell) -> LayerWork {
    LayerWork(layer(cell, 6, 18), sequenceLength: 3, batchSize: 5)
  }

  /// Gates that are open or closed have a slope of 0, so that gradients are 0: all weights of a gate, one row
  /// of them for each unit, and whole tensors where a cell has no other gates.
  @Test(arguments: Cell.allCases, [0x1p10, 0x1p100])
  func saturatedGatesAreExact(cell: Cell, scale: Double) throws {
    var work = Self.small(cell)
    work.scale = scale
    let outcomes = try work.outcomes(on: ReferenceBackend())
    let gradWeights = try #require(outcomes.first { $0.name == "grad_weight_ih" }).values
    let zeroRows = stride(from: 0, to: gradWeights.count, by: work.layer.inputSize).filter {
      gradWeights[$0..<$0 + work.layer.inputSize].allSatisfy { $0 == 0 }
    }
    #expect(scale < 1e30 || zeroRows.count >= work.layer.hiddenSize)
    try expectAgreement(work)
  }

  @Test(arguments: Cell.allCases, BiasMode.allCases)
  func everyBiasModeAgrees(cell: Cell, bias: BiasMode) throws {
    var work = Self.small(cell)
    work.layer.options.bias = bias
    try expectAgreement(work)
  }

  @Test(arguments: [true, false], [true, false])
  func absentStatesAreZeros(hasInitial: Bool, hasGradFinal: Bool) throws {
    for (cell, sequenceLength) in [(Cell.lstm, 1), (.lstm, 3), (.gru, 1), (.gru, 3), (.rnn, 2)] {
      var work = Self.small(cell)
      work.sequenceLength = sequenceLength
      work.hasInitial = hasInitial
      work.hasGradFinal = hasGradFinal
      try expectAgreement(work)
    }
  }

  @Test(arguments: [true, false], [true, false])
  func gradientsAreLeftOutWhereNotWanted(wantsGradX: Bool, wantsGradInitial: Bool) throws {
    for cell in Cell.allCases {
      var work = Self.small(cell)
      work.wantsGradX = wantsGradX
      work.wantsGradInitial = wantsGradInitial
      try expectAgreement(work)
    }
  }

  @Test(arguments: Cell.allCases) func finalStatesMayOverwriteTheInitialOnes(cell: Cell) throws {
    for sequenceLength in [1, 4] {
      var work = Self.small(cell)
      work.sequenceLength = sequenceLength
      work.isFinalInitial = true
      try expectAgreement(work)
    }
  }

  @Test(arguments: Cell.allCases) func aReserveCanBeUsedAgain(cell: Cell) throws {
    var work = Self.small(cell)
    work.passes = 2
    try expectAgreement(work)
  }

  /// Few sequences of wide layers: the units are shared out, and the shares wait for each other.
  @Test(arguments: Cell.allCases, [1, 5])
  func unitsSharedOutHaveTheSameBitsWhoeverComputesThem(cell: Cell, batchSize: Int) throws {
    for isReverse in [false, true] {
      let layer = Self.layer(cell, 9, cell == .rnn ? 230 : 140)
      var work = LayerWork(layer, sequenceLength: 12, batchSize: batchSize)
      work.layer.isReverse = isReverse
      work.directions = batchSize > 1 ? 2 : 1
      if batchSize > 1 { work.lengths = [12, 0, 3, 12, 7] }
      try expectAgreement(work)
      let patient = try work.outcomes(on: Machine.newBackend(.cpu))
      let impatient = try Machine.newBackend(.cpu)
      impatient.launcher.splitPolls = 0
      for _ in 0..<2 {
        for (left, right) in zip(patient, try work.outcomes(on: impatient)) {
          #expect(left.values == right.values, "\(cell) \(left.name)")
        }
      }
    }
  }

  /// With FP16 a layer computes as with weights that were numbers of FP16 before, bit for bit.
  ///
  /// As long as the weights stay in the caches either way. Units shared out, slices, and layers of rows.
  @Test(arguments: [
    (Cell.lstm, CellOptions()), (.gru, CellOptions()), (.rnn, CellOptions(recurrence: .blocks(5))),
    (.lstm, CellOptions(projectionSize: 11, layerNorm: true)),
    (.gru, CellOptions(gruReset: .before)),
  ])
  func halfPrecisionRoundsTheWeightsAlone(cell: Cell, options: CellOptions) throws {
    let half = try Machine.backend(.cpu, .fp16)
    for (batchSize, hiddenSize) in [(1, 140), (13, 35)] {
      let layer = RecurrentLayer(
        cell: cell, inputSize: 9, hiddenSize: hiddenSize, options: options)
      var work = LayerWork(layer, sequenceLength: 4, batchSize: batchSize)
      let rounding = try work.outcomes(on: half)
      let unrounded = try work.outcomes(on: Machine.backend(.cpu))
      work.hasHalfWeights = true
      let rounded = try work.outcomes(on: Machine.backend(.cpu))
      #expect(rounding.map(\.values) == rounded.map(\.values), "N \(batchSize), H \(hiddenSize)")
      #expect(rounding[0].values != unrounded[0].values)
    }
  }

  /// Slices of eight sequences and more, of any lengths.
  @Test(arguments: Cell.allCases, [false, true])
  func lengthsInAnyOrderAgreeInWideBatches(cell: Cell, isReverse: Bool) throws {
    for hasInitial in [true, false] {
      var work = LayerWork(Self.layer(cell, 5, 33), sequenceLength: 7, batchSize: 37)
      work.layer.isReverse = isReverse
      work.hasInitial = hasInitial
      work.directions = hasInitial ? 2 : 1
      work.lengths = (0..<37).map { Int32($0 * 5 % 8) }
      try expectAgreement(work)
    }
  }

  /// Rows of y or of gates that are a multiple of 2048 bytes apart, which CPU devices lay otherwise.
  @Test(arguments: [
    (Cell.lstm, 512, 1, 18), (.rnn, 512, 1, 18), (.gru, 256, 2, 18), (.lstm, 128, 1, 9),
    (.rnn, 256, 2, 140),
  ])
  func rowsThatMeetInACacheAgree(
    cell: Cell, hiddenSize: Int, directions: Int, batchSize: Int
  ) throws {
    for (dropout, hasLengths) in [(0.0, false), (0.3, true)] {
      var layer = Self.layer(cell, 5, hiddenSize)
      layer.isReverse = directions == 2
      layer.options.recurrentDropout = dropout
      var work = LayerWork(layer, sequenceLength: 2, batchSize: batchSize)
      work.directions = directions
      work.hasInitial = !hasLengths
      if hasLengths { work.lengths = (0..<batchSize).map { Int32($0 * 5 % 3) } }
      try expectAgreement(work)
    }
  }

  /// Nothing to sum for the gradients of weights.
  @Test(arguments: Cell.allCases) func sequencesWithoutStepsHaveNoGradients(cell: Cell) throws {
    for batchSize in [2, 16] {
      var work = LayerWork(Self.layer(cell, 5, 9), sequenceLength: 3, batchSize: batchSize)
      work.lengths = [Int32](repeating: 0, count: batchSize)
      try expectAgreement(work)
      for outcome in try work.outcomes(on: Machine.backend(.cpu))
      where outcome.name.hasPrefix("grad_weight") || outcome.name.hasPrefix("grad_bias") {
        #expect(outcome.values.allSatisfy { $0 == 0 }, "\(outcome.name)")
      }
    }
  }

  @Test(arguments: KernelForm.both)
  func inferenceComputesTheSameBitsAsTraining(form: KernelForm) throws {
    let backend = try Machine.backend(form)
    for (cell, sequenceLength) in [(Cell.lstm, 1), (.lstm, 2), (.lstm, 5), (.gru, 3), (.rnn, 3)] {
      for isReverse in [false, true] {
        var work = Self.small(cell)
        work.sequenceLength = sequenceLength
        work.layer.isReverse = isReverse
        let kept = try work.forward(on: backend, training: true)
        #expect(kept.allSatisfy { $0.allSatisfy { $0.isFinite } })
        #expect(try work.forward(on: backend, training: false) == kept)
      }
    }
  }

  @Test(arguments: KernelForm.both, Cell.allCases)
  func aNaNSpoilsItsSequenceFromItsStepOn(form: KernelForm, cell: Cell) throws {
    let work = Self.small(cell)
    let (T, N, H) = (work.sequenceLength, work.batchSize, work.layer.hiddenSize)
    var x = numbers(work.inputCount, stream: 20)
    x[(1 * N + 2) * work.layer.inputSize + 3] = .nan
    let y = try work.forward(on: Machine.backend(form), training: true, x: x)[0]
    for t in 0..<T {
      for n in 0..<N {
        let row = y[((t * N + n) * H)..<((t * N + n + 1) * H)]
        #expect(row.allSatisfy { $0.isNaN == (n == 2 && t >= 1) }, "t \(t), n \(n)")
      }
    }
  }

  @Test(arguments: KernelForm.both)
  func aNaNInARecurrentWeightReachesItsUnit(form: KernelForm) throws {
    let (backend, work) = (try Machine.backend(form), Self.small(.lstm))
    let hiddenSize = work.layer.hiddenSize
    let parameters = try work.parameters(on: backend)
    var weights = numbers(work.layer.gateRows * hiddenSize, stream: 2, scale: 0.125)
    let unit = 17
    weights[unit * hiddenSize + 4] = .nan
    try backend.write(weights, to: #require(parameters.weightHH))
    let y = try work.forward(on: backend, training: true, parameters: parameters)[0]
    let first = y[..<(work.batchSize * hiddenSize)]
    #expect(first.indices.allSatisfy { first[$0].isNaN == ($0 % hiddenSize == unit) })
    #expect(y[(work.batchSize * hiddenSize)...].allSatisfy { $0.isNaN })
  }

  @Test(arguments: KernelForm.both, Cell.allCases)
  func saturatedGatesStayFinite(form: KernelForm, cell: Cell) throws {
    let (backend, work) = (try Machine.backend(form), Self.small(cell))
    let x = numbers(work.inputCount, stream: 20, scale: 0x1p20)
    let actual = try work.forward(on: backend, training: true, x: x)
    let expected = try work.forward(on: ReferenceBackend(), training: true, x: x)
    for (a, r) in zip(actual, expected) { #expect(nrms(a, r) <= 80 * 0x1p-23) }
  }
}
