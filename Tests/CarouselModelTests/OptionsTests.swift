import CarouselModel
import Foundation
import Testing

@Suite struct OptionsTests {
  private static let senseless: [(Cell, CellOptions, String)] = [
    (Cell.rnn, CellOptions(overrides: ["hidden": 1]), "no gate 'hidden'"),
    (.gru, CellOptions(overrides: ["forget": 1]), "reset (r), update (z), new (n)"),
    (.lstm, CellOptions(overrides: ["hidden": 1]), "no gate 'hidden'"),
    (.lstm, CellOptions(overrides: ["forget": .nan]), "cannot be held at nan"),
    (.gru, CellOptions(activations: ["cell": Activation(.relu)]), "no activation 'cell'"),
    (.rnn, CellOptions(activations: ["input": Activation(.relu)]), "it has hidden"),
    (.rnn, CellOptions(forgetGate: .coupled), "belong to the lstm cell"),
    (.gru, CellOptions(peepholes: true), "belong to the lstm cell"),
    (.gru, CellOptions(cellClip: 1), "belong to the lstm cell"),
    (.lstm, CellOptions(cellClip: 0), "above 0"), (.lstm, CellOptions(cellClip: -1), "above 0"),
    (.lstm, CellOptions(cellClip: .nan), "above 0"),
    (.lstm, CellOptions(forgetGate: .constant(.infinity)), "cannot be held at inf"),
    (.lstm, CellOptions(forgetGate: .output, peepholes: true), "cannot have peepholes"),
    (
      .lstm, CellOptions(activations: ["forget": Activation(.relu)], forgetGate: .input),
      "tied to the input gate"
    ),
    (
      .lstm,
      CellOptions(
        activations: ["output": Activation(.relu), "forget": Activation(.sigmoid)],
        forgetGate: .output), "tied to the output gate"
    ),
    (
      .lstm, CellOptions(activations: ["forget": Activation(.relu)], forgetGate: .coupled),
      "applies no activation, but relu"
    ),
    (
      .lstm, CellOptions(activations: ["forget": Activation(.relu)], forgetGate: .constant(1)),
      "applies no activation, but relu"
    ),
    (
      .rnn, CellOptions(activations: ["hidden": Activation(.elu, alpha: -1)]), "elu needs an alpha"
    ),
    (
      .lstm, CellOptions(activations: ["cell": Activation(.leakyRelu, alpha: -1)]),
      "the cell gate's is -1"
    ),
    (
      .gru, CellOptions(activations: ["new": Activation(.thresholdedRelu, alpha: -0.5)]),
      "thresholdedrelu needs"
    ),
    (
      .rnn, CellOptions(activations: ["hidden": Activation(.scaledTanh, alpha: 0)]), "other than 0"
    ),
    (
      .rnn, CellOptions(activations: ["hidden": Activation(.affine, beta: .nan)]), "not finite"
    ),
    (.lstm, CellOptions(gruReset: .before), "no reset gate"),
    (.gru, CellOptions(projectionSize: 2), "belong to the lstm and slstm cells"),
    (.rnn, CellOptions(zoneoutCell: 0.1), "belong to the lstm cell"),
    (.gru, CellOptions(forgetBias: 1), "belong to the lstm and slstm cells"),
    (.mingru, CellOptions(recurrentDropout: 0.1), "no recurrent dropout"),
    (.mingru, CellOptions(dropConnect: 0.1), "no DropConnect"),
    (.mingru, CellOptions(layerNorm: true), "no layer normalisation"),
    (.mingru, CellOptions(recurrence: .diagonal), "diagonal or block-diagonal recurrence"),
    (.mingru, CellOptions(projectionSize: 2), "no projection"),
    (.slstm, CellOptions(peepholes: true), "no peepholes"),
    (.slstm, CellOptions(zoneoutCell: 0.1), "no zoneout of the cell state"),
    (.slstm, CellOptions(forgetGate: .coupled), "belong to the lstm cell"),
    (.slstm, CellOptions(overrides: ["forget": 1]), "no gate 'forget' that can be held"),
    (.slstm, CellOptions(activations: ["input": Activation(.relu)]), "it has cell, output"),
    (.lstm, CellOptions(bias: .none, forgetBias: 1), "a bias of its own"),
    (.lstm, CellOptions(forgetGate: .coupled, forgetBias: 1), "a bias of its own"),
    (.lstm, CellOptions(forgetBias: .nan), "must be finite"),
    (.rnn, CellOptions(recurrentDropout: 1), "recurrent dropout must be at least 0 and below 1"),
    (.gru, CellOptions(zoneoutHidden: -0.1), "zoneout of the hidden state must be"),
    (.lstm, CellOptions(zoneoutCell: .nan), "zoneout of the cell state must be"),
    (.gru, CellOptions(dropConnect: 2), "DropConnect must be"),
  ]

