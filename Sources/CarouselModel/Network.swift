/// A network with its parameters, in a backend's memory: a graph, see `NetworkConfiguration.graph`; `NetworkPass`
/// computes with it.
public final class Network<B: Backend> {
  /// What the network is made of.
  public let configuration: NetworkConfiguration
  /// The network as a graph with its parameters.
  public let model: GraphModel<B>
  /// The parameters.
  public var parameters: ParameterStore<B> { model.parameters }
  /// What computes.
  public var backend: B { model.backend }

  /// Allocates a network; `seed` draws its initial parameters, nil leaves them 0, to be loaded.
  public init(_ configuration: NetworkConfiguration, backend: B, seed: UInt64?) throws {
    try configuration.validate()
    self.configuration = configuration
    model = try GraphModel(configuration.graph, backend: backend, seed: seed)
  }
}

/// The activations of a network for fixed T and N, and the passes over them.
///
/// Several passes of different sizes may share one network.
public final class NetworkPass<B: Backend> {
  /// What a pass computes.
  public enum Purpose: Sendable {
    /// The outputs.
    case outputs
    /// The outputs and how far they are from targets.
    case loss
    /// That in training, and the gradients of all parameters.
    case gradients
  }

  /// The network whose parameters are used.
  public let network: Network<B>
  /// T and N.
  public let sequenceLength: Int, batchSize: Int
  /// What the pass computes.
  public let purpose: Purpose
  /// The states of every layer, zero at first: a pass reads them and leaves the final ones, so that the next one
  /// goes on where this one ended.
  public var states: [RecurrentState<B.Buffer>] { carried.all }
  /// `[T, N, O]`, after a pass.
  public let logits: B.Buffer

  private let carried: GraphStates<B>
  private let pass: GraphPass<B>

  /// Allocates the activations for T steps of N sequences.
  public init(
    _ network: Network<B>, sequenceLength: Int, batchSize: Int, purpose: Purpose
  ) throws {
    let (configuration, backend) = (network.configuration, network.backend)
    try backend.checkSizes(
      sequenceLength: sequenceLength, batchSize: batchSize, width: configuration.outputSize)
    self.network = network
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.purpose = purpose
    let (loss, y) = (NetworkConfiguration.lossName, NetworkConfiguration.outputName)
    let graph = network.model.graph.selecting(outputs: purpose == .outputs ? [y] : [loss, y])
    let program = try GraphProgram(
      graph, shapes: graph.shapes(sequenceLength: sequenceLength, batchSize: batchSize),
      training: purpose == .gradients)
    carried = try GraphStates(program, backend: backend)
    pass = try GraphPass(program, network.model, states: carried)
    logits = try pass.buffer(of: y)
  }

  /// Sets every state to zero: the next pass begins a new text.
  public func resetStates() throws { try carried.reset() }

  /// Queues a pass from `tokens [T, N]` to `logits`.
  public func forward(tokens: [Int32]) throws { try forward(.tokens(tokens)) }

  /// Queues a pass from an input to `logits`.
  ///
  /// Throws a usage error where the pass is one for a loss, which needs targets too.
  public func forward(_ input: NetworkInput) throws {
    guard purpose == .outputs else {
      throw CarouselError(.usage, "the pass computes a loss, for which it needs targets")
    }
    try pass.forward(network.configuration.tensors(input, nil, sequenceLength, batchSize))
  }

  /// The mean cross-entropy in nats of a pass over `tokens [T, N]`, over the `targets [T, N]` that are not negative.
  ///
  /// This waits for the device.
  public func loss(tokens: [Int32], targets: [Int32]) throws -> Double {
    try loss(.tokens(tokens), .classes(targets))
  }

  /// The loss of a pass, without dropout; waits for the device.
  public func loss(_ input: NetworkInput, _ targets: NetworkTargets) throws -> Double {
    guard purpose != .outputs else {
      throw CarouselError(.usage, "the pass was not made for a loss")
    }
    try pass.forward(network.configuration.tensors(input, targets, sequenceLength, batchSize))
    return try readLoss()
  }

  /// Forward and backward: leaves the gradients in the network's store and returns the mean
  /// cross-entropy in nats.
  ///
  /// The one read of the loss is all that the host waits for.
  public func lossAndGradients(
    tokens: [Int32], targets: [Int32], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws -> Double {
    try queueGradients(.tokens(tokens), .classes(targets), dropoutSeed: dropoutSeed)
    return try readLoss()
  }

  /// Queues a forward and a backward pass, which leaves the gradients in the network's store, without
  /// waiting; `readLoss` waits.
  public func queueGradients(
    _ input: NetworkInput, _ targets: NetworkTargets,
    dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    guard purpose == .gradients else {
      throw CarouselError(.usage, "the pass was not made for training")
    }
    try pass.forward(
      network.configuration.tensors(input, targets, sequenceLength, batchSize),
      dropoutSeed: dropoutSeed)
    try pass.backward()
  }

  /// The loss that was queued last; waits for the device.
  public func readLoss() throws -> Double { try pass.loss() }
}

extension NetworkConfiguration {
  /// The names of the tensors of `graph`.
  package static let inputName = "x"
  package static let lengthsName = "lengths"
  package static let outputName = "output"
  package static let lossName = "loss"
  package static let targetName = "targets"
  package static let countedName = "counted"

