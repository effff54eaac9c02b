import CarouselFormats
import CarouselModel

extension Trainer {
  /// Everything that the network and the run are, but tensors.
  private var description: Checkpoint.Description {
    Checkpoint.Description(
      task: task, network: network.configuration,
      vocabulary: task == .text ? vocabulary : nil, settings: settings, text: identity,
      position: position)
  }

  /// Prepares a folder, which is there, for this run and opens its metrics.
  ///
  /// A new run saves a first checkpoint, so that there is always a good one; only then is what an
  /// earlier run left there removed. One that goes on cuts off the metrics beyond its step.
  func begin(_ folder: RunFolder, isBeginning: Bool) throws -> JSONLines {
    if isBeginning {
      try saveBeginning(to: folder.last)
      try folder.removeResults()
      initialWeights = nil
    }
    try folder.write(description)
    let step = position.step
    try JSONLines.truncate(folder.metrics, keeping: TrainingMetrics.self) { $0.step <= step }
    return try JSONLines(appendingTo: folder.metrics)
  }

  /// Saves what a new run began as, drawn again, with all that the first step needs.
  private func saveBeginning(to path: String) throws {
    let (backend, configuration) = (network.backend, network.configuration)
    let parameters = try Network(configuration, backend: backend, seed: settings.seed).parameters
    try initialWeights?.write(to: parameters)
    let moments = try OptimizerState(settings.optimizer.optimizer, store: parameters)
    let zeros = states.map { name, shape, _ in
      (name: name, tensor: Tensor(shape, [Double](repeating: 0, count: shape.count)))
    }
    var description = description
    description.position = TrainingPosition()
    try Checkpoint.write(
      description, tensors: parameters.tensors() + moments.tensors() + zeros,
      elementType: backend.elementType, to: path)
  }

  /// Saves the network, and with `resumable` all that the next step needs.
  ///
  /// Throws before it writes where a number is not finite.
  func save(to path: String, resumable: Bool, _ folder: RunFolder) throws {
    var tensors = try network.parameters.tensors()
    if resumable { tensors += try optimizer.tensors() + stateTensors() }
    for (name, tensor) in tensors where tensor.values.contains(where: { !$0.isFinite }) {
      throw divergence(
        "the tensor '\(name)' holds a number that is not finite after step \(position.step)",
        folder)
    }
    try Checkpoint.write(
      description, tensors: tensors, elementType: network.backend.elementType, to: path)
  }

  /// Takes over what `save(resumable: true)` wrote.
  func load(_ checkpoint: Checkpoint) throws {
    guard checkpoint.description.network == network.configuration else {
      throw CarouselError(
        .badData,
        "\(checkpoint.path): expected the network that its settings and its text describe, "
          + "found another")
    }
    try optimizer.load(checkpoint)
    for (name, shape, buffer) in states {
      let tensor = try checkpoint.tensor(name, shape: shape)
      try network.backend.write(tensor.values, to: buffer)
    }
    position = checkpoint.description.position
    earlierSeconds = position.seconds
  }

  /// The recurrent states by name.
  private var states: [(name: String, shape: Shape, buffer: B.Buffer)] {
    let hidden: Shape = [settings.batchSize, settings.recurrent.stateSize]
    let cell: Shape = [settings.batchSize, settings.recurrent.hiddenSize]
    return pass.states.enumerated().flatMap { index, state in
      [("state.hidden_l\(index)", hidden, state.hidden)]
        + (state.cell.map { [("state.cell_l\(index)", cell, $0)] } ?? [])
    }
  }

  private func stateTensors() throws -> [(name: String, tensor: Tensor)] {
    try states.map { name, shape, buffer in
      (name, Tensor(shape, try network.backend.read(buffer, count: shape.count)))
    }
  }
}
