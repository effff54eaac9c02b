import CarouselModel
import OpenCLDriver

/// Computes on an OpenCL device, in Float32.
///
/// Sums have a fixed order, a function of sizes alone: the same calls on the same kind of device and driver
/// give the same bits, however many cores there are.
/// Not thread-safe; one backend owns one context and one in-order queue.
public final class OpenCLBackend: Backend {
  /// Device memory, Float32.
  public typealias Buffer = OpenCLDriver.Buffer
  /// Device memory, Int32.
  public typealias IndexBuffer = OpenCLIndexBuffer
  /// What a recurrent layer keeps on the device.
  public typealias RecurrentReserve = OpenCLReserve

  /// The device that computes.
  public let device: Device
  /// The form of the kernels in use: `cpu` or `gpu`.
  public let kernelForm: KernelForm
  /// To what the factors of products may be rounded.
  public var precision: ProductPrecision { launcher.precision }
  /// The device's name.
  public var name: String { device.name }
  /// Device, driver, and the form and the precision of the kernels.
  ///
  /// The compute units only of a GPU: one with fewer may have no room for a layer's order of sums.
  public var record: BackendRecord {
    BackendRecord(
      device: device.name, driver: device.driver,
      computeUnits: device.type == .gpu ? device.computeUnits : nil,
      kernels: kernelForm.rawValue, precision: precision.rawValue)
  }
  /// Float32.
  public let elementType = ElementType.float32
  /// The device's alignment of sub-buffers, in floats.
  public let sliceAlignment: Int

  let launcher: Launcher
  let products: any MatrixProducts
  let tuningFile: TuningFile
  let storedTunings: [String: LayerTuning]
  var tunings: [TunedLayer: LayerTuning] = [:]
  private let makeStrategy: StrategyMaker
  private var strategies: [CellVariant: any RecurrentStrategy] = [:]

  /// Opens `device` and builds its matrix products.
  ///
  /// - Parameters:
  ///   - device: what computes.
  ///   - kernels: the form of the kernels.
  ///   - precision: to what the factors of products may be rounded; Float32 whatever it says where that
  ///     would be of no use.
  ///   - profiling: whether every launch is recorded, for `launches`.
  ///   - cache: where built programs are kept between runs, and what was tuned.
  /// - Throws: `OpenCLError` where the device refuses, `CarouselError` where a kernel file is missing.
  public init(
    device: Device, kernels: KernelForm = .automatic, precision: ProductPrecision = .float32,
    profiling: Bool = false, cache: ProgramCache = .standard
  ) throws {
    let queue = try Queue(context: Context(device: device, cache: cache), profiling: profiling)
    let form = kernels.resolved(for: device)
    let launcher = Launcher(
      queue: queue, form: form, precision: precision.usable(on: device, form: form))
    self.device = device
    self.launcher = launcher
    kernelForm = launcher.form
    tuningFile = TuningFile(cache, device: device, form: form, precision: launcher.precision)
    storedTunings = tuningFile.load()
    let floatBytes = MemoryLayout<Float>.stride
    sliceAlignment = max(1, ceilDivide(device.baseAddressAlignmentBytes, floatBytes))
    if form == .cpu {
      let panels = try PanelProducts(launcher)
      (products, makeStrategy) = (panels, panels.makeStrategy)
    } else {
      let tiles = try TiledProducts(launcher)
      (products, makeStrategy) = (tiles, tiles.makeStrategy)
    }
  }

  /// The launches since the last `clearLaunches`, in order; empty without profiling.
  ///
  /// Waits for the device.
  public var launches: [LaunchRecord] {
    get throws { try launcher.records() }
  }

  /// How many launches there were since the last `clearLaunches`; 0 without profiling.
  ///
  /// Does not wait for the device.
  public var launchCount: Int { launcher.recordCount }

  /// Forgets the launches so far.
  public func clearLaunches() { launcher.clearRecords() }

  /// The strategy of a layer at work, which its reserve remembers.
  func strategy(for pass: RecurrentPass) throws -> any RecurrentStrategy {
    if let strategy = pass.reserve.strategy { return strategy }
    let cell = CellVariant(pass.layer)
    let strategy = try strategies[cell] ?? makeStrategy(pass.plan.strategy.value, cell)
    strategies[cell] = strategy
    pass.reserve.strategy = strategy
    return strategy
  }
}

/// Makes the strategy that a plan names, for a cell.
private typealias StrategyMaker =
  (_ strategy: LayerPlan.Strategy, _ cell: CellVariant) throws -> any RecurrentStrategy

extension PanelProducts {
  /// The strategies whose products these are.
  fileprivate func makeStrategy(
    _ strategy: LayerPlan.Strategy, _ cell: CellVariant
  ) throws -> any RecurrentStrategy {
    if case .stagedSequence = strategy {
      return try StagedSequenceStrategy(launcher, cell: cell, products: self)
    }
    return try SequenceStrategy(launcher, cell: cell, products: self)
  }
}

