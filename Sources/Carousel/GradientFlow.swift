import CarouselFormats
import CarouselModel

/// How the gradient of a loss at the last step travels back through the steps.
///
/// The loss is `Σ p⊙h_T` over the last layer's hidden state after T steps, p drawn at random with
/// ‖p‖ = 1, so that ‖∂loss/∂h_T‖ is 1 and every other norm says what is left of it. A layer that reads
/// backward ends at step 1, which then takes the place of step T; a bidirectional one is followed in each
/// direction.
public struct GradientFlow: Sendable {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// The parameters under their bare names.
  public let parameters: [String: Tensor]
  /// The input, `[T, N, C]`.
  public let x: Tensor
  /// Draws p.
  public let seed: UInt64

  /// Layers at initialisation, over T steps of N sequences drawn from the standard normal
  /// distribution.
  ///
  /// Throws a usage error where the layers make no sense.
  public init(
    _ configuration: RecurrentConfiguration, sequenceLength: Int, batchSize: Int, seed: UInt64
  ) throws(CarouselError) {
    try self.init(
      configuration, parameters: configuration.drawnParameters(seed: seed),
      x: ComparisonInput.normal(
        [sequenceLength, batchSize, configuration.inputSize], seed: seed, index: 0), seed: seed)
  }

  /// A model's layers, over T steps of N sequences: of tokens drawn uniformly where the model has an
  /// embedding, else of the standard normal distribution.
  ///
  /// Throws `badData` where the embedding is of another width than the layers read.
  public init(
    _ model: RecurrentModel, sequenceLength: Int, batchSize: Int, seed: UInt64
  ) throws(CarouselError) {
    let width = model.configuration.inputSize
    let shape: Shape = [sequenceLength, batchSize, width]
    var x = ComparisonInput.normal(shape, seed: seed, index: 0)
    if let embedding = try model.embedding() {
      guard embedding.shape.rank == 2, embedding.shape[0] > 0, embedding.shape[1] == width else {
        throw CarouselError(
          .badData,
          "\(model.source): the tensor 'embedding.weight' has the shape \(embedding.shape), "
            + "expected [V, \(width)]")
      }
      let tokens = ComparisonInput.indices(
        count: sequenceLength * batchSize, below: embedding.shape[0], seed: seed, index: 0)
      x = embedding.gathering(
        tokens.lazy.map { Int($0) * width..<(Int($0) + 1) * width }, as: shape)
    }
    try self.init(model.configuration, parameters: model.parameters(), x: x, seed: seed)
  }

  /// A network's layers as they are now, over T steps of N sequences drawn as for a model.
  ///
  /// Throws as that does.
  public init<B: Backend>(
    _ network: Network<B>, sequenceLength: Int, batchSize: Int, seed: UInt64
  ) throws {
    let tensors = try network.parameters.tensors()
    try self.init(
      RecurrentModel(
        network.configuration.recurrent,
        parameters: Dictionary(
          uniqueKeysWithValues: tensors.filter { $0.name.hasPrefix("recurrent.") }.map {
            (String($0.name.dropFirst("recurrent.".count)), $0.tensor)
          }),
        embedding: tensors.first { $0.name == "embedding.weight" }?.tensor, source: "the network"),
      sequenceLength: sequenceLength, batchSize: batchSize, seed: seed)
  }

  /// Layers with given parameters that read `x [T, N, C]`; `seed` draws p.
  ///
  /// Throws a usage error where the layers make no sense.
  init(
    _ configuration: RecurrentConfiguration, parameters: [String: Tensor], x: Tensor, seed: UInt64
  ) throws(CarouselError) {
    try configuration.validate()
    self.configuration = configuration
    self.parameters = parameters
    self.x = x
    self.seed = seed
  }

  /// The directions of the last layer, forward first: what `direction` can be.
  public var directions: [Direction] {
    configuration.direction == .bidirectional ? [.forward, .reverse] : [configuration.direction]
  }

  /// The last layer in a direction.
  private func unit(_ direction: Direction?) -> RecurrentUnit {
    let units = configuration.units.suffix(directions.count)
    let isReverse = (direction ?? directions[0]) == .reverse
    guard let unit = units.first(where: { $0.layer.isReverse == isReverse }) else {
      preconditionFailure("the layers have no such direction")
    }
    return unit
  }

  /// The largest magnitude among the eigenvalues of the last layer's recurrent weights.
  ///
  /// It foretells whether the gradient of an RNN vanishes or explodes; nil for other cells. Without a
  /// `direction` it is that of the first of `directions`.
  public func spectralRadius(of direction: Direction? = nil) -> Double? {
    guard configuration.cell.traits.gates.count == 1,
      let weight = parameters["weight_hh" + unit(direction).suffix]
    else { return nil }
    switch configuration.options.recurrence {
    case .dense: return Carousel.spectralRadius(of: weight)
    case .absent: return nil
    case .diagonal: return weight.values.reduce(0) { max($0, $1.magnitude) }
    case .blocks(let count):
      // The eigenvalues of a block-diagonal matrix are those of its blocks.
      let (extent, size) = (weight.shape[2], weight.shape.count / count)
      return (0..<count).map { block in
        Carousel.spectralRadius(
          of: weight.gathering(
            CollectionOfOne(block * size..<(block + 1) * size), as: [extent, extent]))
      }.max()
    }
  }

  /// The norms at the steps 1 to T: T passes over one step each way, and as many that see c alone.
  ///
  /// Without a `direction` they are those of the first of `directions`. `ofCell` says whether the norms of c
  /// are wanted, which take half of the time.
  public func norms<B: Backend>(
    on backend: B, direction: Direction? = nil, ofCell: Bool = true
  ) throws -> [GradientNorm] {
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: nil)
    try store.load(parameters, source: "the parameters")
    let unit = unit(direction)
    let inputs = try lastLayerInput(store)
    let chain = try GradientChain(
      configuration, suffix: unit.suffix, store: store,
      inputs: unit.layer.isReverse ? inputs.reversed() : inputs, batchSize: x.shape[1],
      measuresCell: ofCell)
    let gradient = ComparisonInput.normal(
      [x.shape[1], configuration.stateSize], seed: seed, index: 1
    ).values
    let norm = gradient.euclideanNorm
    let norms = try chain.norms(gradHidden: gradient.map { $0 / norm })
    guard unit.layer.isReverse else { return norms }
    return norms.reversed().map {
      GradientNorm(step: inputs.count + 1 - $0.step, hidden: $0.hidden, cell: $0.cell)
    }
  }

  /// What the last layer reads at each step, `[N, C]`.
  private func lastLayerInput<B: Backend>(_ store: ParameterStore<B>) throws -> [[Double]] {
    let (sequenceLength, batchSize) = (x.shape[0], x.shape[1])
    var values = x.values
    if configuration.layers > 1 {
      var lower = configuration
      lower.layers -= 1
      let stack = try RecurrentStack(
        lower, store: store, prefix: "", sequenceLength: sequenceLength, batchSize: batchSize,
        training: false)
      try stack.forward(x: store.backend.makeBuffer(x), initial: nil, final: nil)
      values = try store.backend.read(
        stack.y, count: sequenceLength * batchSize * configuration.outputSize)
    }
    let count = values.count / sequenceLength
    return (0..<sequenceLength).map { Array(values[$0 * count..<($0 + 1) * count]) }
  }
}

extension [Double] {
  /// The square root of Σ x².
  var euclideanNorm: Double { reduce(0) { $0 + $1 * $1 }.squareRoot() }
}
