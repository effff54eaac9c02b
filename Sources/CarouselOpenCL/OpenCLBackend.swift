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
