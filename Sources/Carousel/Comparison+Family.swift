import CarouselModel

extension ComparisonCases {
  /// Recurrent layers of one size that touch every option at least twice.
  ///
  /// Every other case has sequences of different lengths, in no order, one of them 0 and one T.
  static func family(
    sequenceLength: Int, batchSize: Int, inputSize: Int, hiddenSize: Int
  ) -> [any ComparisonCase] {
    // The blocks of a recurrence, and the size of a projection: the smallest divisor above 1.
    let blocks = (2...hiddenSize).first { hiddenSize.isMultiple(of: $0) } ?? 1
    var variants =
      rnnVariants(blocks) + gruVariants(blocks) + lstmVariants(blocks) + mixedVariants(blocks)
      + cellsOfTheTable.flatMap { cell in
        let options = tableVariants(cell, blocks)
        return options + options.map { $0.walking(.bidirectional).stacked(2) }
          + [
            Variant(cell).stacked(2, dropout: 0.3), Variant(cell).walking(.reverse).stacked(2),
            Variant(cell).walking(.bidirectional, .average),
          ]
          // A cell without a recurrence has little that touches the way back.
          + (cell.has(.recurrence)
            ? [] : [0.2, 0.4].map { Variant(cell, [:], CellOptions(zoneoutHidden: $0)) })
      }
    variants += optionsWithout(variants)
    return variants.enumerated().map { index, variant in
      var work = variant.comparison(
        sequenceLength: sequenceLength, batchSize: batchSize, inputSize: inputSize,
        hiddenSize: hiddenSize)
      if index % 2 == 0 { work.lengths = lengths(count: batchSize, sequenceLength: sequenceLength) }
      work.givenStates = index % 3 != 2
      work.finalGradients = index % 7 != 6
      work.training = index % 5 != 3
      return work
    }
  }

  /// The cells that have no list of their own here: what is compared of them, the table says.
  static var cellsOfTheTable: [Cell] { Cell.allCases.filter { ![.rnn, .lstm, .gru].contains($0) } }

  /// Every option that a cell has, in few layers.
  static func tableVariants(_ cell: Cell, _ blocks: Int) -> [Variant] {
    let has = cell.has
    var results = [
      Variant(
        cell, [:],
        CellOptions(
          recurrence: has(.recurrence) ? .diagonal : .dense,
          recurrentDropout: has(.recurrentDropout) ? 0.3 : 0, zoneoutHidden: 0.3)
      ).walking(.reverse)
    ]
    if has(.recurrence) {
      results.append(
        Variant(
          cell, [:],
          CellOptions(
            recurrence: .blocks(blocks), layerNorm: has(.layerNorm),
            dropConnect: has(.dropConnect) ? 0.3 : 0)))
    }
    if has(.projectionSize) {
      results.append(Variant(cell, [:], CellOptions(bias: .single, projectionSize: blocks)))
    }
    // What no state is multiplied with may be as large as it likes.
    let free = cell.activationNames.filter { ["hidden", "cell", "new"].contains($0) }
    results += cell.holdableGates.map { gate in
      let activations = free.filter { $0 != gate }.map { ($0, Activation(.positive)) }
      return Variant(
        cell, Dictionary(uniqueKeysWithValues: activations), CellOptions(overrides: [gate: 0.4]))
    }
    return results
  }

  /// The options that none of the layers has, for every cell that has them, in every direction.
  static func optionsWithout(_ variants: [Variant]) -> [Variant] {
    // A forget bias is no part of an equation: it says what a parameter begins as.
    let touched = Set(variants.flatMap(\.options.used)).union([.forgetBias])
    return CellOption.allCases.filter { !touched.contains($0) }.flatMap { option in
      Cell.allCases.filter { $0.has(option) }.flatMap { cell in
        var options = CellOptions()
        option.setSample(in: &options)
        return Direction.allCases.map { Variant(cell, [:], options).walking($0) }
      }
    }
  }

  /// Lengths in no order, with 0 and T among them where there are three or more.
  static func lengths(count: Int, sequenceLength: Int) -> [Int] {
    (0..<count).map {
      [(sequenceLength + 1) / 2, 0, sequenceLength, 1, sequenceLength * 3 / 4][$0 % 5]
    }
  }

  /// Layers without their sizes.
  struct Variant {
    var cell: Cell
    var options = CellOptions()
    var layers = 1
    var direction = Direction.forward
    var merge = Merge.concatenate
    var dropout = 0.0

    /// The cell with activations, or with whatever else its options say.
    init(_ cell: Cell, _ activations: [String: Activation] = [:], _ options: CellOptions = .init())
    {
      self.cell = cell
      self.options = options
      if !activations.isEmpty { self.options.activations = activations }
    }

    /// A training pass of the layers, all that it can be given being given.
    func comparison(
      sequenceLength: Int, batchSize: Int, inputSize: Int, hiddenSize: Int
    ) -> RecurrentComparison {
      var configuration = RecurrentConfiguration(
        cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layers: layers, options: options,
        dropout: dropout)
      (configuration.direction, configuration.merge) = (direction, merge)
      return RecurrentComparison(
        configuration, sequenceLength: sequenceLength, batchSize: batchSize)
    }

