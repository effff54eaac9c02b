import CarouselModel

extension ComparisonCases {
  /// Every operation, cell and option at least once, in few programs, so that a first run ends soon.
  ///
  /// What takes the time of a first run is compiling: a plain cell's programs serve all its sizes, scales and
  /// directions, and an option that makes programs of its own shares them with others.
  package static var standard: [any ComparisonCase] {
    Cell.allCases.flatMap(plain) + combined + [
      EmbeddingComparison(count: 129, vocabulary: 7, width: 33),
      LinearComparison(rows: 33, inputSize: 17, outputSize: 65),
      CrossEntropyComparison(rows: 129, classes: 63),
      SquaredErrorComparison(rows: 1029, width: 3),
      DropoutComparison(count: 1021, probability: 0.3),
      NormComparison(count: 1025),
    ] + optimizers(count: 1003)
      + [network(.lstm, 17, 9, 33, 65, vocabulary: 63, layers: 2, dropout: 0.3)]
      + GraphComparison.few
  }

  /// Each cell in both directions and a layer of another kind, for the form of the kernels that a device
  /// does not use by itself.
  package static var otherForm: [any ComparisonCase] {
    let plain = Cell.allCases.map { Variant($0).walking(.bidirectional) }
    return (plain + [Variant(.lstm, [:], CellOptions(projectionSize: 3, layerNorm: true))]).map {
      $0.comparison(sequenceLength: 3, batchSize: 5, inputSize: 7, hiddenSize: 9)
    }
  }

  /// The plain cell over sizes, scales and directions.
  private static func plain(_ cell: Cell) -> [any ComparisonCase] {
    var merged = Merge.allCases.map {
      Variant(cell).walking(.bidirectional, $0).stacked(2, dropout: 0.3).comparison(
        sequenceLength: 9, batchSize: 5, inputSize: 19, hiddenSize: 33)
    }
    for index in merged.indices where index % 2 == 0 {
      merged[index].lengths = lengths(count: 5, sequenceLength: 9)
    }
    return [
      stack(cell: cell, 1, 1, 1, 1),
      stack(cell: cell, 50, 32, 20, 128),
      stack(cell: cell, 13, 33, 17, 65, layers: 2, bias: .none, states: false),
      stack(cell: cell, 12, 5, 19, 47, bias: .single, finalGradients: false),
      stack(cell: cell, 7, 9, 30, 130, training: false),
    ] + merged
      + [30, 1e3, 1e6, 1e30].map { stack(cell: cell, 20, 9, 31, 40, scale: $0) }
  }

  /// The options that plain layers lack, several to a layer.
  private static var combined: [any ComparisonCase] {
    let variants = [
      Variant(
        .rnn, ["hidden": Activation(.relu)],
        CellOptions(recurrence: .diagonal, zoneoutHidden: 0.3, dropConnect: 0.3)
      ).walking(.reverse),
      Variant(
        .rnn, ["hidden": Activation(.softsign)],
        CellOptions(
          bias: .single, recurrence: .blocks(3), layerNorm: true, recurrentDropout: 0.3,
          dropConnect: 0.2)),
      Variant(
        .gru,
        [
          "reset": Activation(.softplus), "update": Activation(.hardSigmoid, alpha: 0.3, beta: 0.4),
        ], CellOptions(recurrence: .diagonal, overrides: ["new": -0.4])),
      Variant(
        .gru, ["new": Activation(.leakyRelu, alpha: 0.1)],
        CellOptions(recurrence: .blocks(3), overrides: ["update": 0.5, "reset": 1])),
      Variant(
        .gru, [:], CellOptions(gruReset: .before, layerNorm: true, zoneoutHidden: 0.2)
      ).walking(.reverse),
      Variant(
        .lstm, ["input": Activation(.hardSigmoid), "hidden": Activation(.softsign)],
        CellOptions(forgetGate: .coupled, peepholes: true, cellClip: 0.3)
      ).walking(.reverse),
      Variant(
        .lstm, ["cell": Activation(.elu, alpha: 0.5)],
        CellOptions(forgetGate: .input, recurrence: .diagonal)),
      Variant(
        .lstm, ["cell": Activation(.thresholdedRelu, alpha: 0.2)],
        CellOptions(
          forgetGate: .output, recurrence: .blocks(3), overrides: ["input": 0.5],
          recurrentDropout: 0.3)),
      Variant(
        .lstm, ["hidden": Activation(.scaledTanh, alpha: 0.8, beta: 1.2)],
        CellOptions(forgetGate: .constant(0.9), overrides: ["output": 0.25])),
      Variant(
        .lstm, ["output": Activation(.affine, alpha: 0.3, beta: 0.4)],
        CellOptions(overrides: ["forget": 0.7, "cell": 0.5])),
      Variant(
        .lstm, [:],
        CellOptions(
          peepholes: true, projectionSize: 11, layerNorm: true, zoneoutHidden: 0.1,
          zoneoutCell: 0.2, dropConnect: 0.2)),
    ]
    let layers = variants + cellsOfTheTable.flatMap { tableVariants($0, 3) }
    var works = (layers + optionsWithout(layers)).map {
      $0.comparison(sequenceLength: 9, batchSize: 5, inputSize: 19, hiddenSize: 33)
    }
    for index in works.indices where index % 2 == 0 {
      works[index].lengths = lengths(count: 5, sequenceLength: 9)
    }
    // Outside training zoneout is its expectation.
    var expected = works[0]
    expected.training = false
    return works + [expected]
  }
}
