import CarouselFormats
import CarouselModel

extension Trainer {
  /// Everything that the network and the run are, but tensors.
  private var description: Checkpoint.Description {
    Checkpoint.Description(
      task: task, network: network.configuration,
      vocabulary: task == .text ? vocabulary : nil, settings: settings, text: identity,
      data: dataDescription,
      position: position, computedOn: network.backend.record, metrics: session.lines)
  }

  /// Prepares a folder, which is there, for this run and opens its metrics.
  ///
  /// A new run saves a first checkpoint, so that there is always a good one; only then is what an
  /// earlier run left there removed. One that goes on cuts off the metrics beyond its checkpoint, and
  /// writes the last ones that the checkpoint knows again.
  func begin(
    _ folder: RunFolder, isBeginning: Bool, _ report: (TrainingEvent) throws -> Void
  ) throws {
    let began = now()
    if isBeginning {
      try saveBeginning(to: folder.last)
      try folder.removeResults()
      initialWeights = nil
      session.saved = (TrainingPosition(), now())
      session.savingSeconds = now() - began
    }
    try folder.write(description)
    if let configuration { try AtomicFile.write(configuration, to: folder.config) }
    let (step, known) = (position.step, session.lines.first?.step)
    let damaged = try JSONLines.cut(folder.metrics, keeping: TrainingMetrics.self) { line in
      known.map { line.step < $0 } ?? (line.step <= step)
    }
    let log = try JSONLines(appendingTo: folder.metrics)
    if !isBeginning {
      for line in session.lines { try log.append(line) }
    }
    self.log = log
    let (earlier, current) = (earlierBackend, network.backend.record)
    if let earlier, earlier != current {
      try report(
        .warned(
          "\(folder.path): the run was computed on \(earlier) and goes on on \(current): its bits may "
            + "differ from those of an uninterrupted run"))
    }
    if !damaged.isEmpty {
      let lines = damaged.count == 1 ? "line" : "lines"
      try report(
        .warned(
          "\(folder.metrics): expected a JSON object in each line, found another thing in \(lines) "
            + damaged.map(String.init).joined(separator: ", ") + ", which is cut out"))
    }
  }

  /// Saves what a new run began as, drawn again, with all that the first step needs.
  private func saveBeginning(to path: String) throws {
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
      elementType: backend.elementType, to: path)
  }

  /// Saves the network, and with `resumable` all that the next step needs, of all ranks.
  ///
  /// Rank 0 writes; with `resumable` it gets from the others what they alone have.
  /// Throws before it writes where a number is not finite.
  func save(to path: String, resumable: Bool, _ folder: RunFolder) throws {
    // What ranks have of their own comes from each.
    let moments = resumable ? try optimizer.tensors() : []
    let states = resumable ? try stateTensors() : []
    guard ranks.isFirst else { return }
    var tensors = try network.parameters.tensors()
    if resumable { tensors += try moments + (average?.tensors() ?? []) + states }
    for (name, tensor) in tensors where tensor.firstNonFinite(in: tensor.elementType) != nil {
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
    try average?.load(checkpoint)
    for ((name, shape), buffer) in zip(stateDescriptions(pieces: pieces.own), stateBuffers) {
      let tensor = try checkpoint.tensor(name, shape: shape)
      try network.backend.write(tensor, to: buffer)
    }
    position = checkpoint.description.position
    session.lines = checkpoint.description.metrics ?? []
    earlierBackend = checkpoint.description.computedOn
    earlierSeconds = position.seconds
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
  private func stateTensors() throws -> [(name: String, tensor: Tensor)] {
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

  /// Writes a line of metrics and remembers it for the next checkpoint.
  func write(_ line: TrainingMetrics) throws {
    if session.lines.first?.step != line.step { session.lines = [] }
    session.lines.append(line)
    try log?.append(line)
  }

  /// Whether a checkpoint is due beside those of evaluations.
  var isSaveDue: Bool {
    get throws {
      guard !isEvaluationDue else { return false }
      switch saveEvery {
      case .steps(let count): return position.step % count == 0
      case .seconds(let seconds):
        return try ranks.fromFirst(now() - (session.saved?.seconds ?? 0) >= seconds)
      }
    }
  }

  /// Saves all that a resumed run needs, behind the metrics that it counts on.
  func saveLast(_ folder: RunFolder?, _ report: (TrainingEvent) throws -> Void) throws {
    guard let folder else { return }
    let began = now()
    try log?.synchronize()
    try save(to: folder.last, resumable: true, folder)
    session.saved = (position, now())
    session.savingSeconds = now() - began
    try report(.saved(step: position.step))
  }
}
