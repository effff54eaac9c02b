/// A bound graph with memory of its own on a backend: what computes outputs and gradients.
///
/// Several passes of different shapes may share one model. Work is queued in order; reading waits.
public final class GraphPass<B: Backend> {
  /// The bound graph.
  public let program: GraphProgram
  /// The parameters that it reads, and whose gradients it writes.
  public let model: GraphModel<B>

  let buffers: [B.Buffer?]
  private var forwardSteps: [Step], backwardSteps: [Step]
  let indices: [B.IndexBuffer]
  let stacks: [GraphStack<B>]
  /// Of the stacks whose states are handed from pass to pass their places in `GraphStates.stacks`.
  let carriedPlaces: [Int: Int]
  /// Those of the forward steps that change states.
  private let stateSteps: Range<Int>
  /// Of each stack the gradients that the backward pass of an earlier one wrote to as well, and memory in
  /// which they wait until this stack's are added.
  let sharedGradients: [[(gradient: B.Buffer, kept: B.Buffer, count: Int)]]
  /// What the host knows of this pass, and whether all that it computes of it is computed and written.
  private(set) var hostValues: [[Double]]
  private var isPrepared = false
  /// The seed and the step of what is dropped; nil drops nothing.
  private(set) var dropoutSeed: (seed: UInt64, step: Int)?
  /// The gradients of the states that are handed from pass to pass, in a backward pass.
  private(set) var stateGradients: (final: GraphStates<B>?, initial: GraphStates<B>?)
  private var finalGradients: FinalGradients?
  var backend: B { model.backend }
  private var given: Set<String> = []

  /// The states with which stacks begin and in which they leave their last ones; nil where each pass begins
  /// with zeros.
  public let states: GraphStates<B>?
  /// Which sequences of a larger batch these are, for what stacks draw at random; see `RecurrentStack.slice`.
  package var slice: BatchSlice? {
    didSet { for stack in stacks { stack.stack.slice = slice } }
  }
  /// Which part of a long window this is, for what is drawn at random; see `TrainingPass`.
  package var segment = 0
  /// What the sum that a cross-entropy or a regression is the mean of is divided by; nil divides by what counts in
  /// this pass, `lossWeight`.
  package var lossDivisor: Double?
  /// Hears, as a backward pass is queued, from which offset of the parameters' store on gradients are final; nil
  /// hears nothing.
  package var gradientIsFinal: ((Int) throws -> Void)?
  /// Hears after each instruction was queued which node it belongs to.
  package var observer: ((ProgramLabel) -> Void)?

  /// Allocates the memory of a program.
  ///
  /// With `states` its stacks begin with these, and leave their last ones there. Throws a usage error where they are
  /// those of another graph or of other sizes, and where the device has no room.
  public convenience init(
    _ program: GraphProgram, _ model: GraphModel<B>, states: GraphStates<B>? = nil
  ) throws {
    try self.init(program, model, states: states, isPoisoned: false)
  }

