/// What computes: the CPU reference or an OpenCL device.
///
/// A backend offers a dozen whole operations, never an element or a time step, so that whoever
/// implements it is free to fuse. Tensors are row-major, time first. Operations are queued in order;
/// only `read` waits. A result overwrites what its buffer held, unless the text says "adds".
/// Gradients of a parameter overwrite too: each parameter is used by one operation of a pass.
///
/// Buffers passed to one operation must not overlap unless its comment allows it. An operation throws
/// where a buffer is smaller than its sizes ask for, and where an index is out of range, before
/// anything is computed.
public protocol Backend: LossBackend, GraphBackend {
  /// What the forward pass of one recurrent layer keeps for its backward pass.
  associatedtype RecurrentReserve: BackendReserve

  /// The device's name, as `carousel devices` prints it, or `reference`.
  var name: String { get }
  /// What computes, as far as the last bits of results depend on it.
  var record: BackendRecord { get }
  /// How a buffer's elements are stored: Float32 on a device, Float64 in the reference.
  var elementType: ElementType { get }
  /// Where a slice may begin: offsets are multiples of this many elements.
  var sliceAlignment: Int { get }

  // MARK: Memory

  /// Allocates `count` elements, all 0. Throws where the device has no room for them.
  func makeBuffer(count: Int) throws -> Buffer
  /// A view of `count` elements from `offset` on, which keeps its parent alive.
  func slice(_ buffer: Buffer, offset: Int, count: Int) throws -> Buffer
  /// Overwrites the first `values.count` elements, rounding to `elementType`.
  func write(_ values: [Double], to buffer: Buffer) throws
  /// Overwrites the first elements with those of a tensor, rounding to `elementType`.
  func write(_ tensor: Tensor, to buffer: Buffer) throws
  /// The first `count` elements, after all work queued so far.
  func read(_ buffer: Buffer, count: Int) throws -> [Double]
  /// The first elements as a tensor of `elementType`, after all work queued so far.
  func readTensor(_ buffer: Buffer, _ shape: Shape) throws -> Tensor
  /// Overwrites the first elements with those that lie one behind the other in memory, which are of `elementType`
  /// and may go then.
  func write(_ elements: UnsafeRawBufferPointer, to buffer: Buffer) throws
  /// Queues a read of the first elements, of `elementType`, which fill the memory; what it returns waits for it, and
  /// for nothing that is queued behind it.
  func readLater(_ buffer: Buffer, into memory: TransferSlice) throws -> () throws -> Void
  /// Copies the first `count` elements.
  func copy(_ source: Buffer, to destination: Buffer, count: Int) throws
  /// Sets the first `count` elements to `value`.
  func fill(_ buffer: Buffer, count: Int, with value: Double) throws
  /// Allocates room for `count` indices, all 0.
  func makeIndexBuffer(count: Int) throws -> IndexBuffer
  /// Overwrites the first `values.count` indices.
  func write(_ values: [Int32], to buffer: IndexBuffer) throws
  /// Waits until all queued work is done.
  func synchronize() throws

  // MARK: Recurrent layers

  /// Allocates what one layer's forward pass keeps for a backward pass of the same sizes, or, where
  /// `training` is false, what a forward pass alone needs. Memory ∝ T·N·G·H with `training`.
  func makeReserve(
    for layer: RecurrentLayer, sequenceLength: Int, batchSize: Int, training: Bool
  ) throws -> RecurrentReserve

  /// One layer over all its steps; the equations are those of `Cell` and `CellOptions`.
  ///
  /// - Parameters:
  ///   - work: what is computed from what; its `y` is written.
  ///   - final: receives the states after the last step, each `[N, H]`; may be the buffers of
  ///     `work.initial`.
  /// - Throws: where the device fails.
  func recurrentForward(_ work: RecurrentWork<Self>, final: RecurrentState<Buffer>?) throws

  /// The backward pass of the last `recurrentForward` with the same work; once, for it may overwrite
  /// what the reserve kept.
  ///
  /// - Parameters:
  ///   - work: as the forward pass had it, every buffer unchanged.
  ///   - gradY: ∂loss/∂y in `work.stateRows`; what it holds past a sequence's length does not matter.
  ///   - gradFinal: ∂loss/∂ final states beyond `gradY`; nil means zeros.
  ///   - gradX: receives ∂loss/∂x `[T, N, C]` where wanted.
  ///   - gradInitial: receives the gradients of the initial states where wanted.
  ///   - gradParameters: receives the parameters' gradients.
  /// - Throws: where the device fails.
  func recurrentBackward(
    _ work: RecurrentWork<Self>, gradY: Buffer, gradFinal: RecurrentState<Buffer>?,
    gradX: Buffer?, gradInitial: RecurrentState<Buffer>?,
    gradParameters: RecurrentParameters<Buffer>) throws

