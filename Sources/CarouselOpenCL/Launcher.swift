import CarouselModel
import OpenCLDriver

/// One launch of a kernel: what it had to do, and when the device did it.
public struct LaunchRecord: Sendable {
  /// The kernel's name.
  public let kernel: String
  /// Floating-point operations, counted by hand from the sizes.
  public let flops: Double
  /// Bytes that have to be read or written at least once.
  public let bytes: Double
  /// The device's clock in nanoseconds, when the launch was queued, began and ended.
  public let queued: UInt64, started: UInt64, ended: UInt64

  /// States what a launch did and when.
  public init(
    kernel: String, flops: Double, bytes: Double, queued: UInt64, started: UInt64, ended: UInt64
  ) {
    self.kernel = kernel
    self.flops = flops
    self.bytes = bytes
    self.queued = queued
    self.started = started
    self.ended = ended
  }
}

/// A kernel's name is not enough: a strategy's kernel is another one with each cell.
private struct KernelKey: Hashable {
  let name: String
  let files: [String]
  let options: [String]

  /// The name tells most kernels apart; it takes less time than all of the texts.
  func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// Builds kernels on first use, launches them and, with a profiling queue, keeps their records.
///
/// Each twin of a kernel file hands every launch its operations and bytes.
final class Launcher {
  let queue: Queue
  let pool: BufferPool
  let form: KernelForm
  let parameters: KernelParameters
  /// Takes note of launches while work is recorded.
  var recording: RecordedLaunches?
  /// How the layer at work is computed.
  var tuning = LayerTuning()
  /// How often a part of a layer looks for the others before it does their work: some 50 µs.
  var splitPolls = 1 << 15
  /// How often a work-group of a persistent layer looks for the others before all give up: a tenth of a
  /// second on a GPU.
  var persistentPolls = 1 << 18
  /// To what the factors of products are rounded where that makes them faster.
  let precision: ProductPrecision
  /// What the plans of layers know of the device.
  var plannedDevice: PlanDevice

  private var persistentTiles: [PersistentWork: [PersistentTile]] = [:]
  /// The layouts of views in device memory.
  var layouts: [[Int32]: Buffer] = [:]

  private var kernels: [KernelKey: Kernel] = [:]
  /// The texts of programs by their files: most programs differ in their options alone.
  private var sources: [[String]: String] = [:]
  private var pending: [(kernel: String, flops: Double, bytes: Double, event: Event)] = []

  var device: Device { queue.context.device }

  /// Waits until all launches are done.
  func finish() throws {
    try prepareToWait()
    try queue.finish()
  }

  /// Has the device stay awake behind whatever is waited for, from the first time on.
  func prepareToWait() throws {
    guard queue.canWaitActively, !queue.waitsActively else { return }
    try queue.waitActively(with: kernel("wait_actively", in: ["ops/active_wait.cl"]))
  }

  init(queue: Queue, form: KernelForm, precision: ProductPrecision) {
    self.queue = queue
    self.form = form
    self.precision = precision
    pool = BufferPool(context: queue.context)
    let device = queue.context.device
    parameters = KernelParameters(form, device: device)
    plannedDevice = PlanDevice(device, form: form, precision: precision)
  }

  /// The kernel `name` of the program of `files` in their order and what they include, built with
  /// `options` beside the form's own.
  func kernel(_ name: String, in files: [String], options: [String] = []) throws -> Kernel {
    let key = KernelKey(name: name, files: files, options: options)
    if let kernel = kernels[key] { return kernel }
    let source = try sources[files] ?? KernelSources.program(files)
    sources[files] = source
    let program = try queue.context.program(
      name: files.last ?? name, source: source,
      options: parameters.options + options)
    let kernel = try program.kernel(name)
    kernels[key] = kernel
    return kernel
  }