  /// The same; with `isPoisoned` memory is NaN at first, so that an element that is not written shows.
  package init(
    _ program: GraphProgram, _ model: GraphModel<B>, states: GraphStates<B>? = nil, isPoisoned: Bool
  ) throws {
    guard states?.fit(program) ?? true else {
      throw CarouselError(
        .usage, "the states are not those of the graph: other stacks, or other sizes")
    }
    let backend = model.backend
    func memory(_ count: Int) throws -> B.Buffer {
      let buffer = try backend.makeBuffer(count: count)
      if isPoisoned { try backend.fill(buffer, count: count, with: .nan) }
      return buffer
    }
    let plan = GraphPlan(program, alignment: backend.sliceAlignment)
    let shared = try plan.sizes.map(memory)
    let stacks = try program.stacks.map {
      try GraphStack($0, store: model.storeOfStack($0), training: program.training)
    }
    if let states {
      for (stack, carried) in zip(program.carryingStacks, states.stacks) {
        stacks[stack].carried = carried
      }
    }
    let whole: [B.Buffer?] = try program.storages.enumerated().map { index, storage in
      if plan.parts[index].storage != index { return nil }
      switch storage.kind {
      case .temporary: return plan.places[index].map { shared[$0] }
      case .kept, .input, .upload: return try memory(storage.count)
      case .parameter(let name): return try model.store(of: name).value(name)
      case .parameterGradient(let name): return try model.store(of: name).gradient(name)
      case .recurrentOutput(let stack): return stacks[stack].stack.y
      case .constant(let values):
        let buffer = try backend.makeBuffer(count: storage.count)
        try backend.write(values, to: buffer)
        return buffer
      }
    }
    buffers = try zip(program.storages, plan.parts).map { storage, part in
      guard let buffer = whole[part.storage], part.offset > 0 else { return whole[part.storage] }
      return try backend.slice(buffer, offset: part.offset, count: storage.count)
    }
    forwardSteps = plan.forward.map {
      Step(instruction: $0, label: $1, recordingsLeft: program.isSameEveryTime($0) ? 3 : 0)
    }
    backwardSteps = plan.backward.map { Step(instruction: $0, label: $1, recordingsLeft: 0) }
    indices = try program.indexWrites.map { try backend.makeIndexBuffer(count: $0.count) }
    hostValues = program.hostValues.map { if case .known(let values) = $0 { values } else { [] } }
    sharedGradients = try program.sharedGradients.map { names in
      try names.map { description in
        let count = description.shape.count
        return (
          try model.store(of: description.name).gradient(description.name), try memory(count), count
        )
      }
    }
    self.program = program
    self.model = model
    self.states = states
    self.stacks = stacks
    carriedPlaces = Dictionary(
      zip(program.carryingStacks, program.carryingStacks.indices), uniquingKeysWith: { $1 })
    stateSteps = 0..<plan.stateSteps
    for write in program.indexWrites {
      if case .known(let values) = program.hostValues[write.host] {
        try backend.write(values.map { Int32(clamping: Int($0)) }, to: indices[write.index])
      }
    }
  }

  // MARK: Inputs and outputs

  /// Gives an input of the next pass, whose shape is the one that the graph was bound to.
  public func write(_ tensor: GraphTensor, to name: String) throws {
    guard let input = program.inputs[name] else {
      throw CarouselError(.usage, "the bound graph has no input '\(name)'")
    }
    guard input.shape == tensor.shape else {
      throw CarouselError(
        .badData, "the input '\(name)' has the shape \(tensor.shape), expected \(input.shape)")
    }
    switch input.source {
    case .storage(let index): try backend.write(tensor.tensor, to: buffer(index))
    case .host(let index):
      guard tensor.values.allSatisfy({ $0.magnitude <= 0x1p53 }) else {
        throw CarouselError(.badData, "the input '\(name)' holds a whole number beyond 2^53")
      }
      hostValues[index] = tensor.values
    case .constant: break
    }
    given.insert(name)
    isPrepared = false
  }

  /// Gives inputs, and all that the host computes of those given so far.
  ///
  /// `forward` does this too. Done before other work is queued, it does not wait for that.
  package func write(_ inputs: [String: GraphTensor]) throws {
    for (name, tensor) in inputs.sorted(by: { $0.key < $1.key }) { try write(tensor, to: name) }
    for name in program.inputs.keys.sorted() where !given.contains(name) {
      throw CarouselError(.missingInput, "the graph's input '\(name)' was not given")
    }
    guard !isPrepared else { return }
    try computeHostValues()
    isPrepared = true
  }

  /// Computes the outputs: writes `inputs`, and queues the work; inputs that are not given keep what they
  /// had.
  ///
  /// - Parameters:
  ///   - inputs: what is new.
  ///   - dropoutSeed: the seed and the training step whose masks are drawn; nil drops nothing.
  /// - Throws: where an input is missing or of another shape, or the device fails.
  public func forward(
    _ inputs: [String: GraphTensor] = [:], dropoutSeed: (seed: UInt64, step: Int)? = nil
  ) throws {
    try write(inputs)
    try forwardStates(dropoutSeed: dropoutSeed)
    try forwardOutputs()
  }

