import CarouselModel

/// A recurrent stack, forward and backward, or forward alone as in inference.
public struct RecurrentComparison: ComparisonCase {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// The steps of each sequence, from 0 to T; nil means T everywhere.
  public var lengths: [Int]?
  /// The factor of x and the initial states, which are normal numbers without it, states of half the size.
  public var scale: Double
  /// Whether the initial states are given, or zeros.
  public var givenStates: Bool
  /// Whether the gradients of the final states are given, or zeros.
  public var finalGradients: Bool
  /// Whether there is a backward pass.
  public var training: Bool

  /// Describes a case.
  public init(
    _ configuration: RecurrentConfiguration, sequenceLength: Int, batchSize: Int,
    lengths: [Int]? = nil,
    scale: Double = 1, givenStates: Bool = true, finalGradients: Bool = true, training: Bool = true
  ) {
    self.configuration = configuration
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.lengths = lengths
    self.scale = scale
    self.givenStates = givenStates
    self.finalGradients = finalGradients
    self.training = training
  }

  /// `recurrent`.
  public var operation: String { "recurrent" }
  /// The layers' cell.
  public var cell: Cell? { configuration.cell }
  /// T, N, C, H and L.
  public var sizes: KeyValuePairs<String, Int> {
    [
      "sequenceLength": sequenceLength, "batchSize": batchSize,
      "inputSize": configuration.inputSize,
      "hiddenSize": configuration.hiddenSize, "layers": configuration.layers,
    ]
  }
  /// The options of the layers, and what is given.
  public var options: [CaseOption] {
    configuration.caseOptions + [
      ("lengths", lengths.map { $0.map(String.init).joined(separator: " ") } ?? "all"),
      ("mode", training ? "training" : "inference"),
      ("states", givenStates ? "given" : "zero"),
      ("finalGradients", finalGradients && training ? "given" : "zero"),
    ] + (scale == 1 ? [] : [("scale", "\(scale)")])
  }
  /// The larger of what a layer's input and state have elements.
  public var sumLength: Int {
    max(
      configuration.inputSize, configuration.hiddenSize,
      configuration.layers > 1 ? configuration.outputSize : 0)
  }

  /// y, the final states, and with training all gradients.
  public func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    try pass(seed: seed).tensors(on: backend)
  }

  /// The pass over inputs drawn from a seed.
  public func pass(seed: UInt64) -> RecurrentPass {
    var pass = RecurrentPass(
      configuration, parameters: configuration.drawnParameters(seed: seed),
      x: ComparisonInput.normal(
        [sequenceLength, batchSize, configuration.inputSize], seed: seed, index: 0, deviation: scale
      ),
      lengths: lengths, dropoutSeed: training ? seed : nil)
    // The inputs of h and of the first state beside it have had these numbers before others came.
    func input(_ index: Int, of numbers: [Int]) -> Int {
      index < numbers.count ? numbers[index] : 10 * index + numbers[0]
    }
    func states(_ numbers: [Int], scale: Double = 1) -> [String: Tensor] {
      let names = configuration.cell.traits.stateNames
      return Dictionary(
        uniqueKeysWithValues: names.enumerated().map { index, name in
          (
            name,
            ComparisonInput.normal(
              pass.stateShape(name), seed: seed, index: input(index, of: numbers),
              deviation: 0.5 * scale)
          )
        })
    }
    if givenStates {
      let initial = states([1, 2], scale: scale)
      pass.initial = initial
      for memory in configuration.cell.traits.memory where memory.isPositive {
        guard let tensor = initial[memory.name] else { continue }
        pass.initial[memory.name] = Tensor(
          tensor.shape, tensor.values.map { Double(Float(1 + $0.magnitude)) })
      }
    }
    if training {
      pass.gradients = RecurrentPass.Gradients(
        y: ComparisonInput.normal(pass.outputShape, seed: seed, index: 3))
    }
    if training, finalGradients {
      let final = states([4, 5])
      pass.gradients?.final = final
    }
    return pass
  }
}

extension RecurrentConfiguration {
  /// Parameters as a seed draws them before training, on the host.
  func drawnParameters(seed: UInt64) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for (index, description) in parameterDescriptions.enumerated() {
      let random = Philox(seed: seed, stream: RandomStream.initialization(parameter: index))
      result[description.name] = Tensor(
        description.shape,
        description.initializer.values(count: description.shape.count, random: random))
    }
    return result
  }
}
