import CarouselModel
import Testing

@Suite struct ParameterTests {
  private func parameters(_ stack: RecurrentConfiguration) -> [String] {
    stack.parameterDescriptions.map { "\($0.name) \($0.shape)" }
  }

  /// Counted by hand for C 20, H 128: a gate has 128·(20 + 128) = 18,944 weights.
  private static let counts: [(Cell, CellOptions, Int)] = [
    (.rnn, CellOptions(bias: .none), 18_944), (.rnn, CellOptions(), 19_200),
    (.gru, CellOptions(), 57_600), (.lstm, CellOptions(), 76_800),
    (.lstm, CellOptions(bias: .none, forgetGate: .coupled), 56_832),
    (.lstm, CellOptions(bias: .none, forgetGate: .input), 56_832),
    (.lstm, CellOptions(bias: .none, forgetGate: .output), 56_832),
    (.lstm, CellOptions(bias: .none, forgetGate: .constant(0.9)), 56_832),
    (.lstm, CellOptions(bias: .none, peepholes: true), 76_160),
    (.lstm, CellOptions(bias: .none, forgetGate: .coupled, peepholes: true), 57_088),
    (.lstm, CellOptions(bias: .none, recurrence: .diagonal), 10_752),
    (.rnn, CellOptions(bias: .single, recurrence: .diagonal), 2_816),
    (.gru, CellOptions(bias: .single, overrides: ["reset": 1]), 57_216),
    (.lstm, CellOptions(cellClip: 1), 76_800),
  ]

  @Test(arguments: counts)
  func aLayerHasItsParameters(cell: Cell, options: CellOptions, expected: Int) throws {
    let stack = RecurrentConfiguration(
      cell: cell, inputSize: 20, hiddenSize: 128, options: options)
    try stack.validate()
    #expect(stack.parameterDescriptions.reduce(0) { $0 + $1.shape.count } == expected)
  }

  @Test func twoDirectionsHaveParametersOfTheirOwn() {
    let stack = RecurrentConfiguration(
      cell: .gru, inputSize: 5, hiddenSize: 3, layers: 2, direction: .bidirectional,
      options: CellOptions(bias: .single))
    #expect(stack.outputSize == 6)
    #expect(
      parameters(stack) == [
        "weight_ih_l0 [9, 5]", "weight_hh_l0 [9, 3]", "bias_ih_l0 [9]",
        "weight_ih_l0_reverse [9, 5]", "weight_hh_l0_reverse [9, 3]", "bias_ih_l0_reverse [9]",
        "weight_ih_l1 [9, 6]", "weight_hh_l1 [9, 3]", "bias_ih_l1 [9]",
        "weight_ih_l1_reverse [9, 6]", "weight_hh_l1_reverse [9, 3]", "bias_ih_l1_reverse [9]",
      ])
  }

  @Test(arguments: [Merge.sum, .average, .multiply])
  func mergedDirectionsAreAsWideAsOne(merge: Merge) {
    let stack = RecurrentConfiguration(
      cell: .rnn, inputSize: 5, hiddenSize: 3, layers: 2, direction: .bidirectional, merge: merge)
    #expect(stack.outputSize == 3)
    #expect(parameters(stack).contains("weight_ih_l1_reverse [3, 3]"))
  }

  @Test func aStackThatOnlyWalksBackwardNamesItsParametersLikeAnyOther() {
    let reverse = RecurrentConfiguration(inputSize: 5, hiddenSize: 3, direction: .reverse)
    #expect(parameters(reverse) == parameters(RecurrentConfiguration(inputSize: 5, hiddenSize: 3)))
    #expect(reverse.units.map(\.layer.isReverse) == [true])
    #expect(reverse.outputSize == 3)
  }

  @Test func peepholesAndDiagonalsFollowTheirLayer() {
    let stack = RecurrentConfiguration(
      inputSize: 5, hiddenSize: 3,
      options: CellOptions(bias: .none, peepholes: true, recurrence: .diagonal))
    #expect(
      parameters(stack) == [
        "weight_ih_l0 [12, 5]", "weight_hh_l0 [12]", "weight_ci_l0 [3]", "weight_cf_l0 [3]",
        "weight_co_l0 [3]",
      ])
  }

  @Test func aForgetGateWithoutWeightsLeavesTheOthersInOrder() {
    #expect(CellOptions().weightGates(of: .lstm) == ["input", "forget", "cell", "output"])
    for gate in [ForgetGate.coupled, .input, .output, .constant(1)] {
      let options = CellOptions(forgetGate: gate)
      #expect(options.weightGates(of: .lstm) == ["input", "cell", "output"])
    }
  }
}