  /// Queues a launch that does `flops` operations and moves `bytes` bytes at least.
  func launch(
    _ kernel: Kernel, global: [Int], local: [Int]? = nil, flops: Double = 0, bytes: Double,
    _ arguments: KernelArguments, changing: ChangingArgument? = nil
  ) throws {
    let local = local ?? groups(of: global, flops: flops, bytes: bytes)
    let event = try queue.launch(kernel, global: global, local: local, arguments: arguments)
    if let event { pending.append((kernel.name, flops, bytes, event)) }
    guard let recording else { return }
    let prepared = try PreparedLaunch(kernel, global: global, local: local, arguments: arguments)
    recording.append(prepared, flops: flops, bytes: bytes, changing: changing)
  }

  /// Queues a launch of at least `items` work-items, of which those beyond do nothing, in groups of any size.
  func launch(
    _ kernel: Kernel, items: Int, flops: Double = 0, bytes: Double, _ arguments: KernelArguments
  ) throws {
    var (count, size) = (roundUp(items, to: parameters.lanes), parameters.lanes)
    if size == 1 {
      (count, size) = WorkGroups.covering(
        items: items, units: device.computeUnits, flops: flops, bytes: bytes)
    }
    try launch(kernel, global: [count], local: [size], flops: flops, bytes: bytes, arguments)
  }

  /// The groups of a launch that asks for none; a GPU's driver knows best.
  private func groups(of global: [Int], flops: Double, bytes: Double) -> [Int]? {
    guard parameters.lanes == 1 else { return nil }
    return WorkGroups.size(global, units: device.computeUnits, flops: flops, bytes: bytes)
  }

  /// Queues a launch that was prepared.
  func launch(_ prepared: PreparedLaunch, flops: Double, bytes: Double) throws {
    let event = try queue.launch(prepared)
    if let event { pending.append((prepared.name, flops, bytes, event)) }
  }

  /// What `make` computes from a buffer's contents by launches, again only after they may have changed.
  func derived(
    _ buffer: Buffer, _ key: AnyHashable, make: (_ stale: Buffer?) throws -> Buffer
  ) rethrows -> Buffer {
    let result = try buffer.derived(key) { stale in
      recording?.refuse()
      return try make(stale)
    }
    recording?.depend(on: buffer)
    return result
  }

  /// The plan for a layer's work as it is tuned, made once for its reserve.
  func plan(_ work: RecurrentWork<OpenCLBackend>, on device: PlanDevice? = nil) -> LayerPlan {
    let basis = PlanBasis(work, device: device ?? plannedDevice, tuning: tuning)
    if let known = work.reserve.plan, known.basis == basis { return known.plan }
    let plan = LayerPlan(PlannedWork(work), on: basis.device, tuning: tuning) { work in
      if let tiles = persistentTiles[work] { return tiles }
      let tiles = work.tiles()
      persistentTiles[work] = tiles
      return tiles
    }
    work.reserve.plan = (basis, plan)
    return plan
  }

  /// Memory that is used by launches queued from here on, and returns to the pool with its last owner.
  func scratch(count: Int) throws -> Buffer {
    try scratch(bytes: count * MemoryLayout<Float>.stride)
  }

  func scratch(bytes: Int) throws -> Buffer {
    try pool.take(max(bytes, MemoryLayout<Float>.stride))
  }

  /// The records of all launches since the last call of `clearRecords`; waits for the device.
  func records() throws -> [LaunchRecord] {
    try queue.finish()
    return try pending.map { launch in
      let times = try launch.event.profilingTimes
      return LaunchRecord(
        kernel: launch.kernel, flops: launch.flops, bytes: launch.bytes, queued: times.queued,
        started: times.started, ended: times.ended)
    }
  }

  func clearRecords() { pending.removeAll() }

  /// How many launches `records` has records of.
  var recordCount: Int { pending.count }
}

extension KernelArgument {
  /// A buffer, or a null pointer where there is none.
  static func optional(_ buffer: Buffer?) -> KernelArgument {
    buffer.map { .buffer($0) } ?? .nullBuffer
  }