    /// The variant in another direction.
    func walking(_ direction: Direction, _ merge: Merge = .concatenate) -> Variant {
      var result = self
      (result.direction, result.merge) = (direction, merge)
      return result
    }

    /// The variant with more layers.
    func stacked(_ layers: Int, dropout: Double = 0) -> Variant {
      var result = self
      (result.layers, result.dropout) = (layers, dropout)
      return result
    }
  }

  private static func rnnVariants(_ blocks: Int) -> [Variant] {
    [
      Variant(.rnn, ["hidden": Activation(.relu)]).walking(.bidirectional).stacked(2),
      Variant(.rnn, ["hidden": Activation(.relu)], CellOptions(recurrence: .diagonal)).stacked(2),
      Variant(.rnn, ["hidden": Activation(.leakyRelu, alpha: 0.1)], CellOptions(bias: .none))
        .walking(.reverse),
      Variant(.rnn, ["hidden": Activation(.softsign)]).walking(.bidirectional, .sum)
        .stacked(2, dropout: 0.3),
      Variant(.rnn, ["hidden": Activation(.elu, alpha: 0.5)]).walking(.bidirectional, .average),
      Variant(.rnn, ["hidden": Activation(.thresholdedRelu, alpha: 0.3)]).walking(.reverse)
        .stacked(2),
      Variant(.rnn, ["hidden": Activation(.scaledTanh, alpha: 1.5, beta: 0.7)]),
      Variant(.rnn, ["hidden": Activation(.hardSigmoid)], CellOptions(bias: .single)),
      Variant(.rnn, ["hidden": Activation(.affine, alpha: 0.6, beta: 0.1)])
        .walking(.bidirectional, .multiply).stacked(2),
      Variant(.rnn, ["hidden": Activation(.softplus)]),
      Variant(.rnn, ["hidden": Activation(.sigmoid)], CellOptions(recurrence: .diagonal)),
      Variant(.rnn).stacked(3, dropout: 0.4),
      Variant(.rnn, [:], CellOptions(layerNorm: true)).stacked(2),
      Variant(.rnn, [:], CellOptions(recurrence: .blocks(blocks), zoneoutHidden: 0.3))
        .walking(.reverse),
      Variant(.rnn, [:], CellOptions(recurrentDropout: 0.3, dropConnect: 0.4)).stacked(2),
    ]
  }

  private static func gruVariants(_ blocks: Int) -> [Variant] {
    [
      Variant(.gru).stacked(2),
      Variant(.gru).walking(.bidirectional, .multiply).stacked(2, dropout: 0.2),
      Variant(.gru, [:], CellOptions(bias: .single, recurrence: .diagonal)),
      Variant(.gru, [:], CellOptions(bias: .none, recurrence: .diagonal))
        .walking(.bidirectional),
      Variant(.gru, ["reset": Activation(.hardSigmoid), "new": Activation(.softsign)])
        .walking(.reverse),
      Variant(
        .gru,
        [
          "reset": Activation(.softplus), "new": Activation(.leakyRelu),
          "update": Activation(.hardSigmoid, alpha: 0.3, beta: 0.4),
        ]),
      Variant(.gru, ["new": Activation(.thresholdedRelu, alpha: 0.2), "update": Activation(.elu)]),
      Variant(.gru, [:], CellOptions(overrides: ["update": 0.5, "reset": 1])).stacked(2),
      Variant(.gru, [:], CellOptions(overrides: ["update": 0])),
      Variant(.gru, [:], CellOptions(overrides: ["reset": 0, "new": 0.3])),
      Variant(.gru, [:], CellOptions(overrides: ["new": -0.4])).walking(.reverse),
      Variant(.gru, [:], CellOptions(gruReset: .before)).walking(.bidirectional).stacked(2),
      Variant(.gru, [:], CellOptions(bias: .none, recurrence: .diagonal, gruReset: .before)),
      Variant(.gru, [:], CellOptions(gruReset: .before, layerNorm: true, recurrentDropout: 0.4))
        .walking(.reverse),
      Variant(.gru, [:], CellOptions(layerNorm: true, zoneoutHidden: 0.25)).stacked(2),
      Variant(.gru, [:], CellOptions(recurrence: .blocks(blocks), dropConnect: 0.3)),
    ]
  }

