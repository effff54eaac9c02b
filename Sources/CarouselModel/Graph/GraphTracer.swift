/// A tensor while a graph is bound: its shape, and where its elements are.
struct Traced {
  /// Where the elements are.
  enum Source {
    /// Known already.
    case constant(GraphTensor)
    /// Whole numbers that the host has when a pass begins, by their place in the program's host values.
    case host(Int)
    /// In a backend's memory, by their place in the program's storages.
    case storage(Int)
  }

  /// What tells tensors apart that share their elements.
  let id: Int
  let type: GraphType
  let shape: Shape
  let source: Source
  /// Whether a gradient of it is wanted.
  var needsGradient = false

  /// The elements where they are known.
  var constant: GraphTensor? {
    if case .constant(let tensor) = source { tensor } else { nil }
  }

  /// Whether a pass need not wait for the device to know them.
  var isOnHost: Bool {
    if case .storage = source { false } else { true }
  }
}

/// Binds a graph to shapes: turns operators into instructions, and what is known into constants.
///
/// Every function here takes tensors and makes one: at once where all of them are known, for the host to do
/// at each pass where they are whole numbers that it is given then, as an instruction else. What is made
/// for a training pass says how its gradient goes back.
final class GraphTracer {
  var storages: [ProgramStorage] = []
  var forward: [ProgramInstruction] = []
  var backward: [ProgramInstruction] = []
  var hostValues: [ProgramHostValue] = []
  var stacks: [ProgramStack] = []
  var indexCount = 0
  /// Whether what is traced is part of a backward pass.
  private(set) var isBackward = false
  let training: Bool
  /// The nodes of dropout so far: each has random numbers of its own.
  var dropoutCount = 0
  var statisticsUpdates: [ProgramInstruction] = []

  private var nextID = 0
  private var steps: [(label: ProgramLabel, step: (GraphTracer) throws -> Void)] = []
  private var gradients: [Int: Traced] = [:]
  private var uploads: [Int: Traced] = [:]
  private var indices: [Int: Int] = [:]
  private var constantStorages: [GraphTensor: Int] = [:]
  /// What is being traced, for errors.
  var node = ""
  /// The same, as instructions are labelled for a profile.
  var label = ProgramLabel(node: "", operation: "")
  private(set) var forwardLabels: [ProgramLabel] = [], backwardLabels: [ProgramLabel] = []

  /// The outermost graph, whose parameters those of graphs within are too.
  let root: Graph

  init(_ root: Graph, training: Bool) {
    self.root = root
    self.training = training
  }

  /// An error that names the node.
  func failure(_ message: String) -> CarouselError {
    CarouselError(.badData, node.isEmpty ? message : "\(node): \(message)")
  }

  // MARK: Tensors

  func tensor(
    _ source: Traced.Source, _ type: GraphType, _ shape: Shape, needsGradient: Bool = false
  ) -> Traced {
    nextID += 1
    return Traced(
      id: nextID, type: type, shape: shape, source: source,
      needsGradient: needsGradient && training && type.isReal)
  }

  func constant(_ value: GraphTensor) -> Traced {
    tensor(.constant(value), value.type, value.shape)
  }

  func constant(_ value: Double, type: GraphType = .float32) -> Traced {
    constant(GraphTensor(scalar: value, type: type))
  }

  /// A result that an instruction is about to write.
  func result(_ type: GraphType, _ shape: Shape, from inputs: [Traced]) -> Traced {
    tensor(
      .storage(newStorage(.temporary, count: shape.count)), type, shape,
      needsGradient: inputs.contains(where: \.needsGradient))
  }

  func newStorage(_ kind: ProgramStorage.Kind, count: Int) -> Int {
    storages.append(ProgramStorage(kind: kind, count: count))
    return storages.count - 1
  }

  func emit(_ instruction: ProgramInstruction) {
    if isBackward {
      backward.append(instruction)
      backwardLabels.append(label)
    } else {
      forward.append(instruction)
      forwardLabels.append(label)
    }
  }

  /// Fills a gradient with zeros, of which `part` becomes a part: before the instruction that has just written that, which
  /// may then be written where it goes.
  func emitZeros(_ gradient: Traced, around part: Traced) {
    let writes = backward.last?.written.contains(storage(part)) ?? false
    let place = backward.count - (writes ? 1 : 0)
    backward.insert(.fill(storage(gradient), count: gradient.shape.count, with: 0), at: place)
    backwardLabels.insert(label, at: place)
  }