extension TiledProducts {
  /// The strategies whose products these are.
  fileprivate func makeStrategy(
    _ strategy: LayerPlan.Strategy, _ cell: CellVariant
  ) throws -> any RecurrentStrategy {
    if case .stagedSteps = strategy {
      return try StagedStepStrategy(launcher, cell: cell, products: self)
    }
    return PersistentStrategy(launcher, cell: cell)
  }
}

extension OpenCLBackend {
  private static let elementBytes = MemoryLayout<Float>.stride

  /// Takes zeroed memory from the pool; throws where the device has no room.
  public func makeBuffer(count: Int) throws -> Buffer {
    guard count >= 0, count <= Int.max / (2 * Self.elementBytes) else {
      throw CarouselError(.noDevice, "no device has room for a buffer of \(count) elements")
    }
    let buffer = try launcher.scratch(count: count)
    try launcher.queue.fill(buffer, with: Float(0))
    return buffer
  }

  /// A sub-buffer, which keeps its parent alive; `offset` is a multiple of `sliceAlignment`.
  public func slice(_ buffer: Buffer, offset: Int, count: Int) throws -> Buffer {
    try checkSlice(of: buffer, offset: offset, count: count)
    return try buffer.slice(
      byteOffset: offset * Self.elementBytes, byteCount: max(count, 1) * Self.elementBytes)
  }

  /// Rounds to Float32 and queues the write; `values` is copied before the call returns.
  public func write(_ values: [Double], to buffer: Buffer) throws {
    try check(buffer, "write", values.count)
    try launcher.queue.write(values.map(Float.init), to: buffer)
  }

  /// Queues the write of Float32 as they are, of Float64 rounded; the tensor may go then.
  public func write(_ tensor: Tensor, to buffer: Buffer) throws {
    switch tensor.elements {
    case .float64(let doubles): try write(doubles, to: buffer)
    case .float32(let floats):
      try check(buffer, "write", floats.count)
      try launcher.queue.write(floats, to: buffer)
    }
  }

  /// Waits for all queued work, then reads the first `count` elements.
  public func read(_ buffer: Buffer, count: Int) throws -> [Double] {
    try readFloats(buffer, count: count).map(Double.init)
  }

  /// Waits for all queued work, then reads the first elements as Float32.
  public func readTensor(_ buffer: Buffer, _ shape: Shape) throws -> Tensor {
    Tensor(shape, .float32(try readFloats(buffer, count: shape.count)))
  }

  private func readFloats(_ buffer: Buffer, count: Int) throws -> [Float] {
    try check(buffer, "read", count)
    try launcher.prepareToWait()
    return try launcher.queue.read(buffer, as: Float.self, count: count)
  }

  /// Queues the write of Float32 as they are; the memory may go then.
  public func write(_ elements: UnsafeRawBufferPointer, to buffer: Buffer) throws {
    try check(buffer, "write", elements.count / Self.elementBytes)
    try launcher.queue.write(elements, to: buffer)
  }

  /// Queues a read, which goes on while what is queued behind it is computed.
  public func readLater(_ buffer: Buffer, into memory: TransferSlice) throws -> () throws -> Void {
    try check(buffer, "read", memory.range.count / Self.elementBytes)
    let read = try launcher.queue.readLater(buffer, into: memory.bytes, of: memory.memory)
    return { try read.wait() }
  }

  /// Queues a copy of the first `count` elements.
  public func copy(_ source: Buffer, to destination: Buffer, count: Int) throws {
    try check(source, "copy", count)
    try check(destination, "copy", count)
    try launcher.queue.copy(source, to: destination, byteCount: count * Self.elementBytes)
  }

  /// Queues a fill of the first `count` elements.
  public func fill(_ buffer: Buffer, count: Int, with value: Double) throws {
    try check(buffer, "fill", count)
    try launcher.queue.fill(buffer, with: Float(value), byteCount: count * Self.elementBytes)
  }

  /// Takes zeroed memory from the pool: an index is as large as a float.
  public func makeIndexBuffer(count: Int) throws -> IndexBuffer {
    IndexBuffer(memory: try makeBuffer(count: count), count: count)
  }

  /// Queues the write; `values` is copied before the call returns.
  public func write(_ values: [Int32], to buffer: IndexBuffer) throws {
    try check(buffer, count: values.count)
    try launcher.queue.write(values, to: buffer.memory)
    buffer.values.replaceSubrange(0..<values.count, with: values)
  }

  /// The bytes of the device's memory that buffers in use take, rounded up as they are allocated.
  public var bytesInUse: Int { launcher.pool.context.liveBytes - launcher.pool.idleBytes }

  /// Waits until the queue is empty.
  public func synchronize() throws { try launcher.finish() }
}

extension OpenCLDriver.Buffer: BackendBuffer {
  /// The 4-byte elements that it has room for.
  public var count: Int { byteCount / MemoryLayout<Float>.stride }
}

/// Indices in device memory, with the host's copy.
public final class OpenCLIndexBuffer: BackendIndexBuffer {
  /// The indices as they were written last.
  public fileprivate(set) var values: [Int32]
  let memory: OpenCLDriver.Buffer

  fileprivate init(memory: OpenCLDriver.Buffer, count: Int) {
    self.memory = memory
    values = [Int32](repeating: 0, count: count)
  }
}