  private static func lstmVariants(_ blocks: Int) -> [Variant] {
    [
      Variant(.lstm).walking(.bidirectional).stacked(2),
      Variant(.lstm).walking(.reverse).stacked(2, dropout: 0.3),
      Variant(.lstm, [:], CellOptions(peepholes: true)).walking(.bidirectional, .sum),
      Variant(.lstm, [:], CellOptions(bias: .single, peepholes: true)).stacked(2),
      Variant(.lstm, [:], CellOptions(forgetGate: .coupled)).stacked(2),
      Variant(.lstm, [:], CellOptions(forgetGate: .coupled, peepholes: true)).walking(.reverse),
      Variant(.lstm, [:], CellOptions(forgetGate: .input)),
      Variant(.lstm, [:], CellOptions(forgetGate: .input, peepholes: true, recurrence: .diagonal))
        .walking(.bidirectional, .average),
      Variant(.lstm, [:], CellOptions(forgetGate: .output)).stacked(2),
      Variant(.lstm, [:], CellOptions(forgetGate: .output, cellClip: 0.3)),
      Variant(.lstm, [:], CellOptions(forgetGate: .constant(0.9))),
      Variant(.lstm, [:], CellOptions(forgetGate: .constant(0.5), peepholes: true)).stacked(2),
      Variant(.lstm, [:], CellOptions(peepholes: true, cellClip: 0.2)),
      Variant(.lstm, [:], CellOptions(recurrence: .diagonal)).stacked(2),
      Variant(.lstm, [:], CellOptions(overrides: ["forget": 0])),
      Variant(.lstm, [:], CellOptions(overrides: ["forget": 1, "input": 0.5])),
      Variant(.lstm, [:], CellOptions(overrides: ["input": 1, "output": 1])).stacked(2),
      Variant(.lstm, [:], CellOptions(overrides: ["cell": 0.5])).walking(.reverse),
      Variant(.lstm, [:], CellOptions(overrides: ["cell": -1, "output": 0.25])),
      Variant(
        .lstm,
        [
          "input": Activation(.hardSigmoid), "forget": Activation(.hardSigmoid),
          "cell": Activation(.relu), "hidden": Activation(.softsign),
        ]),
      Variant(
        .lstm,
        [
          "cell": Activation(.elu), "output": Activation(.affine, alpha: 0.3, beta: 0.4),
          "hidden": Activation(.scaledTanh, alpha: 0.8, beta: 1.2),
        ], CellOptions(peepholes: true)),
      Variant(.lstm, ["input": Activation(.tanh)], CellOptions(forgetGate: .coupled)),
      Variant(.lstm, [:], CellOptions(projectionSize: blocks)).walking(.bidirectional).stacked(2),
      Variant(.lstm, [:], CellOptions(bias: .none, peepholes: true, projectionSize: 1)).stacked(2),
      Variant(.lstm, [:], CellOptions(layerNorm: true)).stacked(2),
      Variant(
        .lstm, [:], CellOptions(peepholes: true, projectionSize: blocks, layerNorm: true)),
      Variant(.lstm, [:], CellOptions(zoneoutHidden: 0.3, zoneoutCell: 0.4)).walking(.reverse),
      Variant(.lstm, [:], CellOptions(cellClip: 0.4, recurrentDropout: 0.3, zoneoutCell: 0.25)),
      Variant(
        .lstm, [:],
        CellOptions(recurrence: .blocks(blocks), recurrentDropout: 0.25, dropConnect: 0.4)
      )
      .walking(.bidirectional, .sum),
    ]
  }

  /// Layers in which norms, blocks, projections and noise meet.
  static func mixedVariants(_ blocks: Int) -> [Variant] {
    [
      Variant(
        .rnn, [:],
        CellOptions(
          bias: .single, layerNorm: true, recurrentDropout: 0.3, zoneoutHidden: 0.2,
          dropConnect: 0.2)
      ).walking(.reverse),
      Variant(
        .rnn, [:], CellOptions(recurrence: .diagonal, zoneoutHidden: 0.2, dropConnect: 0.3)
      ).walking(.bidirectional, .average),
      Variant(
        .gru, [:],
        CellOptions(
          recurrence: .blocks(blocks), gruReset: .before, layerNorm: true, recurrentDropout: 0.2,
          zoneoutHidden: 0.2, dropConnect: 0.2)
      ).stacked(2, dropout: 0.2),
      Variant(
        .lstm, [:],
        CellOptions(
          recurrence: .blocks(blocks), projectionSize: blocks, zoneoutHidden: 0.3, zoneoutCell: 0.2)
      ),
      Variant(.gru, [:], CellOptions(bias: .none, recurrence: .diagonal, layerNorm: true)),
      Variant(.lstm, [:], CellOptions(zoneoutHidden: 0.1, zoneoutCell: 0.4)).stacked(2),
      Variant(
        .lstm, [:], CellOptions(peepholes: true, cellClip: 0.4, layerNorm: true, zoneoutCell: 0.2)
      ).walking(.bidirectional),
      Variant(
        .lstm, [:],
        CellOptions(
          bias: .single, forgetGate: .coupled, peepholes: true, recurrence: .blocks(blocks),
          layerNorm: true, recurrentDropout: 0.2, zoneoutHidden: 0.1, zoneoutCell: 0.2,
          dropConnect: 0.2)
      ).walking(.reverse).stacked(2, dropout: 0.2),
      Variant(.gru, [:], CellOptions(gruReset: .before, zoneoutHidden: 0.3)).stacked(2),
    ]
  }
}