  /// `x[i] += y[i]` over the first `count` elements.
  func add(_ y: Buffer, to x: Buffer, count: Int) throws

  /// `y` from the outputs `a` and `b`, each `[rows, width]`, of two directions; see `Merge`.
  ///
  /// Not of those to be concatenated, which the directions do themselves, see `StateRows`.
  func mergeForward(
    _ merge: Merge, _ a: Buffer, _ b: Buffer, into y: Buffer, rows: Int, width: Int) throws
  /// The gradients of `a` and `b` from `gradY`.
  func mergeBackward(
    _ merge: Merge, gradY: Buffer, _ a: Buffer, _ b: Buffer, gradA: Buffer, gradB: Buffer,
    rows: Int, width: Int) throws

  // MARK: Other layers

  /// `y[m, :] = weight[indices[m], :]` with `weight [V, E]`, `y [M, E]`, 0 ≤ index < V.
  func embeddingForward(
    indices: IndexBuffer, weight: Buffer, y: Buffer, count: Int, vocabulary: Int, width: Int) throws
  /// `gradWeight[v, :] = Σ gradY[m, :]` over all m with `indices[m] = v`, in the order of m.
  func embeddingBackward(
    indices: IndexBuffer, gradY: Buffer, gradWeight: Buffer, count: Int, vocabulary: Int,
    width: Int) throws

  /// `y = x·weightᵀ + bias` with `x [M, K]`, `weight [O, K]`, `bias [O]` or nil, `y [M, O]`.
  func linearForward(
    x: Buffer, weight: Buffer, bias: Buffer?, y: Buffer, rows: Int, inputSize: Int,
    outputSize: Int) throws
  /// `gradX = gradY·weight`, `gradWeight = gradYᵀ·x`, `gradBias = Σₘ gradY[m, :]`.
  func linearBackward(
    x: Buffer, weight: Buffer, gradY: Buffer, gradX: Buffer?, gradWeight: Buffer,
    gradBias: Buffer?, rows: Int, inputSize: Int, outputSize: Int) throws

  /// `y[i] = x[i] / (1 − p)` where `random.uniform(i) ≥ p`, else 0. `y` may be `x`. The same call on
  /// the gradient is its own backward pass.
  func dropout(_ x: Buffer, y: Buffer, count: Int, probability: Double, random: Philox) throws

  /// Softmax over each row of `logits [M, V]`, cross-entropy with `targets [M]` (natural logarithm).
  ///
  /// `loss[0] = scale · Σₘ −log softmax(logits[m])[targets[m]]` over rows with a target ≥ 0; a
  /// negative target leaves its row out. Where wanted,
  /// `gradLogits = scale · (softmax(logits) − onehot(targets))`; it may be `logits`.
  func softmaxCrossEntropy(
    logits: Buffer, targets: IndexBuffer, gradLogits: Buffer?, loss: Buffer, rows: Int,
    classes: Int, scale: Double) throws

  /// `loss[0] = scale · Σₘ Σₒ (predictions[m, o] − targets[m, o])²` over the rows m whose `counted[m]` is
  /// not 0, with `predictions`, `targets` `[M, O]`; what the targets of other rows hold does not matter.
  ///
  /// Where wanted, `gradPredictions = 2 · scale · (predictions − targets)`, 0 in rows that do not count;
  /// it may be `predictions`.
  func squaredError(
    predictions: Buffer, targets: Buffer, counted: IndexBuffer, gradPredictions: Buffer?,
    loss: Buffer, rows: Int, width: Int, scale: Double) throws

  // MARK: Optimization

  /// `norm[0] = √Σ x[i]²` over the first `count` elements, in a fixed order.
  func norm(of x: Buffer, count: Int, into norm: Buffer) throws

  /// One step of an optimizer on `count` parameters that lie in one buffer.
  ///
  /// - Parameters:
  ///   - optimizer: the equations.
  ///   - parameters: θ, updated in place.
  ///   - gradients: g before clipping.
  ///   - moments: `optimizer.momentCount` buffers of `count` elements, zeros before the first step.
  ///   - count: the elements of each buffer that take part.
  ///   - learningRate: η.
  ///   - gradientNorm: what `norm(of:count:into:)` left; needed with `maximumNorm`.
  ///   - maximumNorm: where given, the gradient is scaled by
  ///     `min(1, maximumNorm / (norm + 1e-6))` on the way, as PyTorch's `clip_grad_norm_` does.
  ///   - step: 1 for the first step (Adam's bias correction).
  /// - Throws: where the device fails.
  func optimize(
    _ optimizer: Optimizer, parameters: Buffer, gradients: Buffer, moments: [Buffer], count: Int,
    learningRate: Double, gradientNorm: Buffer?, maximumNorm: Double?, step: Int) throws
}

