import CarouselModel

/// Three steps of an optimizer with gradient clipping.
package struct OptimizerComparison: ComparisonCase {
  let name: String
  let optimizer: Optimizer
  let count: Int
  /// The norm that gradients are clipped to, if any.
  var maximumNorm: Double?
  /// `optimize`.
  package var operation: String { "optimize" }
  /// The number of parameters.
  package var sizes: KeyValuePairs<String, Int> { ["count": count] }
  /// The optimizer and its clipping.
  package var options: [CaseOption] {
    [("optimizer", name), ("maximumNorm", maximumNorm.map { "\($0)" } ?? "none")]
  }

  /// The parameters and the moments after the last step.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let shape: Shape = [count]
    let parameters = try backend.makeBuffer(ComparisonInput.normal(shape, seed: seed, index: 0))
    let gradients = try backend.makeBuffer(count: count)
    let moments = try (0..<optimizer.momentCount).map { _ in
      try backend.makeBuffer(count: count)
    }
    let norm = try backend.makePoisonedBuffer(count: 1)
    for step in 1...3 {
      let values = ComparisonInput.normal(shape, seed: seed, index: step).values
      try backend.write(values, to: gradients)
      try backend.norm(of: gradients, count: count, into: norm)
      try backend.optimize(
        optimizer, parameters: parameters, gradients: gradients, moments: moments, count: count,
        learningRate: 0.05, gradientNorm: norm, maximumNorm: maximumNorm, step: step)
    }
    return [("parameters", try backend.readTensor(parameters, shape))]
      + (try moments.enumerated().map {
        ("moment_\($0.offset)", try backend.readTensor($0.element, shape))
      })
  }
}

/// A whole network's training step: two windows of a text, the state carried from one to the next.
package struct NetworkComparison: ComparisonCase {
  let configuration: NetworkConfiguration
  let sequenceLength: Int, batchSize: Int
  /// `network`.
  package var operation: String { "network" }
  /// The recurrent layers' cell.
  package var cell: Cell? { configuration.recurrent.cell }
  /// T, N, V, C, H and L.
  package var sizes: KeyValuePairs<String, Int> {
    let recurrent = configuration.recurrent
    return [
      "sequenceLength": sequenceLength, "batchSize": batchSize,
      "vocabularySize": configuration.outputSize,
      "inputSize": recurrent.inputSize, "hiddenSize": recurrent.hiddenSize,
      "layers": recurrent.layers,
    ]
  }
  /// Those of the recurrent layers.
  package var options: [CaseOption] { configuration.recurrent.caseOptions }

  /// The losses, the last gradients, and the parameters after a clipped step of SGD on them.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    let network = try Network(configuration, backend: backend, seed: seed)
    let store = network.parameters
    let pass = try NetworkPass(
      network, sequenceLength: sequenceLength, batchSize: batchSize, purpose: .gradients)
    let losses = try (0..<2).map { window in
      let tokens = ComparisonInput.indices(
        count: sequenceLength * batchSize, below: configuration.outputSize, seed: seed,
        index: 2 * window
      )
      let targets = ComparisonInput.indices(
        count: sequenceLength * batchSize, below: configuration.outputSize, seed: seed,
        index: 2 * window + 1)
      return try pass.lossAndGradients(
        tokens: tokens, targets: targets, dropoutSeed: (seed, window))
    }
    var result: [NamedTensor] = [("loss", Tensor([2], losses))]
    result += try store.gradientTensors().map { ("grad_" + $0.name, $0.tensor) }
    let norm = try backend.makePoisonedBuffer(count: 1)
    try backend.norm(of: store.gradients, count: store.count, into: norm)
    try backend.optimize(
      .sgd(momentum: 0, weightDecay: 0.01), parameters: store.values, gradients: store.gradients,
      moments: [], count: store.count, learningRate: 0.5, gradientNorm: norm, maximumNorm: 0.25,
      step: 1)
    result += try store.tensors().map { ($0.name, $0.tensor) }
    return result + [("logits", try inferredLogits(network, seed: seed))]
  }

  /// The logits of inference, one step at a time, states carried.
  private func inferredLogits<B: Backend>(_ network: Network<B>, seed: UInt64) throws -> Tensor {
    let pass = try NetworkPass(
      network, sequenceLength: 1, batchSize: batchSize, purpose: .outputs)
    let shape: Shape = [1, batchSize, configuration.outputSize]
    for step in 0..<3 {
      let tokens = ComparisonInput.indices(
        count: batchSize, below: configuration.outputSize, seed: seed, index: 4 + step)
      try pass.forward(tokens: tokens)
    }
    return try network.backend.readTensor(pass.logits, shape)
  }
}
