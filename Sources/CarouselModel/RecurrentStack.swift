/// A stack of recurrent layers bound to sizes: its parameters are a store's, its activations its own.
///
/// Several stacks of different sizes may share one store: a wide one for training, a narrow one to
/// generate. States are given and returned in PyTorch's order: from the bottom, forward before
/// reverse.
public final class RecurrentStack<B: Backend> {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// The outputs of the last layer, `[T, N, D·H]`, once `forward` is queued.
  public var y: B.Buffer { outputs[outputs.count - 1] }
  /// Which sequences of a larger batch these are, for what is drawn at random; nil where they are all.
  package var slice: BatchSlice?

  private let backend: B
  private let training: Bool
  private let units: [Unit]
  /// The outputs of each layer before dropout: where nothing is merged those of its units.
  private let outputs: [B.Buffer]
  /// What the layer above reads: `outputs` itself where nothing is dropped.
  private let dropped: [B.Buffer]
  /// ∂loss/∂output of each layer but the last.
  private let gradOutputs: [B.Buffer]
  /// ∂loss/∂output of the two directions of a layer where it is not a part of the layer's, and
  /// ∂loss/∂input of the second.
  private let gradDirections: [B.Buffer]
  private let gradSecondInput: B.Buffer?
  private var rows: Int { sequenceLength * batchSize }
  private var outputCount: Int { rows * configuration.outputSize }

  /// One direction of one layer, its parameters and its activations.
  private struct Unit {
    let layer: RecurrentLayer
    let parameters: RecurrentParameters<B.Buffer>, gradients: RecurrentParameters<B.Buffer>
    let reserve: B.RecurrentReserve
    let y: B.Buffer
    let stateRows: StateRows
  }

  /// Allocates the activations for T steps of N sequences; with `training`, for a backward pass too.
  public init(
    _ configuration: RecurrentConfiguration, store: ParameterStore<B>, prefix: String,
    sequenceLength: Int,
    batchSize: Int, training: Bool
  ) throws {
    let backend = store.backend
    try configuration.validate()
    try backend.checkSizes(
      sequenceLength: sequenceLength, batchSize: batchSize,
      width: configuration.outputSize + configuration.inputSize)
    let rows = sequenceLength * batchSize
    let outputCount = rows * configuration.outputSize
    self.configuration = configuration
    self.backend = backend
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.training = training
    let directions = configuration.directions
    let isMerged = configuration.mergesDirections
    func makeOutputs(_ count: Int) throws -> [B.Buffer] {
      try (0..<count).map { _ in try backend.makeBuffer(count: outputCount) }
    }
    let outputs = try makeOutputs(configuration.layers)
    let units = try configuration.units.enumerated().map { index, description in
      try Unit(
        layer: description.layer,
        parameters: store.recurrent(prefix: prefix, suffix: description.suffix),
        gradients: store.recurrentGradients(prefix: prefix, suffix: description.suffix),
        reserve: backend.makeReserve(
          for: description.layer, sequenceLength: sequenceLength, batchSize: batchSize,
          training: training),
        y: isMerged
          ? backend.makeBuffer(count: rows * configuration.stateSize)
          : outputs[index / directions],
        stateRows: StateRows(
          stride: isMerged ? configuration.stateSize : configuration.outputSize,
          offset: isMerged ? 0 : index % directions * configuration.stateSize))
    }
    self.units = units
    self.outputs = outputs
    let inner = configuration.layers - 1
    dropped =
      training && configuration.dropout > 0
      ? try makeOutputs(inner) : Array(outputs.prefix(inner))
    gradOutputs = training ? try makeOutputs(inner) : []
    gradDirections =
      training && isMerged
      ? try (0..<2).map { _ in try backend.makeBuffer(count: rows * configuration.stateSize) } : []
    let widest = max(configuration.inputSize, inner > 0 ? configuration.outputSize : 0)
    gradSecondInput =
      training && directions == 2 ? try backend.makeBuffer(count: rows * widest) : nil
  }

  /// Copies the states of every layer and direction.
  func copy(
    _ source: [RecurrentState<B.Buffer>], to destination: [RecurrentState<B.Buffer>]
  ) throws {
    for (from, to) in zip(source, destination) {
      try backend.copy(from.hidden, to: to.hidden, count: batchSize * configuration.stateSize)
      if let memory = from.memory, let other = to.memory {
        try backend.copy(memory, to: other, count: batchSize * configuration.memorySize)
      }
    }
  }

  /// Zero states for every layer and direction, h `[N, P]` and the others `[N, M, H]`, to be carried from
  /// one call of `forward` to the next.
  public func makeStates() throws -> [RecurrentState<B.Buffer>] {
    let (P, MH) = (configuration.stateSize, configuration.memorySize)
    return try units.map { _ in
      RecurrentState(
        hidden: try backend.makeBuffer(count: batchSize * P),
        memory: MH > 0 ? try backend.makeBuffer(count: batchSize * MH) : nil)
    }
  }

