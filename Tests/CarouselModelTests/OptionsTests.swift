import CarouselModel
import Testing

@Suite struct OptionsTests {
  private static let senseless: [(Cell, CellOptions, String)] = [
    (Cell.rnn, CellOptions(overrides: ["hidden": 1]), "no gate 'hidden'"),
    (.gru, CellOptions(overrides: ["forget": 1]), "reset, update, new"),
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
  ]

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
