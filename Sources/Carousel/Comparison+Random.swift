import CarouselModel

extension ComparisonCases {
  /// The one random case of a seed: layers, sizes, lengths and states, none of them senseless.
  ///
  /// T is at most 20, N 9, C and H 40, L 3; with layer normalisation T is at most 4, L 2, and H and P at
  /// least 8; with the new gate of a GRU held T is at most 6. With `tiny` T and N are at most 3, C and H 8, L 2, for a simulator.
  package static func random(seed: UInt64, tiny: Bool = false) -> RecurrentComparison {
    var draw = Draw(seed: seed, tiny: tiny)
    var configuration = draw.configuration()
    while (try? configuration.validate()) == nil { configuration = draw.configuration() }
    // A normalisation undoes what makes states forget and, of few units or small states, multiplies a
    // rounding error from step to step and from layer to layer: many of them tell nothing of who
    // computes them. Of 250 such layers of 6 steps PyTorch's Float32 leaves 4 beyond the bound.
    let options = configuration.options
    // The state of a GRU whose new gate is held at a value tends to that value, and the update gate's
    // gradient is a multiple of their difference, of which ever fewer digits are left.
    let settles = configuration.cell.traits.hasDirectPath && options.overrides["new"] != nil
    let longest = tiny ? 3 : options.layerNorm ? 4 : settles ? 6 : 20
    let (sequenceLength, batchSize) = (draw.number(1...longest), draw.number(1...(tiny ? 3 : 9)))
    var result = RecurrentComparison(
      configuration, sequenceLength: sequenceLength, batchSize: batchSize,
      lengths: draw.happens(0.5)
        ? (0..<batchSize).map { _ in draw.number(0...sequenceLength) } : nil,
      givenStates: draw.happens(0.7), finalGradients: draw.happens(0.7),
      training: draw.happens(0.8))
    result.scale = draw.scale(of: configuration)
    // A normaliser that begins at 0 is what the first input gate makes it, and Float32 has no e⁻⁸⁸.
    let isDivisor = configuration.cell.traits.memory.contains(where: \.isPositive)
    if isDivisor, !result.givenStates { result.scale = 1 }
    return result
  }
}

/// Choices that are a pure function of a seed and of their order.
private struct Draw {
  private let random: Philox
  /// The largest C, H and P.
  private let largest: Int
  private let mostLayers: Int
  private var index = 0

  init(seed: UInt64, tiny: Bool) {
    (largest, mostLayers) = tiny ? (8, 2) : (40, 3)
    // Apart from the inputs, of which a case has only a few.
    random = Philox(seed: seed, stream: RandomStream.input(1 << 20))
  }

  private mutating func next() -> Double {
    index += 1
    return random.uniform(index - 1)
  }

  mutating func happens(_ probability: Double) -> Bool { next() < probability }

