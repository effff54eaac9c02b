import CarouselModel
import Testing

/// A stack whose gradients are checked.
struct StackCase: CustomTestStringConvertible {
  var testDescription: String
  var configuration: RecurrentConfiguration
  var sequenceLength: Int
  var batchSize: Int
  var lengths: [Int32]?
  var states: Bool
  /// Parameters on which nothing depends.
  var idle: Set<String>
  /// Whether masks are drawn.
  var isNoisy: Bool

  init(
    _ name: String, _ cell: Cell = .lstm, _ options: CellOptions = CellOptions(), layers: Int = 1,
    direction: Direction = .forward, merge: Merge = .concatenate, dropout: Double = 0,
    sequenceLength: Int = 3, lengths: [Int32]? = nil, batchSize: Int = 2, inputSize: Int = 3,
    hiddenSize: Int = 3, states: Bool = true, idle: Set<String> = [], isNoisy: Bool = true
  ) {
    testDescription = "\(cell.rawValue) \(name)"
    configuration = RecurrentConfiguration(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layers: layers,
      direction: direction, merge: merge, options: options, dropout: dropout)
    self.sequenceLength = sequenceLength
    self.batchSize = lengths?.count ?? batchSize
    self.lengths = lengths
    self.states = states
    self.idle = idle
    self.isNoisy = isNoisy
  }
}

extension StackCase {
  /// Whether the cell has the options.
  var isSensible: Bool { (try? configuration.validate()) != nil }

  /// Every cell in every size, direction and bias.
  static let shapes = Cell.allCases.flatMap { cell in
    [
      StackCase("plain", cell),
      StackCase("without bias or states", cell, CellOptions(bias: .none), states: false),
      StackCase("one bias", cell, CellOptions(bias: .single), layers: 2),
      StackCase("smallest", cell, sequenceLength: 1, batchSize: 1, inputSize: 1, hiddenSize: 1),
      StackCase("one step", cell, sequenceLength: 1, batchSize: 3, inputSize: 2, hiddenSize: 5),
      StackCase("three layers", cell, layers: 3, sequenceLength: 4, batchSize: 1, hiddenSize: 4),
      StackCase("dropout", cell, layers: 2, direction: .bidirectional, dropout: 0.5),
      StackCase("reverse", cell, layers: 2, direction: .reverse),
      StackCase("lengths", cell, sequenceLength: 4, lengths: [2, 0, 4, 1]),
      StackCase(
        "reverse lengths", cell, direction: .reverse, sequenceLength: 4, lengths: [4, 3, 0]),
      StackCase("diagonal", cell, CellOptions(recurrence: .diagonal), layers: 2),
      StackCase(
        "diagonal with lengths", cell, CellOptions(bias: .single, recurrence: .diagonal),
        direction: .bidirectional, lengths: [3, 1], states: false),
    ]
      + Merge.allCases.map {
        StackCase(
          "two layers, \($0.rawValue), lengths", cell, layers: 2, direction: .bidirectional,
          merge: $0, lengths: [2, 0, 3])
      }
  }.filter(\.isSensible)

  static let lstmOptions = [
    StackCase("coupled", .lstm, CellOptions(forgetGate: .coupled)),
    StackCase("forget = input", .lstm, CellOptions(forgetGate: .input)),
    StackCase("forget = output", .lstm, CellOptions(forgetGate: .output), layers: 2),
    StackCase("constant forget gate", .lstm, CellOptions(forgetGate: .constant(0.75))),
    StackCase("peepholes", .lstm, CellOptions(peepholes: true)),
    StackCase(
      "coupled, peepholes, lengths, without bias", .lstm,
      CellOptions(bias: .none, forgetGate: .coupled, peepholes: true), direction: .bidirectional,
      lengths: [3, 0, 2]),
    StackCase("forget = input, peepholes", .lstm, CellOptions(forgetGate: .input, peepholes: true)),
    StackCase(
      "constant forget gate, peepholes, one bias", .lstm,
      CellOptions(bias: .single, forgetGate: .constant(0.5), peepholes: true)),
    StackCase("clip", .lstm, CellOptions(cellClip: 0.5), sequenceLength: 5),
    StackCase(
      "clip, peepholes, diagonal", .lstm,
      CellOptions(peepholes: true, cellClip: 0.5, recurrence: .diagonal), layers: 2,
      sequenceLength: 5),
    StackCase(
      "clip, forget = output, lengths", .lstm,
      CellOptions(forgetGate: .output, cellClip: 0.375), sequenceLength: 4, lengths: [4, 2]),
    StackCase(
      "activations, coupled, clip", .lstm,
      CellOptions(
        activations: [
          "input": Activation(.hardSigmoid), "cell": Activation(.softsign),
          "output": Activation(.softplus), "hidden": Activation(.scaledTanh, alpha: 1.5, beta: 0.5),
        ], forgetGate: .coupled, cellClip: 0.5), layers: 2),
  ]

