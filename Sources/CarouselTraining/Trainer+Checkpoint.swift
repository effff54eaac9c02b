import CarouselFormats
import CarouselModel

extension Trainer {
  /// Everything that the network and the run are, but tensors.
  private var description: Checkpoint.Description {
    Checkpoint.Description(
      task: task, network: network.configuration,
      vocabulary: task == .text ? vocabulary : nil, settings: settings, text: texts?.identity,
      heldOut: texts?.heldOut, data: dataDescription,
      position: position, computedOn: network.backend.record, metrics: loop.session.lines)
  }

  /// What a new run began as, drawn again, with all that the first step needs.
  ///
  /// Removes what is needed for this alone.
  func saveBeginning(to folder: RunFolder) throws {
    defer { initialWeights = nil }
    guard ranks.isFirst else { return }
    let (backend, configuration) = (network.backend, network.configuration)
    let parameters = try Network(configuration, backend: backend, seed: settings.seed).parameters
    try initialWeights?.write(to: parameters)
    let moments = try OptimizerState(settings.optimizer.optimizer, store: parameters)
    let average = try settings.averageDecay.map { try WeightAverage(parameters, decay: $0) }
    let zeros = stateDescriptions(pieces: 0..<pieces.count).map { name, shape in
      (name: name, tensor: Tensor(zeros: shape))
    }
    var description = description
    description.position = TrainingPosition()
    description.metrics = []
    try Checkpoint.write(
      description,
      tensors: parameters.tensors() + moments.tensors() + (average?.tensors() ?? []) + zeros,
      elementType: backend.elementType, to: folder.last)
  }

  func writeSettings(to folder: RunFolder) throws {
    try folder.write(description)
    if let configuration { try AtomicFile.write(configuration, to: folder.config) }
  }

  func modelTensors() throws -> [(name: String, tensor: Tensor)] {
    try network.parameters.tensors()
  }

  func write(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws {
    try Checkpoint.write(
      description, tensors: tensors, elementType: network.backend.elementType, to: path)
  }

  /// Takes over what a run saved to go on from.
  func load(_ checkpoint: Checkpoint) throws {
    guard checkpoint.description.network == network.configuration else {
      throw CarouselError(
        .badData,
        "\(checkpoint.path): expected the network that its settings and its text describe, "
          + "found another")
    }
    try loop.optimizer.load(checkpoint)
    try loop.average?.load(checkpoint)
    for ((name, shape), buffer) in zip(stateDescriptions(pieces: pieces.own), stateBuffers) {
      let tensor = try checkpoint.tensor(name, shape: shape)
      try network.backend.write(tensor, to: buffer)
    }
    let known = checkpoint.description
    loop.resume(known.position, known.metrics, known.computedOn)
  }

  /// The recurrent states of this rank.
  private var stateBuffers: [B.Buffer] {
    carriedStates.flatMap { [$0.hidden] + ($0.memory.map { [$0] } ?? []) }
  }

  /// The recurrent states of pieces by name; they are numbered piece by piece.
  private func stateDescriptions(pieces: Range<Int>) -> [(name: String, shape: Shape)] {
    guard !carriedStates.isEmpty else { return [] }
    let (N, H) = (self.pieces.size, settings.recurrent.hiddenSize)
    let hidden: Shape = [N, settings.recurrent.stateSize]
    let count = settings.recurrent.cell.traits.memory.count
    let memory: Shape = count > 1 ? [N, count, H] : [N, H]
    let units = carriedStates.count / self.pieces.own.count
    return (pieces.lowerBound * units..<pieces.upperBound * units).flatMap { index in
      [("state.hidden_l\(index)", hidden)] + (count > 0 ? [("state.cell_l\(index)", memory)] : [])
    }
  }

  /// The recurrent states of all ranks.
  func stateTensors() throws -> [(name: String, tensor: Tensor)] {
    let own = try zip(stateDescriptions(pieces: pieces.own), stateBuffers).map { state, buffer in
      (name: state.name, tensor: try network.backend.readTensor(buffer, state.shape))
    }
    guard ranks.count > 1, !own.isEmpty else { return own }
    let elements = own.map(\.tensor.elements)
    let counts = [Int](
      repeating: elements.reduce(0) { $0 + $1.count }, count: ranks.count)
    let all = try Tensor.Elements(joining: elements).gathered(by: ranks, counts: counts)
    var start = 0
    return stateDescriptions(pieces: 0..<pieces.count).map { name, shape in
      defer { start += shape.count }
      return (name, Tensor(shape, all.slice(start..<start + shape.count)))
    }
  }
}