  /// The network as a graph: what it reads, `x`, becomes its `output` `[T, N, O]`, and with the `targets` its `loss`,
  /// the first output.
  ///
  /// Tokens `x [T, N]` are embedded, features `x [T, N, C]` are read as they are. Of tokens the targets are classes
  /// `[T, N]`, of which a negative one does not count; of features values `[T, N, O]`, with `counted [T, N]`, 0 where
  /// a step does not count. The graph's parameters are `parameterDescriptions`.
  public var graph: Graph {
    graph(loss: vocabularySize == nil ? .regression(.squared) : .crossEntropy(smoothing: 0))
  }

  /// The same with another loss, and for sequences that are read otherwise.
  ///
  /// With `pooling` the linear layer reads what that makes of the steps of each sequence, and the `output` is `[N, O]`;
  /// outputs and targets have a row for each sequence then. With `hasLengths` the steps of each sequence are an input,
  /// `lengths [N]`. The targets of a cross-entropy are classes, which `classWeights [O]` weigh; those of a regression
  /// are values, as many in a row as its O predictions are for.
  package func graph(
    pooling: TimePooling? = nil, hasLengths: Bool = false, loss: GraphLoss,
    classWeights: [Double]? = nil
  ) -> Graph {
    var graph = Graph()
    var x: String
    if let vocabularySize {
      x = graph.embedding(
        graph.input(Self.inputName, type: .int32, ["T", "N"]), vocabularySize: vocabularySize,
        width: recurrent.inputSize, name: "embedding")
    } else {
      x = graph.input(Self.inputName, ["T", "N", .fixed(recurrent.inputSize)])
    }
    let lengths = hasLengths ? graph.input(Self.lengthsName, type: .int32, ["N"]) : nil
    x = graph.recurrent(x, lengths: lengths, recurrent, name: "recurrent")
    if let pooling { x = graph.add(.timePool(pooling), x, lengths, name: "pooled") }
    let y = graph.linear(
      x, inputSize: recurrent.outputSize, outputSize: outputSize, name: Self.outputName)
    let rows: [Dimension] = pooling == nil ? ["T", "N"] : ["N"]
    if case .regression(let kind) = loss {
      let width = outputSize / kind.predictionsPerTarget
      _ = graph.add(
        .loss(loss), y, graph.input(Self.targetName, rows + [.fixed(width)]),
        graph.input(Self.countedName, type: .int32, rows), name: Self.lossName)
    } else {
      let weights = classWeights.map { graph.constant(GraphTensor(Tensor([outputSize], $0))) }
      _ = graph.add(
        .loss(loss), y, graph.input(Self.targetName, type: .int32, rows), weights,
        name: Self.lossName)
    }
    graph.outputs = [Self.lossName, y]
    return graph
  }

  /// What counts of targets: the steps of sequences that do, or all their values.
  package func count(_ targets: NetworkTargets) -> Double {
    Double(targets.count * (vocabularySize == nil ? outputSize : 1))
  }

  /// The inputs of `graph` for a pass; throws where one is of another size or kind than the network's.
  package func tensors(
    _ input: NetworkInput, _ targets: NetworkTargets?, _ sequenceLength: Int, _ batchSize: Int
  ) throws(CarouselError) -> [String: GraphTensor] {
    var result = try tensors(input, sequenceLength, batchSize)
    guard let targets else { return result }
    try check(targets, rows: sequenceLength * batchSize)
    result.merge(tensors(targets, [sequenceLength, batchSize])) { $1 }
    return result
  }

  /// The input of `graph(pooling:hasLengths:loss:classWeights:)`, and with `lengths` those; throws where the input is
  /// of another size or kind than the network's.
  package func tensors(
    _ input: NetworkInput, lengths: [Int32]? = nil, _ sequenceLength: Int, _ batchSize: Int
  ) throws(CarouselError) -> [String: GraphTensor] {
    try check(input, rows: sequenceLength * batchSize)
    let axes = [sequenceLength, batchSize]
    var result: [String: GraphTensor] = [:]
    switch input {
    case .tokens(let tokens): result[Self.inputName] = GraphTensor(tokens, axes)
    case .features(let features): result[Self.inputName] = GraphTensor(features, axes)
    }
    if let lengths { result[Self.lengthsName] = GraphTensor(lengths, [batchSize]) }
    return result
  }

  /// The targets of the same graph, of rows with these axes.
  package func tensors(_ targets: NetworkTargets, _ axes: [Int]) -> [String: GraphTensor] {
    switch targets {
    case .classes(let classes): [Self.targetName: GraphTensor(classes, axes)]
    case .values(let values, let counted):
      [
        Self.targetName: GraphTensor(values, axes),
        Self.countedName: GraphTensor(counted, axes),
      ]
    }
  }
}

extension GraphTensor {
  /// Numbers of rows with these axes, as many in each.
  fileprivate init(_ values: [Double], _ axes: [Int]) {
    self.init(Tensor(Shape(axes + [values.count / axes.reduce(1, *)]), values))
  }

  /// A whole number for each row.
  fileprivate init(_ values: [Int32], _ axes: [Int]) {
    self.init(Tensor(Shape(axes), values.map(Double.init)), type: .int32)
  }
}