  @Test(arguments: [
    (CellOptions(projectionSize: 6), 6, "below the hidden size 6"),
    (CellOptions(projectionSize: 0), 6, "at least 1"),
    (CellOptions(recurrence: .diagonal, projectionSize: 2), 6, "fewer states than units"),
    (CellOptions(recurrence: .blocks(4)), 6, "must divide the hidden size 6"),
    (CellOptions(recurrence: .blocks(0)), 6, "but they are 0"),
    (CellOptions(recurrence: .blocks(3), projectionSize: 2), 6, "and the projection size 2"),
  ])
  func whatDoesNotFitTheSizesIsRefused(
    options: CellOptions, hiddenSize: Int, words: String
  ) throws {
    let configuration = RecurrentConfiguration(
      inputSize: 3, hiddenSize: hiddenSize, options: options)
    let error = try #require(throws: CarouselError.self) { try configuration.validate() }
    #expect(error.kind == .usage)
    #expect(error.message.contains(words), "\(error.message)")
  }

  @Test func optionsFromBeforeAnOptionHaveItOff() throws {
    let old = Data(#"{"bias":"single","activations":{},"peepholes":true}"#.utf8)
    let options = try JSONDecoder().decode(CellOptions.self, from: old)
    #expect(options == CellOptions(bias: .single, peepholes: true))
    let all = CellOptions(
      recurrence: .blocks(3), gruReset: .before, projectionSize: 2, layerNorm: true,
      recurrentDropout: 0.1, zoneoutHidden: 0.2, zoneoutCell: 0.3, dropConnect: 0.4, forgetBias: 1)
    #expect(try JSONDecoder().decode(CellOptions.self, from: JSONEncoder().encode(all)) == all)
  }

  @Test func aCellWithoutRecurrentWeightsHasOneBias() {
    let layer = RecurrentLayer(cell: .mingru, inputSize: 3, hiddenSize: 6)
    #expect(
      layer.parameterDescriptions(suffix: "_l0").map(\.name) == ["weight_ih_l0", "bias_ih_l0"])
    #expect(layer.gateRows == 12 && layer.recurrentFanIn == 0)
  }

