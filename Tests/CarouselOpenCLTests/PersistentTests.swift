import CarouselModel
import CarouselReference
import Testing

@testable import CarouselOpenCL

/// Layers whose steps are walked in one launch, by work-groups that wait for each other.
@MainActor @Suite(.device)
struct PersistentTests {
  /// A backend that walks the steps so: two groups at once are what every machine's CPU has.
  private static func backend(
    _ precision: ProductPrecision = .float32, groups: Int = 2, polls: Int = 1 << 22
  ) throws -> OpenCLBackend {
    let backend = try Machine.newBackend(.gpu, precision, profiling: true)
    backend.launcher.plannedDevice.groups = groups
    backend.launcher.persistentPolls = polls
    backend.launcher.plannedDevice.groupLocalBytes = min(backend.device.localMemoryBytes, 128 << 10)
    return backend
  }

  /// Computes layers like that of `work` with one of the tiles that fit.
  private static func tune(_ backend: OpenCLBackend, _ work: LayerWork, tile: Int) {
    var choice = LayerTuning()
    choice.persistentTile = tile
    backend.tune([work.layer], batchSize: work.batchSize, choice)
  }

  /// The first place at which both passes have a tile whose groups wait for others.
  private static func waitingTile(_ backend: OpenCLBackend, _ work: LayerWork) throws -> Int {
    let (forward, backward) = (tiles(backend, work, false), tiles(backend, work, true))
    return try #require(
      zip(forward, backward).map { !$0.isAlone && !$1.isAlone }.firstIndex(of: true))
  }

  private static func tiles(
    _ backend: OpenCLBackend, _ work: LayerWork, _ isBackward: Bool
  ) -> [PersistentTile] {
    let device = backend.launcher.plannedDevice
    return PersistentWork(
      isBackward: isBackward, batchSize: work.batchSize, hiddenSize: work.layer.hiddenSize,
      gateCount: work.layer.gateCount, groups: device.groups, items: device.groupItems,
      localBytes: device.groupLocalBytes, precision: device.precision
    ).tiles()
  }

  private static func layer(_ cell: Cell, _ hiddenSize: Int) -> RecurrentLayer {
    RecurrentLayer(cell: cell, inputSize: 5, hiddenSize: hiddenSize)
  }

  private static func launched(_ backend: OpenCLBackend) throws -> Set<String> {
    Set(try backend.launches.map(\.kernel))
  }

  /// Each tile's program is a second or more of PoCL's time: every cell is there, and every size with two of them.
  private nonisolated static let tiledSizes: [(cell: Cell, N: Int, H: Int)] = [
    (.lstm, 1, 8), (.lstm, 3, 7), (.lstm, 5, 33), (.gru, 1, 8), (.gru, 5, 33), (.rnn, 3, 7),
    (.slstm, 3, 7),
  ]

  /// The cells whose weights a group can hold.
  private nonisolated static let withWeights = Cell.allCases.filter {
    $0.traits.hasRecurrentWeights
  }

  private static let waiting: Set = [
    "persistent_forward", "persistent_forward_rest", "persistent_backward",
    "persistent_backward_rest",
  ]

  @Test(arguments: tiledSizes)
  func everyTileAgrees(_ sizes: (cell: Cell, N: Int, H: Int)) throws {
    let work = LayerWork(Self.layer(sizes.cell, sizes.H), sequenceLength: 4, batchSize: sizes.N)
    let backend = try Self.backend()
    for tile in [0, try Self.waitingTile(backend, work)] {
      Self.tune(backend, work, tile: tile)
      try expectAgreement(work, on: [backend])
    }
    let launched = try Self.launched(backend)
    #expect(launched.isSuperset(of: Self.waiting) && !launched.contains("step_forward"))
  }

  /// More groups than any CPU runs at once, or no patience at all: the second launch does the rest.
  @Test(arguments: [
    (Cell.lstm, 2, 0), (.lstm, 64, 20), (.gru, 64, 20), (.rnn, 2, 0), (.slstm, 2, 0),
  ])
  func whatWasGivenUpIsDoneByTheNextLaunch(
    _ limits: (cell: Cell, groups: Int, polls: Int)
  ) throws {
    var work = LayerWork(Self.layer(limits.cell, 33), sequenceLength: 3, batchSize: 9)
    work.layer.isReverse = limits.polls == 0
    work.directions = 2
    let backend = try Self.backend(groups: limits.groups, polls: limits.polls)
    Self.tune(backend, work, tile: try Self.waitingTile(backend, work))
    try expectAgreement(work, on: [backend])
    #expect(try Self.launched(backend).contains("persistent_forward_rest"))
    // From then on no group waits for another.
    backend.clearLaunches()
    try expectAgreement(work, on: [backend])
    #expect(try Self.launched(backend).isDisjoint(with: ["persistent_forward_rest"]))
  }

  /// Patient, or given up at once: the same sums in the same order.
  @Test(arguments: withWeights) func theSecondLaunchComputesTheSameBits(cell: Cell) throws {
    let work = LayerWork(Self.layer(cell, 16), sequenceLength: 5, batchSize: 2)
    var results: [[[Double]]] = []
    for polls in [1 << 22, 0] {
      for training in [true, false] {
        let backend = try Self.backend(polls: polls)
        Self.tune(backend, work, tile: try Self.waitingTile(backend, work))
        results.append(try work.forward(on: backend, training: training))
        #expect(try Self.launched(backend).contains("persistent_forward_rest"))
      }
    }
    #expect(results[0].allSatisfy { $0.allSatisfy { $0.isFinite } })
    for result in results.dropFirst() { #expect(result == results[0]) }
  }

  @Test(arguments: withWeights, [false, true])
  func everyOptionAgrees(cell: Cell, isAlone: Bool) throws {
    let plain = LayerWork(Self.layer(cell, 12), sequenceLength: 4, batchSize: 6)
    let backend = try Self.backend()
    let tile = try isAlone ? 0 : Self.waitingTile(backend, plain)
    #expect(Self.tiles(backend, plain, false)[tile].isAlone == isAlone)
    var works: [LayerWork] = []
    for isReverse in [false, true] {
      var work = plain
      work.layer.isReverse = isReverse
      work.lengths = [4, 0, 3, 4, 1, 2]
      work.directions = 2
      works.append(work)
      work.layer.options.zoneoutHidden = 0.25
      if cell == .lstm { work.layer.options.zoneoutCell = 0.5 }
      work.layer.options.recurrentDropout = 0.25
      work.hasInitial = !isReverse
      work.hasGradFinal = !isReverse
      works.append(work)
    }
    for sequenceLength in [1, 3] {
      var work = plain
      work.sequenceLength = sequenceLength
      work.isFinalInitial = true
      work.layer.options.dropConnect = 0.25
      work.layer.options.bias = .double
      works.append(work)
      work.isFinalInitial = false
      work.hasInitial = false
      work.wantsGradInitial = false
      works.append(work)
    }
    if cell == .lstm {
      var work = plain
      work.layer.options.peepholes = true
      work.layer.options.cellClip = 0.5
      works.append(work)
    }
    for work in works {
      Self.tune(backend, work, tile: tile)
      try expectAgreement(work, on: [backend])
    }
    #expect(!(try Self.launched(backend).contains("step_forward")))
  }

  /// Warps that multiply with rounded factors, of groups that wait for each other and of one alone.
  @Test(arguments: [(Cell.lstm, ProductPrecision.tf32), (.rnn, .bf16), (.gru, .tf32x3)])
  func matrixUnitsAgree(cell: Cell, precision: ProductPrecision) throws {
    let work = LayerWork(Self.layer(cell, 32), sequenceLength: 3, batchSize: 17)
    let backend = try Self.backend(precision)
    let (forward, backward) = (Self.tiles(backend, work, false), Self.tiles(backend, work, true))
    for isAlone in [false, true] {
      let place = try #require(
        zip(forward, backward).map {
          $0.precision == precision && $1.precision == precision && $0.isAlone == isAlone
            && $1.isAlone == isAlone
        }.firstIndex(of: true), "\(isAlone)")
      Self.tune(backend, work, tile: place)
      try expectAgreement(
        work, on: [backend], bound: precision == .tf32x3 ? nil : 8 * precision.unitRoundoff)
      // Rounding shows.
      let y = try work.forward(on: backend, training: true)[0]
      let exact = try work.forward(on: ReferenceBackend(), training: true)[0]
      #expect((nrms(y, exact) > 1e-5) == (precision != .tf32x3))
    }
    #expect(!(try Self.launched(backend).contains("step_forward")))
  }

  @Test func tilesFitTheDevice() {
    for isBackward in [false, true] {
      for (batchSize, hiddenSize) in [(1, 1), (1, 256), (32, 128), (64, 1024), (16, 250)] {
        let work = PersistentWork(
          isBackward: isBackward, batchSize: batchSize, hiddenSize: hiddenSize, gateCount: 4,
          groups: 132, items: 512, localBytes: 47 << 10)
        let tiles = work.tiles()
        #expect(!tiles.isEmpty, "\(work)")
        for tile in tiles {
          let groups = ceilDivide(batchSize, tile.rows) * ceilDivide(hiddenSize, tile.units)
          let passes = (isBackward ? 4 : 1) * tile.length / tile.pass
          #expect(groups <= 132 && tile.length >= hiddenSize && tile.localBytes <= 47 << 10)
          #expect(tile.units.isMultiple(of: 4) && passes.isMultiple(of: tile.ahead))
        }
      }
    }
    let tooMany = PersistentWork(
      isBackward: false, batchSize: 4096, hiddenSize: 4096, gateCount: 4, groups: 132, items: 512,
      localBytes: 47 << 10)
    #expect(tooMany.tiles().isEmpty)
  }
}

extension ProductPrecision {
  /// The largest relative error of a factor: half of what its last bit is worth.
  fileprivate var unitRoundoff: Double {
    switch self {
    case .float32, .tf32x3: 0x1p-24
    case .tf32, .fp16: 0x1p-11
    case .bf16: 0x1p-8
    }
  }
}