extension Backend {
  /// Writes them as a tensor.
  public func write(_ elements: UnsafeRawBufferPointer, to buffer: Buffer) throws {
    let elements = Tensor.Elements(elements, as: elementType)
    try write(Tensor([elements.count], elements), to: buffer)
  }

  /// Reads at once.
  public func readLater(_ buffer: Buffer, into memory: TransferSlice) throws -> () throws -> Void {
    let count = memory.range.count / elementType.byteCount
    try readTensor(buffer, [count]).elements.withUnsafeBytes { memory.bytes.copyMemory(from: $0) }
    return {}
  }
}

/// What computed something, as far as the last bits of results depend on it: between two that are equal
/// the same calls give the same bits.
public struct BackendRecord: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The device's name, or `reference`.
  public var device: String
  /// The version of its driver.
  public var driver: String?
  /// Its compute units, where bits may depend on them: nil for CPUs.
  public var computeUnits: Int?
  /// The form of the kernels: `cpu` or `gpu`.
  public var kernels: String?
  /// To what the factors of products are rounded.
  public var precision: String?

  /// Notes a device; the reference has nothing but its name.
  public init(
    device: String, driver: String? = nil, computeUnits: Int? = nil, kernels: String? = nil,
    precision: String? = nil
  ) {
    self.device = device
    self.driver = driver
    self.computeUnits = computeUnits
    self.kernels = kernels
    self.precision = precision
  }

  /// The device with what is known of it, in words.
  public var description: String {
    let details = [
      driver.map { "driver \($0)" }, computeUnits.map { "\($0) compute units" },
      kernels.map { "kernels \($0)" }, precision.map { "precision \($0)" },
    ].compactMap(\.self)
    return device + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
  }
}

/// The states of a recurrent layer at one step, or their gradients.
public struct RecurrentState<Buffer> {
  /// The hidden state h, `[N, P]`.
  public var hidden: Buffer
  /// The states beside h, `[N, M, H]`, in the order of `CellTraits.memory`: c of an LSTM `[N, H]`; nil
  /// for cells that have none.
  public var memory: Buffer?

  /// Gathers states.
  public init(hidden: Buffer, memory: Buffer?) {
    self.hidden = hidden
    self.memory = memory
  }
}

/// How parameters follow their gradients; θ are the parameters, g the gradients, η the learning rate.
public enum Optimizer: Hashable, Sendable {
  /// `v = momentum·v + g + weightDecay·θ`, `θ −= η·v` (PyTorch's SGD with dampening 0).
  case sgd(momentum: Double, weightDecay: Double)
  /// Adam (Kingma & Ba 2015): `m̂ = m/(1−β₁ᵗ)`, `v̂ = v/(1−β₂ᵗ)`, `θ −= η·m̂/(√v̂ + ε)`. Weight decay is
  /// added to g, or with `decoupled` taken from θ as `θ −= η·weightDecay·θ` (AdamW, Loshchilov &
  /// Hutter 2019).
  case adam(
    beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0,
    decoupled: Bool = false)

  /// The number of buffers of the parameters' size that the optimizer keeps between steps.
  public var momentCount: Int {
    switch self {
    case .sgd(let momentum, _): momentum == 0 ? 0 : 1
    case .adam: 2
    }
  }
}

/// An array of elements in a backend's memory.
public protocol BackendBuffer: AnyObject {
  /// The number of elements.
  var count: Int { get }
}

/// An array of Int32 in a backend's memory, of which the host keeps a copy.
///
/// Operations read the copy to check every index before any of them reaches a device.
public protocol BackendIndexBuffer: AnyObject {
  /// The indices as they were written last.
  var values: [Int32] { get }
}

/// What the forward pass of one recurrent layer keeps for its backward pass.
public protocol BackendReserve: AnyObject {
  /// The layer that it was made for.
  var layer: RecurrentLayer { get }
  /// T and N.
  var sequenceLength: Int { get }
  var batchSize: Int { get }
  /// Whether a backward pass may follow.
  var training: Bool { get }
}