  @Test func everyTensorHasItsShape() {
    func shapes(_ cell: Cell, _ options: CellOptions) -> [String: Shape] {
      let layer = RecurrentLayer(cell: cell, inputSize: 3, hiddenSize: 6, options: options)
      return Dictionary(
        uniqueKeysWithValues: layer.parameterDescriptions(suffix: "").map { ($0.name, $0.shape) })
    }
    let projected = shapes(
      .lstm, CellOptions(recurrence: .blocks(2), projectionSize: 4, layerNorm: true))
    #expect(
      projected == [
        "weight_ih": [24, 3], "weight_hh": [4, 2, 3, 2], "bias_ih": [24], "bias_hh": [24],
        "weight_hr": [4, 6], "weight_ln_ih": [24], "weight_ln_hh": [24], "weight_ln_c": [6],
        "bias_ln_c": [6],
      ])
    #expect(
      shapes(.gru, CellOptions(bias: .none, layerNorm: true)) == [
        "weight_ih": [18, 3], "weight_hh": [18, 6], "weight_ln_ih": [18], "weight_ln_hh": [18],
      ])
  }

  @Test func theForgetBiasIsThatOfTheForgetGateAlone() throws {
    let layer = RecurrentLayer(
      cell: .lstm, inputSize: 3, hiddenSize: 4, options: CellOptions(forgetBias: 2))
    let bias = try #require(
      layer.parameterDescriptions(suffix: "").first { $0.name == "bias_ih" })
    let values = bias.initializer.values(count: 16, random: Philox(seed: 1, stream: 2))
    #expect(values[4..<8].allSatisfy { $0 == 2 })
    #expect((values[..<4] + values[8...]).allSatisfy { $0 != 2 && $0.magnitude <= 0.5 })
  }

  @Test(arguments: senseless)
  func aSenselessMixIsRefusedAndSaysWhy(cell: Cell, options: CellOptions, words: String) throws {
    let error = try #require(throws: CarouselError.self) { try options.validate(for: cell) }
    #expect(error.kind == .usage)
    #expect(error.message.contains(words), "\(error.message)")
    #expect(!error.message.hasSuffix("."))
  }

  @Test(arguments: [
    CellOptions(
      activations: ["hidden": Activation(.relu)], forgetGate: .coupled, peepholes: true,
      cellClip: 3, recurrence: .diagonal, overrides: ["forget": 0]),
    CellOptions(activations: ["forget": Activation(.sigmoid)], forgetGate: .input, peepholes: true),
    CellOptions(
      activations: ["forget": Activation(.relu), "output": Activation(.relu)], forgetGate: .output),
    CellOptions(bias: .none, forgetGate: .constant(0), peepholes: true, overrides: ["input": 1]),
  ])
  func aMixThatMakesSensePasses(options: CellOptions) throws {
    try options.validate(for: .lstm)
  }

  @Test func aMergeNeedsTwoDirections() throws {
    for direction in [Direction.forward, .reverse] {
      let stack = RecurrentConfiguration(
        inputSize: 2, hiddenSize: 2, direction: direction, merge: .sum)
      let error = try #require(throws: CarouselError.self) { try stack.validate() }
      #expect(error.kind == .usage)
      #expect(error.message.contains("merge sum needs two directions"))
    }
    try RecurrentConfiguration(
      inputSize: 2, hiddenSize: 2, direction: .bidirectional, merge: .sum
    ).validate()
  }

  @Test func aHeldGateIsAConstantWhateverItsActivation() {
    let options = CellOptions(
      activations: ["forget": Activation(.relu)], forgetGate: .constant(0.9),
      overrides: ["output": 0.5])
    #expect(options.activation(of: "forget", in: .lstm) == Activation(.constant, alpha: 0.9))
    #expect(options.activation(of: "output", in: .lstm) == Activation(.constant, alpha: 0.5))
    #expect(options.activation(of: "input", in: .lstm) == Activation(.sigmoid))
    #expect(options.activation(of: "hidden", in: .lstm) == Activation(.tanh))
    #expect(options.activation(of: "new", in: .gru) == Activation(.tanh))
    #expect(options.activation(of: "update", in: .gru) == Activation(.sigmoid))
  }

  @Test func functionsHaveONNXsDefaults() {
    let expected: [(Activation.Function, Double, Double)] = [
      (.affine, 1, 0), (.leakyRelu, 0.01, 0), (.thresholdedRelu, 1, 0), (.scaledTanh, 1, 1),
      (.hardSigmoid, 0.2, 0.5), (.elu, 1, 0),
    ]
    for (function, alpha, beta) in expected {
      #expect(Activation(function) == Activation(function, alpha: alpha, beta: beta))
    }
  }
}
