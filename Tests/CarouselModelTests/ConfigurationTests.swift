import CarouselModel
import Testing

@Suite struct ConfigurationTests {
  private func count(_ descriptions: [ParameterDescription]) -> Int {
    descriptions.reduce(0) { $0 + $1.shape.count }
  }

  @Test(arguments: [
    (BiasMode.double, 4 * 128 * (20 + 128) + 2 * 512), (.single, 4 * 128 * (20 + 128) + 512),
    (.none, 4 * 128 * (20 + 128)),
  ])
  func anLSTMHasItsParameters(bias: BiasMode, expected: Int) {
    let stack = RecurrentConfiguration(
      inputSize: 20, hiddenSize: 128, options: CellOptions(bias: bias))
    #expect(count(stack.parameterDescriptions) == expected)
  }

  @Test func upperLayersReadTheHiddenStatesBelow() {
    let stack = RecurrentConfiguration(inputSize: 5, hiddenSize: 3, layers: 2)
    #expect(
      stack.parameterDescriptions.map { "\($0.name) \($0.shape)" } == [
        "weight_ih_l0 [12, 5]", "weight_hh_l0 [12, 3]", "bias_ih_l0 [12]", "bias_hh_l0 [12]",
        "weight_ih_l1 [12, 3]", "weight_hh_l1 [12, 3]", "bias_ih_l1 [12]", "bias_hh_l1 [12]",
      ])
  }

  @Test func aNetworkPutsItsStackBetweenEmbeddingAndOutput() {
    let network = NetworkConfiguration(
      vocabularySize: 7,
      recurrent: RecurrentConfiguration(
        inputSize: 5, hiddenSize: 3, options: CellOptions(bias: .none)))
    #expect(
      network.parameterDescriptions.map { "\($0.name) \($0.shape)" } == [
        "embedding.weight [7, 5]", "recurrent.weight_ih_l0 [12, 5]",
        "recurrent.weight_hh_l0 [12, 3]", "output.weight [7, 3]", "output.bias [7]",
      ])
  }

  @Test(arguments: [
    (-1, 3, 1, CellOptions()), (3, -1, 1, CellOptions()), (3, .max, 1, CellOptions()),
    (3, 4, -1, CellOptions()), (3, 4, 1, CellOptions(recurrence: .blocks(0))),
    (3, 4, 1, CellOptions(recurrence: .blocks(3))), (3, 4, 1, CellOptions(projectionSize: -2)),
  ])
  func aConfigurationOfImpossibleSizesHasNoParameters(
    inputSize: Int, hiddenSize: Int, layers: Int, options: CellOptions
  ) {
    let stack = RecurrentConfiguration(
      inputSize: inputSize, hiddenSize: hiddenSize, layers: layers, options: options)
    #expect(stack.parameterDescriptions.isEmpty)
    #expect(NetworkConfiguration(vocabularySize: 7, recurrent: stack).parameterDescriptions.isEmpty)
    #expect(throws: CarouselError.self) { try stack.validate() }
    let good = RecurrentConfiguration(inputSize: 3, hiddenSize: 4)
    #expect(NetworkConfiguration(vocabularySize: -7, recurrent: good).parameterDescriptions.isEmpty)
  }

  @Test func operationsAreCountedByHand() {
    let layer = RecurrentLayer(cell: .lstm, inputSize: 512, hiddenSize: 512)
    #expect(layer.flops(sequenceLength: 25, batchSize: 64, backward: false) == 6_710_886_400)
    #expect(layer.flops(sequenceLength: 25, batchSize: 64, backward: true) == 3 * 6_710_886_400)
  }

  @Test(arguments: [
    (0, 3, 1, 0.0, CarouselError.Kind.usage, "input size"), (3, 0, 1, 0, .usage, "hidden size"),
    (3, -1, 1, 0, .usage, "hidden size"), (3, 3, 0, 0, .usage, "layers"),
    (3, 3, 1, 1, .usage, "dropout"), (3, 3, 1, -0.1, .usage, "dropout"),
    (3, 3, 1, .nan, .usage, "dropout"), (3, .max, 1, 0, .noDevice, "hidden size"),
    (1 << 40, 3, 1, 0, .noDevice, "input size"), (3, 3, 1 << 40, 0, .noDevice, "layers"),
  ])
  func sizesThatMakeNoSenseAreRefused(
    inputSize: Int, hiddenSize: Int, layers: Int, dropout: Double, kind: CarouselError.Kind,
    word: String
  ) throws {
    let stack = RecurrentConfiguration(
      inputSize: inputSize, hiddenSize: hiddenSize, layers: layers, dropout: dropout)
    let error = try #require(throws: CarouselError.self) { try stack.validate() }
    #expect(error.kind == kind)
    #expect(error.message.contains(word))
  }

  @Test func aLayerNeedsTheOperationsOfItsOwnWeights() {
    func layer(_ change: (inout CellOptions) -> Void = { _ in }) -> RecurrentLayer {
      var layer = RecurrentLayer(cell: .lstm, inputSize: 5, hiddenSize: 12)
      change(&layer.options)
      return layer
    }
    // 7 steps of 3 sequences: 4 of them are not a sequence's first.
    func needed(_ layer: RecurrentLayer, backward: Bool = false) -> Double {
      layer.neededFlops(rows: 7, sequences: 3, backward: backward)
    }
    // 2·G·H, times 7·C and 4 times the recurrent weights of a unit's gate.
    for (recurrence, weights) in [
      (Recurrence.dense, 7 * 5 + 4 * 12), (.diagonal, 7 * 5 + 4),
      (.blocks(3), 7 * 5 + 4 * 4),
    ] {
      #expect(needed(layer { $0.recurrence = recurrence }) == Double(96 * weights))
    }
    #expect(needed(layer(), backward: true) == 3 * needed(layer()))
    // And 2·7·P·H for the projection.
    #expect(needed(layer { $0.projectionSize = 2 }) == Double(96 * (7 * 5 + 4 * 2) + 336))
    #expect(needed(layer()) <= layer().flops(sequenceLength: 7, batchSize: 1, backward: false))
  }

  @Test func anEmptyOrEndlessVocabularyIsRefused() throws {
    let stack = RecurrentConfiguration(inputSize: 3, hiddenSize: 3)
    for (size, kind) in [(0, CarouselError.Kind.usage), (.max, .noDevice)] {
      let network = NetworkConfiguration(vocabularySize: size, recurrent: stack)
      let error = try #require(throws: CarouselError.self) { try network.validate() }
      #expect(error.kind == kind)
    }
    try NetworkConfiguration(vocabularySize: 1, recurrent: stack).validate()
  }
}