  mutating func number(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next() * Double(range.count))
  }

  /// A number of two decimals, which a command line repeats exactly.
  private mutating func decimal(_ range: ClosedRange<Double>) -> Double {
    let value = range.lowerBound + next() * (range.upperBound - range.lowerBound)
    return (value * 100).rounded() / 100
  }

  private mutating func one<Value>(of values: [Value]) -> Value {
    values[number(0...values.count - 1)]
  }

  /// The factor of inputs and states, 1 for half of the cases.
  ///
  /// Normalisation squares it, merges by multiplication square it in each layer, and the gates of a second
  /// layer are not saturated, so that gradients there are multiplied by two states: the results have to be
  /// numbers of Float32.
  mutating func scale(of configuration: RecurrentConfiguration) -> Double {
    let largest =
      configuration.merge == .multiply
      ? 1e3 : configuration.options.layerNorm || configuration.layers > 1 ? 1e6 : 1e30
    return happens(0.5) ? 1 : one(of: [30, 1e3, 1e6, 1e30].filter { $0 <= largest })
  }

  /// The options that have values of their own here; a forget bias is no part of an equation.
  private static let drawn: Set<CellOption> = [
    .recurrence, .forgetGate, .peepholes, .cellClip, .gruReset, .projectionSize, .layerNorm,
    .forgetBias, .recurrentDropout, .zoneoutHidden, .zoneoutCell, .dropConnect,
  ]

  mutating func configuration() -> RecurrentConfiguration {
    let cell = one(of: Cell.allCases)
    var result = RecurrentConfiguration(
      cell: cell, inputSize: number(1...largest), hiddenSize: number(1...largest),
      layers: number(1...mostLayers),
      direction: one(of: Direction.allCases))
    if result.direction == .bidirectional { result.merge = one(of: Merge.allCases) }
    if happens(0.3) { result.dropout = decimal(0.1...0.6) }
    result.options.bias = one(of: BiasMode.allCases)
    if cell.has(.recurrence), happens(0.3) {
      result.options.recurrence = one(of: [.dense, .diagonal, .blocks(number(2...4))])
    }
    drawNoise(&result.options, of: cell)
    result.options.layerNorm = cell.has(.layerNorm) && happens(0.2)
    if result.options.layerNorm {
      result.hiddenSize = max(result.hiddenSize, 8)
      result.layers = min(result.layers, 2)
    }
    if cell.has(.gruReset), happens(0.3) { result.options.gruReset = .before }
    for name in cell.activationNames where happens(0.25) {
      result.options.activations[name] = activation(
        isBounded: !["hidden", "cell", "new"].contains(name))
    }
    for name in cell.holdableGates where happens(0.1) {
      result.options.overrides[name] = decimal(-1...1)
    }
    if cell.has(.projectionSize), happens(0.25) {
      result.options.projectionSize = number((result.options.layerNorm ? 8 : 1)...largest)
    }
    if cell.has(.zoneoutCell), happens(0.2) { result.options.zoneoutCell = decimal(0.1...0.6) }
    if cell.has(.forgetGate), happens(0.5) {
      result.options.forgetGate = one(of: [
        .coupled, .input, .output, .constant(decimal(0...1)),
      ])
    }
    result.options.peepholes = cell.has(.peepholes) && happens(0.4)
    if cell.has(.cellClip), happens(0.3) {
      result.options.cellClip = decimal((result.options.layerNorm ? 0.3 : 0.1)...1)
    }
    for option in CellOption.allCases where !Self.drawn.contains(option) {
      if cell.has(option), happens(0.2) { option.setSample(in: &result.options) }
    }
    return result
  }

  private mutating func drawNoise(_ options: inout CellOptions, of cell: Cell) {
    if cell.has(.recurrentDropout), happens(0.2) { options.recurrentDropout = decimal(0.1...0.6) }
    if happens(0.2) { options.zoneoutHidden = decimal(0.1...0.6) }
    if cell.has(.dropConnect), happens(0.2) { options.dropConnect = decimal(0.1...0.6) }
  }

  /// A function whose parameters keep the states of twenty steps within a few powers of ten.
  ///
  /// What is multiplied with a state is bounded, or else states would grow with the square of
  /// themselves.
  private mutating func activation(isBounded: Bool) -> Activation {
    let bounded: [Activation.Function] = [.sigmoid, .tanh, .scaledTanh, .hardSigmoid, .softsign]
    let all = Activation.Function.allCases.filter { $0 != .constant }
    let function = one(of: isBounded ? bounded : all)
    switch function {
    case .affine: return Activation(function, alpha: decimal(-0.8...0.8), beta: decimal(-0.5...0.5))
    case .scaledTanh:
      return Activation(function, alpha: decimal(0.2...1.2), beta: decimal(0.2...1.2))
    case .hardSigmoid:
      return Activation(function, alpha: decimal(0.1...0.5), beta: decimal(0.3...0.7))
    case .leakyRelu, .thresholdedRelu, .elu: return Activation(function, alpha: decimal(0...1))
    case .sigmoid, .tanh, .relu, .softsign, .softplus, .constant, .positive:
      return Activation(function)
    }
  }
}