  /// An `int`; sizes are checked where buffers are made.
  static func int(_ value: Int) -> KernelArgument { .int32(Int32(value)) }

  /// An `int` that is 1 or 0.
  static func int(_ value: Bool) -> KernelArgument { .int32(value ? 1 : 0) }
}

/// `value / divisor`, rounded up.
func ceilDivide(_ value: Int, _ divisor: Int) -> Int { (value + divisor - 1) / divisor }

/// `value` rounded up to a multiple of `multiple`.
func roundUp(_ value: Int, to multiple: Int) -> Int { ceilDivide(value, multiple) * multiple }

// The twin of column_sums.cl.
extension Launcher {
  /// SUM_COLUMNS and SUM_ROWS of `ops/column_sums.cl` and `recurrent/norm_rows.cl`.
  static let sumColumns = 32, sumRows = 8

  /// The rows whose columns one work-group sums: so many that each of `plannedUnits` has 4 work-groups, but
  /// no fewer than 64.
  func sumRange(rows: Int, columns: Int) -> Int {
    let groups = ceilDivide(columns, Self.sumColumns)
    return ceilDivide(
      rows, max(1, min(4 * KernelParameters.plannedUnits / groups, rows / 64)))
  }

  /// The sums over M `rows` of the columns of `a[offset + m·stride + n]`, for GPUs.
  ///
  /// In ranges of rows; then the sums of the ranges are added in their order.
  func sumColumns(
    _ a: Buffer, rows: Int, columns: Int, stride: Int, offset: Int = 0, into sums: ColumnSums?,
    and sums2: ColumnSums? = nil
  ) throws {
    let groups = ceilDivide(columns, Self.sumColumns)
    let range = sumRange(rows: rows, columns: columns)
    let ranges = ceilDivide(rows, range)
    func launchSums(
      of a: Buffer, rows: Int, stride: Int, offset: Int, range: Int, into sums: ColumnSums?,
      and sums2: ColumnSums?
    ) throws {
      try launch(
        kernel("column_sums", in: ["ops/column_sums.cl"]),
        global: [groups * Self.sumColumns, ceilDivide(rows, range) * Self.sumRows],
        local: [Self.sumColumns, Self.sumRows], flops: Double(rows * columns),
        bytes: 4 * Double(rows * columns),
        [
          "a": .buffer(a), "M": .int(rows), "N": .int(columns), "stride": .int(stride),
          "offset": .int(offset), "range": .int(range), "sums": .optional(sums?.buffer),
          "first": .int(sums?.first ?? 0), "skipped": .int(sums?.skipped.lowerBound ?? 0),
          "resumed": .int(sums?.skipped.upperBound ?? 0), "sums2": .optional(sums2?.buffer),
          "first2": .int(sums2?.first ?? 0), "skipped2": .int(sums2?.skipped.lowerBound ?? 0),
          "resumed2": .int(sums2?.skipped.upperBound ?? 0),
        ])
    }
    guard ranges > 1 else {
      return try launchSums(
        of: a, rows: rows, stride: stride, offset: offset, range: range, into: sums, and: sums2)
    }
    let partials = try scratch(count: ranges * columns)
    try launchSums(
      of: a, rows: rows, stride: stride, offset: offset, range: range,
      into: ColumnSums(buffer: partials), and: nil)
    try launchSums(
      of: partials, rows: ranges, stride: columns, offset: 0, range: ranges, into: sums, and: sums2)
  }
}

/// Where the sums of columns go: from `first` on, without those of the columns `skipped`.
struct ColumnSums {
  let buffer: Buffer
  var first = 0
  var skipped = 0..<0
}

extension WeightGradient {
  /// Where its sums go.
  func sums(of gradY: GradientColumns) -> ColumnSums? {
    bias.map { ColumnSums(buffer: $0, first: first, skipped: skipped(of: gradY)) }
  }
}
