import CarouselModel
import OpenCLDriver

/// The twin of `recurrent/persistent.cl`, `recurrent/persistent_product.cl` and `recurrent/grid.cl`: one launch walks all steps,
/// where one work-group has room for a layer's weights or the device runs the groups that share them
/// side by side; elsewhere the steps are launches.
final class PersistentStrategy: RecurrentStrategy {
  let launcher: Launcher
  private let cell: CellVariant
  private let steps: StepStrategy
  private var kernels: [PersistentTile: TileKernels] = [:]
  /// Whether the driver refused a kernel that has no more local memory than it reports.
  private var isRefused = false
  private var sync: (buffer: Buffer, count: Int)?

  init(_ launcher: Launcher, cell: CellVariant) {
    self.launcher = launcher
    self.cell = cell
    steps = StepStrategy(launcher, cell: cell)
  }

  func forward(_ pass: RecurrentPass, final: RecurrentState<Buffer>?) throws {
    // Of a single step no group waits for those that still read h₀, where it may be h_n.
    let isOneStep = pass.sequenceLength == 1
    let isWalked = try walk(
      pass, isBackward: false,
      [
        "h_n": isOneStep ? .nullBuffer : .optional(final?.hidden),
        "c_n": isOneStep ? .nullBuffer : .optional(final?.memory),
      ])
    guard isWalked else { return try steps.forward(pass, final: final) }
    try launcher.finishSteps(pass, final: isOneStep ? final : nil)
  }

  func backward(_ pass: RecurrentPass, _ gradients: RecurrentGradients) throws {
    let carried = launcher.carriedCellGradient(pass, gradients)
    let isWalked = try walk(
      pass, isBackward: true, hasInitialGradient: gradients.initial != nil,
      [
        "grad_y": .buffer(gradients.y), "grad_h_n": .optional(gradients.final?.hidden),
        "grad_c_n": .optional(gradients.final?.memory),
        "dh": .buffer(try launcher.scratch(count: pass.stateCount)), "dc": .optional(carried),
        "grad_h_0": .optional(gradients.initial?.hidden),
      ])
    guard !isWalked else { return }
    try steps.backward(pass, gradients)
  }

  /// Computes the steps with the first tile that the driver takes; false where there is none.
  ///
  /// A kernel that fails at its first use has done nothing: launching is what was refused.
  private func walk(
    _ pass: RecurrentPass, isBackward: Bool, hasInitialGradient: Bool = false,
    _ arguments: KernelArguments
  ) throws -> Bool {
    while let tile = tile(pass, isBackward: isBackward) {
      do {
        try walk(pass, kernels(of: tile), hasInitialGradient: hasInitialGradient, arguments)
        return true
      } catch is OpenCLError where kernels[tile]?.wasTried != true {
        refuse(tile)
      }
    }
    return false
  }

  /// Launches the kernel that walks the steps, and the one behind it that does what is left.
  private func walk(
    _ pass: RecurrentPass, _ kernels: TileKernels, hasInitialGradient: Bool,
    _ arguments: KernelArguments
  ) throws {
    let tile = kernels.tile
    let tiles = ceilDivide(pass.hiddenSize, tile.units)
    let teams = ceilDivide(pass.batchSize, tile.rows)
    let sync = kernels.rest == nil ? nil : try sync(tiles: tiles, teams: teams)
    let all = pass.arguments(weights: pass.weightHH) + arguments + ["sync": .optional(sync)]
    let computed = pass.allRows
    let rows =
      tile.isBackward
      ? computed.gradientsAfter(batchSize: pass.batchSize, initial: hasInitialGradient)
      : pass.statesBefore(computed)
    try launcher.launch(
      kernels.all, global: [tiles * tile.items, teams], local: [tile.items, 1],
      flops: pass.recurrentFlops(rows: rows),
      bytes: pass.bytes(gatePasses: tile.isBackward || pass.reserve.training ? 2 : 1),
      all + ["polls": .int(launcher.persistentPolls)])
    let isFirst = !kernels.wasTried
    kernels.wasTried = true
    guard let sync, let rest = kernels.rest else { return }
    try launcher.launch(
      rest, global: [tile.items], local: [tile.items], bytes: 0,
      all + ["tiles": .int(tiles), "teams": .int(teams)])
    guard isFirst else { return }
    // Once: whether the groups did run side by side. Whatever comes later, the second launch is there.
    let timesGivenUp = try launcher.queue.read(
      sync, byteOffset: Self.line * MemoryLayout<Int32>.stride, as: Int32.self, count: 1)[0]
    if timesGivenUp > 0 { launcher.plannedDevice.groupsCanWait = false }
  }

  /// LINE of `recurrent/grid.cl`.
  private static let line = 16

  /// The tile that the plan has for a pass, nil where its steps are launched.
  private func tile(_ pass: RecurrentPass, isBackward: Bool) -> PersistentTile? {
    var device = launcher.plannedDevice
    if isRefused { device.groupLocalBytes = 0 }
    let plan = launcher.plan(pass.work, on: device).persistent
    return isBackward ? plan.backward.value : plan.forward.value
  }

  private func kernels(of tile: PersistentTile) throws -> TileKernels {
    if let kernels = kernels[tile] { return kernels }
    let made = try TileKernels(tile, kernel: kernel)
    kernels[tile] = made
    return made
  }

  /// Does without what the driver does not take: more local memory than it reports, or else all of it.
  private func refuse(_ tile: PersistentTile) {
    let reported = launcher.device.localMemoryBytes
    if tile.localBytes > reported {
      launcher.plannedDevice.groupLocalBytes = reported - 1024
    } else {
      isRefused = true
    }
  }

  private func kernel(_ name: String, _ tile: PersistentTile) throws -> Kernel {
    try launcher.kernel(
      name,
      in: [cell.file, "recurrent/persistent.cl"], options: cell.kernelOptions + tile.options)
  }

  /// Where groups find each other, for at least so many tiles of so many teams; zeros between launches.
  private func sync(tiles: Int, teams: Int) throws -> Buffer {
    let count = (2 + teams) * Self.line + tiles * teams
    if let sync, sync.count >= count { return sync.buffer }
    let buffer = try launcher.scratch(count: count)
    try launcher.queue.fill(buffer, with: Int32(0))
    sync = (buffer, count)
    return buffer
  }

  /// A tile with its kernels: the one that walks all steps, and unless it is alone the one that does
  /// what that left.
  private final class TileKernels {
    let tile: PersistentTile
    let all: Kernel
    let rest: Kernel?
    var wasTried = false

    init(
      _ tile: PersistentTile, kernel: (_ name: String, _ tile: PersistentTile) throws -> Kernel
    ) throws {
      let name = tile.isBackward ? "persistent_backward" : "persistent_forward"
      self.tile = tile
      all = try kernel(name, tile)
      rest = tile.isAlone ? nil : try kernel(name + "_rest", tile)
    }
  }
}