  /// Where a tensor's elements are in the backend's memory, to which they are copied where need be.
  func storage(_ x: Traced) -> Int {
    switch x.source {
    case .storage(let index): return index
    case .constant(let value):
      if let index = constantStorages[value] { return index }
      let index = newStorage(.constant(value.values), count: value.shape.count)
      constantStorages[value] = index
      return index
    case .host(let host):
      if let uploaded = uploads[host] { return storage(uploaded) }
      let index = newStorage(.upload(host), count: x.shape.count)
      uploads[host] = tensor(.storage(index), x.type, x.shape)
      return index
    }
  }

  /// The index buffer of a tensor of whole numbers that the host knows.
  func indexBuffer(_ x: Traced) throws(CarouselError) -> Int {
    let host: Int
    switch x.source {
    case .host(let index): host = index
    case .constant(let value):
      hostValues.append(.known(value.values))
      host = hostValues.count - 1
    case .storage:
      throw failure(
        "its indices have to be known to the host: an input, a constant, or made of these")
    }
    if let index = indices[host] { return index }
    let index = indexCount
    indices[host] = index
    indexCount += 1
    forwardIndexWrites.append((host: host, index: index, count: x.shape.count))
    return index
  }

  private(set) var forwardIndexWrites: [(host: Int, index: Int, count: Int)] = []

  /// The place of a host value, which a constant becomes too.
  func hostValue(_ x: Traced) throws(CarouselError) -> Int {
    switch x.source {
    case .host(let index): return index
    case .constant(let value):
      hostValues.append(.known(value.values))
      return hostValues.count - 1
    case .storage:
      throw failure("a tensor has to be known to the host, but is computed by the device")
    }
  }

  /// A tensor that the host computes at each pass.
  func hostResult(
    _ type: GraphType, _ shape: Shape, from inputs: [Traced],
    _ compute: @escaping @Sendable ([[Double]]) -> [Double]
  ) throws(CarouselError) -> Traced {
    let constants = inputs.compactMap(\.constant)
    if constants.count == inputs.count {
      return constant(GraphTensor(Tensor(shape, compute(constants.map(\.values))), type: type))
    }
    var places: [Int] = []
    for input in inputs { places.append(try hostValue(input)) }
    hostValues.append(.computed(from: places, compute))
    return tensor(.host(hostValues.count - 1), type, shape)
  }

  // MARK: Gradients

  /// Says how the gradient of `y` goes back: `step` is given it once all who read y have added theirs.
  func whenBackward(
    _ y: Traced, _ step: @escaping (GraphTracer, Traced) throws -> Void
  ) {
    guard y.needsGradient else { return }
    steps.append(
      (
        label,
        { tracer in
          guard let gradient = tracer.gradients[y.id] else { return }
          try step(tracer, gradient)
        }
      ))
  }

  /// The same of several results at once, of which some may have no gradient.
  func whenBackward(
    _ results: [Traced],
    _ step: @escaping (GraphTracer, [Traced?]) throws -> Void
  ) {
    guard results.contains(where: \.needsGradient) else { return }
    steps.append(
      (
        label,
        { tracer in
          let gradients = results.map { tracer.gradients[$0.id] }
          guard gradients.contains(where: { $0 != nil }) else { return }
          try step(tracer, gradients)
        }
      ))
  }

  /// Adds to the gradient of x; what is broadcast in `gradient` is summed first.
  func addGradient(_ gradient: Traced, to x: Traced) throws(CarouselError) {
    guard x.needsGradient else { return }
    let gradient = try sum(gradient, to: x.shape)
    if let other = gradients[x.id] {
      gradients[x.id] = try elementwise(.binary(.add), [other, gradient], type: .float32)
    } else {
      gradients[x.id] = gradient
    }
  }

  func gradient(of x: Traced) -> Traced? { gradients[x.id] }

  /// Traces the backward pass, from the gradients that were added so far.
  func traceBackward() throws(CarouselError) {
    isBackward = true
    // Closures that say what they throw crash the compiler (Swift 6.3.1).
    do {
      for (label, step) in steps.reversed() {
        self.label = label
        try step(self)
      }
    } catch let error as CarouselError {
      throw error
    } catch {
      throw failure("\(error)")
    }
    steps = []
  }
}
