import CarouselModel

extension ComparisonCases {
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