  /// The first part of a forward pass of the inputs that were written last: all that changes states.
  package func forwardStates(dropoutSeed: (seed: UInt64, step: Int)?) throws {
    self.dropoutSeed = program.training ? dropoutSeed : nil
    try run(&forwardSteps, stateSteps)
  }

  /// The other part, up to the outputs.
  package func forwardOutputs() throws {
    try run(&forwardSteps, stateSteps.upperBound..<forwardSteps.count)
    for instruction in program.updates { try run(instruction) }
  }

  /// An output of the last `forward`; waits for the device.
  public func output(_ name: String) throws -> GraphTensor {
    guard let output = program.outputs.first(where: { $0.name == name }) else {
      throw CarouselError(.usage, "the graph has no output '\(name)'")
    }
    let tensor: Tensor
    switch output.source {
    case .constant(let value): tensor = try Tensor(shape: output.shape, values: value.values)
    case .host(let index): tensor = try Tensor(shape: output.shape, values: hostValues[index])
    case .storage(let index): tensor = try backend.readTensor(buffer(index), output.shape)
    }
    return GraphTensor(tensor, type: output.type)
  }

  /// All outputs of the last `forward`, in order.
  public func outputs() throws -> [(name: String, tensor: GraphTensor)] {
    try program.outputs.map { ($0.name, try output($0.name)) }
  }

  /// The backward pass of the last `forward`: leaves the gradients of the trained parameters in their store.
  ///
  /// - Parameter gradients: those of the outputs that were named when the graph was bound; none where the
  ///   first output is a loss.
  /// - Throws: where one is missing or of another shape, or the device fails.
  public func backward(_ gradients: [String: Tensor] = [:]) throws {
    try backward(gradients, gradFinal: nil, gradInitial: nil)
  }

  /// The same with the gradients of states: `gradFinal` are those of the last ones through later passes, nil means
  /// zeros; `gradInitial` receives those of the first ones where wanted.
  package func backward(
    _ gradients: [String: Tensor] = [:], gradFinal: GraphStates<B>?, gradInitial: GraphStates<B>?
  ) throws {
    guard program.training else {
      throw CarouselError(.usage, "the graph was not bound for training")
    }
    for (name, storage) in program.outputGradients.sorted(by: { $0.key < $1.key }) {
      guard let gradient = gradients[name] else {
        throw CarouselError(.missingInput, "the gradient of '\(name)' was not given")
      }
      guard gradient.shape.count == program.storages[storage].count else {
        throw CarouselError(
          .badData,
          "the gradient of '\(name)' has the shape \(gradient.shape), expected "
            + "\(program.storages[storage].count) elements")
      }
      try backend.write(gradient.values, to: buffer(storage))
    }
    stateGradients = (gradFinal, gradInitial)
    defer { stateGradients = (nil, nil) }
    finalGradients = gradientIsFinal.map { _ in FinalGradients(program, model.parameters) }
    for index in backwardSteps.indices {
      try run(&backwardSteps, index..<index + 1)
      let instruction = backwardSteps[index].instruction
      // A stack tells of its layers itself.
      if case .recurrentBackward = instruction { continue }
      try finish(program.gradients(instruction))
    }
  }

  /// Tells who wants to hear of it that these gradients are queued.
  func finish(_ names: @autoclosure () -> [String]) throws {
    guard finalGradients != nil, let offset = finalGradients?.write(names()) else { return }
    try gradientIsFinal?(offset)
  }

  /// An instruction, and what queues it again.
  private struct Step {
    let instruction: ProgramInstruction
    let label: ProgramLabel
    /// How often what queues it again may still be looked for: the first time something may be packed, and what
    /// changes every time is not worth it.
    var recordingsLeft: Int
    var recorded: (any RepeatedWork)?
  }

  private func run(_ steps: inout [Step], _ range: Range<Int>) throws {
    for index in range {
      try run(&steps[index])
      observer?(steps[index].label)
    }
  }

  private func run(_ step: inout Step) throws {
    if let recorded = step.recorded {
      if try recorded.queue() { return }
      step.recorded = nil
    }
    guard step.recordingsLeft > 0 else { return try run(step.instruction) }
    step.recordingsLeft -= 1
    let instruction = step.instruction
    step.recorded = try backend.recording { try run(instruction) }
  }

