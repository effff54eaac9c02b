import CarouselModel

extension StackCase {
  /// Options that meet.
  static let mixes =
    Cell.allCases.flatMap { cell in
      [
        StackCase(
          "norm, no bias, two layers, lengths", cell, CellOptions(bias: .none, layerNorm: true),
          layers: 2, direction: .bidirectional, lengths: [2, 0, 3], hiddenSize: 4),
        StackCase(
          "norm, diagonal", cell, CellOptions(recurrence: .diagonal, layerNorm: true),
          hiddenSize: 4),
        StackCase(
          "norm, blocks", cell, CellOptions(recurrence: .blocks(2), layerNorm: true),
          hiddenSize: 4),
        StackCase(
          "recurrent dropout, dropout, lengths", cell, CellOptions(recurrentDropout: 0.25),
          layers: 2, direction: .bidirectional, dropout: 0.25, lengths: [3, 0, 2], hiddenSize: 4),
        StackCase(
          "zoneout of h, no bias, lengths", cell, CellOptions(bias: .none, zoneoutHidden: 0.25),
          direction: .bidirectional, sequenceLength: 4, lengths: [4, 0, 2]),
        StackCase(
          "DropConnect, diagonal", cell, CellOptions(recurrence: .diagonal, dropConnect: 0.25),
          direction: .bidirectional, lengths: [3, 1], hiddenSize: 5),
        StackCase(
          "norm and noise", cell,
          CellOptions(
            layerNorm: true, recurrentDropout: 0.25, zoneoutHidden: 0.25, dropConnect: 0.25),
          direction: .reverse, sequenceLength: 4, lengths: [3, 0, 4], hiddenSize: 5),
      ]
    }.filter(\.isSensible) + [
      StackCase("g above 0", .mingru, CellOptions(activations: ["new": Activation(.positive)])),
      StackCase(
        "held, lengths", .mingru, CellOptions(bias: .single, overrides: ["update": 0.25]),
        direction: .bidirectional, lengths: [3, 0, 2]),
      StackCase(
        "projection, blocks, lengths", .slstm,
        CellOptions(recurrence: .blocks(2), projectionSize: 2), direction: .bidirectional,
        lengths: [3, 0, 2], hiddenSize: 4),
      StackCase(
        "projection, norm, noise", .slstm,
        CellOptions(
          projectionSize: 2, layerNorm: true, recurrentDropout: 0.25, zoneoutHidden: 0.25,
          dropConnect: 0.25), direction: .reverse, sequenceLength: 4, lengths: [3, 0, 4],
        hiddenSize: 5),
      StackCase("output held", .slstm, CellOptions(overrides: ["output": 0.75]), layers: 2),
      StackCase(
        "projection, sum of directions", .lstm, CellOptions(bias: .single, projectionSize: 2),
        layers: 2, direction: .bidirectional, merge: .sum),
      StackCase(
        "projection, reverse, peepholes, clip", .lstm,
        CellOptions(peepholes: true, cellClip: 0.5, projectionSize: 2), direction: .reverse,
        sequenceLength: 4, lengths: [4, 2]),
      StackCase(
        "projection, coupled, output held", .lstm,
        CellOptions(forgetGate: .coupled, overrides: ["output": 0.5], projectionSize: 2)),
      StackCase(
        "norm, peepholes, clip", .lstm,
        CellOptions(peepholes: true, cellClip: 0.5, layerNorm: true), sequenceLength: 4,
        hiddenSize: 4),
      StackCase(
        "norm, forget = output", .lstm, CellOptions(forgetGate: .output, layerNorm: true),
        hiddenSize: 4),
      StackCase(
        "expected zoneout of both", .lstm, CellOptions(zoneoutHidden: 0.25, zoneoutCell: 0.5),
        sequenceLength: 4, isNoisy: false),
      StackCase(
        "all", .lstm,
        CellOptions(
          bias: .single, forgetGate: .coupled, peepholes: true, recurrence: .blocks(2),
          projectionSize: 2, layerNorm: true, recurrentDropout: 0.25, zoneoutHidden: 0.25,
          zoneoutCell: 0.25, dropConnect: 0.25), layers: 2, direction: .bidirectional,
        dropout: 0.25, sequenceLength: 4, lengths: [3, 0, 4], hiddenSize: 4),
      StackCase(
        "all", .gru,
        CellOptions(
          recurrence: .blocks(2), gruReset: .before, layerNorm: true, recurrentDropout: 0.25,
          zoneoutHidden: 0.25, dropConnect: 0.25), layers: 2, direction: .bidirectional,
        merge: .average, dropout: 0.25, sequenceLength: 4, lengths: [3, 0, 4], hiddenSize: 4),
      StackCase(
        "reset before, reset held", .gru,
        CellOptions(overrides: ["reset": 0.5], gruReset: .before)),
      StackCase(
        "reset before, activations", .gru,
        CellOptions(
          activations: ["reset": Activation(.hardSigmoid), "new": Activation(.softsign)],
          gruReset: .before)),
    ]
}