  /// All layers over all steps; the result is `y`.
  ///
  /// - Parameters:
  ///   - x: `[T, N, C]`.
  ///   - lengths: the steps of each sequence `[N]`; nil means T everywhere.
  ///   - initial: the states of every layer and direction; nil means zeros.
  ///   - final: receives the last states of every layer and direction; may be `initial`.
  ///   - dropoutSeed: the seed and the step whose masks are drawn, between layers and within; nil drops
  ///     nothing.
  ///   - segment: which part of a long window this is, see `RecurrentNoise`.
  /// - Throws: where the device fails.
  public func forward(
    x: B.Buffer, lengths: B.IndexBuffer? = nil, initial: [RecurrentState<B.Buffer>]?,
    final: [RecurrentState<B.Buffer>]?, dropoutSeed: (seed: UInt64, step: Int)? = nil,
    segment: Int = 0
  ) throws {
    let directions = configuration.directions
    for layer in 0..<configuration.layers {
      for index in layer * directions..<(layer + 1) * directions {
        try backend.recurrentForward(
          work(
            index, x: input(layer, x: x), lengths: lengths, initial: initial, seed: dropoutSeed,
            segment: segment),
          final: final?[index])
      }
      if configuration.mergesDirections {
        try backend.mergeForward(
          configuration.merge, units[2 * layer].y, units[2 * layer + 1].y, into: outputs[layer],
          rows: rows, width: configuration.stateSize)
      }
      if layer < configuration.layers - 1 {
        try dropForward(layer: layer, seed: dropoutSeed, segment: segment)
      }
    }
  }

  /// The backward pass of the last `forward`, with the same arguments.
  ///
  /// The gradients of the parameters go to the store.
  ///
  /// - Parameters:
  ///   - x: what `forward` read.
  ///   - lengths: what `forward` read.
  ///   - initial: what `forward` read, unchanged.
  ///   - gradY: ∂loss/∂y `[T, N, D·H]`.
  ///   - gradFinal: ∂loss/∂ the last states beyond `gradY`; nil means zeros.
  ///   - gradX: receives ∂loss/∂x `[T, N, C]` where wanted.
  ///   - gradInitial: receives the gradients of `initial` of every layer and direction where wanted.
  ///   - dropoutSeed: as in `forward`.
  ///   - segment: as in `forward`.
  ///   - layerIsDone: hears of each layer, from the last to the first, once its gradients are queued.
  /// - Throws: where the device fails.
  public func backward(
    x: B.Buffer, lengths: B.IndexBuffer? = nil, initial: [RecurrentState<B.Buffer>]?,
    gradY: B.Buffer, gradFinal: [RecurrentState<B.Buffer>]? = nil, gradX: B.Buffer? = nil,
    gradInitial: [RecurrentState<B.Buffer>]? = nil, dropoutSeed: (seed: UInt64, step: Int)? = nil,
    segment: Int = 0, layerIsDone: (Int) throws -> Void = { _ in }
  ) throws {
    guard training else {
      throw CarouselError(.usage, "the stack keeps nothing for a backward pass")
    }
    let directions = configuration.directions
    for layer in (0..<configuration.layers).reversed() {
      let isLast = layer == configuration.layers - 1
      if !isLast { try dropBackward(layer: layer, seed: dropoutSeed, segment: segment) }
      let gradOutput = isLast ? gradY : gradOutputs[layer]
      let gradInput = layer == 0 ? gradX : gradOutputs[layer - 1]
      if configuration.mergesDirections {
        try backend.mergeBackward(
          configuration.merge, gradY: gradOutput, units[2 * layer].y, units[2 * layer + 1].y,
          gradA: gradDirections[0], gradB: gradDirections[1], rows: rows,
          width: configuration.stateSize)
      }
      for way in 0..<directions {
        let index = layer * directions + way
        try backend.recurrentBackward(
          work(
            index, x: input(layer, x: x), lengths: lengths, initial: initial, seed: dropoutSeed,
            segment: segment),
          gradY: configuration.mergesDirections ? gradDirections[way] : gradOutput,
          gradFinal: gradFinal?[index],
          gradX: way == 0 ? gradInput : gradInput == nil ? nil : gradSecondInput,
          gradInitial: gradInitial?[index],
          gradParameters: units[index].gradients)
      }
      if directions == 2, let gradInput, let gradSecondInput {
        try backend.add(
          gradSecondInput, to: gradInput, count: rows * units[2 * layer].layer.inputSize)
      }
      try layerIsDone(layer)
    }
  }

  private func work(
    _ index: Int, x: B.Buffer, lengths: B.IndexBuffer?, initial: [RecurrentState<B.Buffer>]?,
    seed: (seed: UInt64, step: Int)?, segment: Int
  ) -> RecurrentWork<B> {
    let unit = units[index]
    return RecurrentWork(
      layer: unit.layer, sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths,
      parameters: unit.parameters, x: x, initial: initial?[index], y: unit.y,
      stateRows: unit.stateRows, reserve: unit.reserve,
      noise: seed.map {
        var noise = RecurrentNoise(seed: $0.seed, step: $0.step, unit: index, segment: segment)
        noise.slice = slice
        return noise
      })
  }

  private func input(_ layer: Int, x: B.Buffer) -> B.Buffer { layer == 0 ? x : dropped[layer - 1] }

  private func dropForward(
    layer: Int, seed: (seed: UInt64, step: Int)?, segment: Int
  ) throws {
    guard training, configuration.dropout > 0 else { return }
    if let seed {
      try drop(outputs[layer], into: dropped[layer], layer: layer, seed: seed, segment: segment)
    } else {
      try backend.copy(outputs[layer], to: dropped[layer], count: outputCount)
    }
  }

  private func dropBackward(
    layer: Int, seed: (seed: UInt64, step: Int)?, segment: Int
  ) throws {
    guard configuration.dropout > 0, let seed else { return }
    try drop(
      gradOutputs[layer], into: gradOutputs[layer], layer: layer, seed: seed, segment: segment)
  }

  private func drop(
    _ source: B.Buffer, into destination: B.Buffer, layer: Int, seed: (seed: UInt64, step: Int),
    segment: Int
  ) throws {
    var random = Philox(
      seed: RandomStream.seed(seed.seed, segment: segment),
      stream: RandomStream.dropout(layer: layer, step: seed.step))
    random.window = slice?.window(width: configuration.outputSize)
    try backend.dropout(
      source, y: destination, count: outputCount, probability: configuration.dropout,
      random: random)
  }
}