  /// The gradient of an input after `backward`; nil where the graph does not depend on it.
  public func inputGradient(_ name: String) throws -> Tensor? {
    guard let index = program.inputGradients[name], let input = program.inputs[name] else {
      return nil
    }
    return try Tensor(
      shape: input.shape, values: backend.read(buffer(index), count: input.shape.count))
  }

  /// The loss of the last `forward`, the first output; waits for the device.
  public func loss() throws -> Double {
    guard let name = program.outputs.first?.name else {
      throw CarouselError(.usage, "the graph has no output")
    }
    return try output(name).values.first ?? .nan
  }

  // MARK: Memory

  /// Where an output is that the device computes.
  package func buffer(of output: String) throws -> B.Buffer {
    guard case .storage(let index)? = program.outputs.first(where: { $0.name == output })?.source
    else { throw CarouselError(.usage, "the device computes no output '\(output)'") }
    return try buffer(index)
  }

  /// Where the loss of the last `forward` is, the first output; nil where the host knows it.
  package var lossBuffer: B.Buffer? {
    guard case .storage(let index) = program.outputs.first?.source else { return nil }
    return buffers[index]
  }

  /// What the mean that the first output is was divided by in the last `forward`: the elements or rows that
  /// count, the weights of their classes, or the sequences; nil where the output is no mean of a `GraphLoss`.
  package var lossWeight: Double? {
    guard case .storage(let output) = program.outputs.first?.source else { return nil }
    for instruction in program.forward {
      switch instruction {
      case .crossEntropy(_, _, _, _, _, let loss, _, _, let scale) where loss == output,
        .regression(_, _, _, _, _, let loss, _, _, let scale) where loss == output:
        return hostValues[scale].last
      case .ctc(_, _, _, _, _, _, let loss, _, let batchSize, _, _, _) where loss == output:
        return Double(batchSize)
      default: continue
      }
    }
    return nil
  }

  func buffer(_ index: Int) throws(CarouselError) -> B.Buffer {
    guard let buffer = buffers[index] else {
      throw CarouselError(.usage, "a tensor of the graph has no memory: nothing reads or writes it")
    }
    return buffer
  }

  /// What the host computes from its inputs, and copies of it on the device.
  private func computeHostValues() throws {
    for (index, value) in program.hostValues.enumerated() {
      guard case .computed(let places, let compute) = value else { continue }
      hostValues[index] = compute(places.map { hostValues[$0] })
    }
    for (index, storage) in program.storages.enumerated() {
      if case .upload(let host) = storage.kind {
        try backend.write(hostValues[host], to: buffer(index))
      }
    }
    for write in program.indexWrites {
      if case .known = program.hostValues[write.host] { continue }
      try backend.write(
        hostValues[write.host].map { Int32(clamping: Int($0)) }, to: indices[write.index])
    }
  }
}

extension GraphProgram {
  /// Whether what an instruction queues depends on nothing but the program: not on numbers that the host is given,
  /// which a backend checks each time, nor on random ones.
  fileprivate func isSameEveryTime(_ instruction: ProgramInstruction) -> Bool {
    func isKnown(_ index: Int) -> Bool {
      if case .known = hostValues[indexWrites[index].host] { true } else { false }
    }
    switch instruction {
    case _ where training: return false
    case .dropout, .crossEntropy, .regression, .ctc: return false
    case .gather(_, let index, _, _, _, _, _), .scatter(_, let index, _, _, _, _, _),
      .embedding(_, let index, _, _, _, _), .embeddingBackward(_, let index, _, _, _, _):
      return isKnown(index)
    case .recurrentForward(let work, _): return stacks[work.stack].lengths.map(isKnown) ?? true
    default: return true
    }
  }
}

extension GraphModel {
  /// The store of a stack's parameters, which are in one.
  func storeOfStack(_ stack: ProgramStack) -> ParameterStore<B> {
    let name = stack.operation.configuration.parameterDescriptions.first?.name ?? ""
    return store(of: stack.operation.prefix + name)
  }
}