  static let newOptions = [
    StackCase("reset before", .gru, CellOptions(gruReset: .before)),
    StackCase(
      "reset before, lengths, one bias", .gru, CellOptions(bias: .single, gruReset: .before),
      layers: 2, direction: .bidirectional, lengths: [3, 0, 2]),
    StackCase(
      "reset before, diagonal", .gru, CellOptions(recurrence: .diagonal, gruReset: .before)),
    StackCase(
      "reset before, norm, dropout", .gru,
      CellOptions(gruReset: .before, layerNorm: true, recurrentDropout: 0.5), sequenceLength: 4,
      hiddenSize: 4),
    StackCase("projection", .lstm, CellOptions(projectionSize: 2)),
    StackCase(
      "projection, peepholes, lengths", .lstm, CellOptions(peepholes: true, projectionSize: 2),
      layers: 2, direction: .bidirectional, lengths: [3, 0, 1], hiddenSize: 4),
    StackCase(
      "projection, norm, zoneout, blocks", .lstm,
      CellOptions(
        recurrence: .blocks(2), projectionSize: 2, layerNorm: true, zoneoutHidden: 0.4,
        zoneoutCell: 0.3), sequenceLength: 4, hiddenSize: 4),
    StackCase(
      "peepholes, clip, zoneout, dropout", .lstm,
      CellOptions(
        peepholes: true, cellClip: 0.5, recurrentDropout: 0.3, zoneoutHidden: 0.4,
        zoneoutCell: 0.3), layers: 2, sequenceLength: 4, lengths: [4, 2]),
    StackCase(
      "coupled, norm without bias", .lstm,
      CellOptions(bias: .none, forgetGate: .coupled, layerNorm: true), lengths: [3, 2]),
    StackCase(
      "norm, peepholes", .lstm, CellOptions(bias: .single, peepholes: true, layerNorm: true)),
  ]

  /// What every cell may have.
  static let commonOptions = Cell.allCases.flatMap { cell in
    [
      StackCase("blocks", cell, CellOptions(recurrence: .blocks(2)), layers: 2, hiddenSize: 4),
      StackCase("norm", cell, CellOptions(layerNorm: true), hiddenSize: 4),
      StackCase(
        "norm, reverse, lengths", cell, CellOptions(layerNorm: true),
        direction: .reverse, lengths: [3, 0, 2], hiddenSize: 5),
      StackCase("recurrent dropout", cell, CellOptions(recurrentDropout: 0.5), layers: 2),
      StackCase("zoneout", cell, CellOptions(zoneoutHidden: 0.5), lengths: [3, 0, 1]),
      StackCase(
        "expected zoneout", cell, CellOptions(zoneoutHidden: 0.25), isNoisy: false),
      StackCase("DropConnect", cell, CellOptions(dropConnect: 0.3), direction: .bidirectional),
      StackCase(
        "DropConnect, blocks, dropout", cell,
        CellOptions(recurrence: .blocks(2), recurrentDropout: 0.25, dropConnect: 0.3),
        hiddenSize: 4),
    ]
  }.filter(\.isSensible)

  static let overrides = [
    StackCase("input held", .lstm, CellOptions(overrides: ["input": 1])),
    StackCase("forget held", .lstm, CellOptions(overrides: ["forget": 0.5])),
    StackCase("cell held", .lstm, CellOptions(overrides: ["cell": -0.5])),
    StackCase("output held", .lstm, CellOptions(overrides: ["output": 0.75])),
    StackCase("reset held", .gru, CellOptions(overrides: ["reset": 0.5])),
    StackCase("update held", .gru, CellOptions(overrides: ["update": 0.25]), layers: 2),
    StackCase("new held", .gru, CellOptions(overrides: ["new": 0.5])),
    StackCase(
      "two held, lengths", .lstm, CellOptions(overrides: ["input": 1, "forget": 0.5]),
      lengths: [3, 0, 1]),
    StackCase(
      "coupled, input held", .lstm,
      CellOptions(forgetGate: .coupled, overrides: ["input": 0.25])),
    StackCase(
      "forget = input, forget held", .lstm,
      CellOptions(forgetGate: .input, overrides: ["forget": 0.75])),
    StackCase(
      "forget = output, output held", .lstm,
      CellOptions(forgetGate: .output, overrides: ["output": 0.75])),
    StackCase(
      "peepholes, forget held", .lstm, CellOptions(peepholes: true, overrides: ["forget": 0.5]),
      idle: ["weight_cf_l0"]),
    StackCase(
      "coupled, peepholes, output held", .lstm,
      CellOptions(forgetGate: .coupled, peepholes: true, overrides: ["output": 0.5]),
      idle: ["weight_co_l0"]),
  ]

  /// Every function as every activation of every cell.
  static let activations = Cell.allCases.flatMap { cell in
    cell.activationNames.flatMap { gate in
      Activation.Function.allCases.filter { $0 != .constant }.map { function in
        let alpha: Double? =
          switch function {
          case .leakyRelu, .thresholdedRelu: 0.25
          case .elu, .affine, .scaledTanh: 0.75
          default: nil
          }
        let beta: Double? = function == .scaledTanh || function == .affine ? 0.5 : nil
        return StackCase(
          "\(gate) \(function.rawValue)", cell,
          CellOptions(activations: [gate: Activation(function, alpha: alpha, beta: beta)]),
          // In a third step a sum that is drawn lies so near the kink that a difference crosses it.
          sequenceLength: function == .positive ? 2 : 3)
      }
    }
  }
}
