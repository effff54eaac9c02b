import CarouselModel
import Testing

@testable import CarouselOpenCL

/// Plans as a table: devices are numbers here, and none is needed.
@Suite struct LayerPlanTests {
  /// A device that plans are made for.
  enum Machine: String, CaseIterable {
    case laptop, avx512, manyCores, h200, otherGPU, simulator

    var device: PlanDevice {
      var device = PlanDevice(
        form: .cpu, isCPU: true, isGPU: false, computeUnits: 2, vectorWidth: 8,
        cacheBytes: 16 << 20, precision: .float32, groupsCanWait: true, groups: 2,
        groupItems: 4096, groupLocalBytes: 63 << 10)
      switch self {
      case .laptop: break
      case .avx512: (device.vectorWidth, device.cacheBytes) = (16, 32 << 20)
      case .manyCores:
        (device.computeUnits, device.groups, device.cacheBytes) = (96, 96, 384 << 20)
        device.vectorWidth = 16
      case .h200, .otherGPU:
        (device.form, device.isCPU, device.isGPU) = (.gpu, false, true)
        (device.computeUnits, device.groups, device.vectorWidth) = (132, 132, 1)
        (device.groupItems, device.groupLocalBytes) = (1024, 223 << 10)
        device.computeCapability = 90
        guard self == .otherGPU else { break }
        (device.computeUnits, device.groups, device.groupItems) = (60, 60, 256)
        (device.groupLocalBytes, device.groupsCanWait) = (63 << 10, false)
        device.computeCapability = nil
      case .simulator: device.groupsCanWait = false
      }
      return device
    }
  }

  static func plan(
    _ machine: Machine, _ cell: Cell = .lstm, time: Int = 50, batch: Int, inputs: Int, units: Int,
    lengths: Bool = false, stride: Int? = nil, tuning: LayerTuning = LayerTuning(),
    _ change: (inout CellOptions) -> Void = { _ in }
  ) -> LayerPlan {
    var layer = RecurrentLayer(cell: cell, inputSize: inputs, hiddenSize: units)
    change(&layer.options)
    return LayerPlan(
      PlannedWork(
        layer: layer, sequenceLength: time, batchSize: batch, hasLengths: lengths,
        recurrentInputStride: stride ?? layer.stateSize), on: machine.device, tuning: tuning)
  }

  @Test(arguments: [
    // Few sequences and many weights: all cores share the hidden units of each step.
    (Machine.laptop, 1, 256, SequencePlan.Division.splits(2)), (.laptop, 19, 256, .splits(2)),
    (.avx512, 15, 256, .splits(2)), (.manyCores, 64, 1024, .splits(64)),
    (.manyCores, 1, 4096, .splits(96)),
    // Sequences enough for every core.
    (.laptop, 20, 256, .slices(2)), (.avx512, 16, 256, .slices(2)),
    (.manyCores, 768, 256, .slices(96)),
    // 110 units are 48,400 recurrent weights, 111 are 49,284.
    (.laptop, 1, 110, .slices(1)), (.laptop, 1, 111, .splits(2)),
    // One tile of units, and a simulator that runs one work-group after the other.
    (.laptop, 1, 8, .slices(1)), (.simulator, 1, 256, .slices(1)), (.simulator, 7, 512, .slices(2)),
  ])
  func coresShareUnitsWhereSequencesAreFew(
    machine: Machine, batch: Int, units: Int, division: SequencePlan.Division
  ) {
    #expect(
      Self.plan(machine, batch: batch, inputs: 64, units: units).sequence.forward.value == division)
  }

  @Test(arguments: [
    // Little to multiply, whatever else.
    (Machine.laptop, 8, 16, 64, LayerPlan.InputProduct.duringSteps),
    (.laptop, 7, 20, 64, .beforeFirstStep), (.simulator, 1, 3, 5, .beforeFirstStep),
    // Weights that stay in the caches, and rows that fill tiles.
    (.laptop, 64, 128, 256, .duringSteps), (.avx512, 64, 128, 256, .duringSteps),
    // 8 MiB of weights of 512 units and inputs do not stay, unless the last cache is large.
    (.laptop, 64, 512, 512, .before), (.manyCores, 768, 512, 512, .duringSteps),
    // Too few rows for a tile, with splits and without.
    (.laptop, 4, 256, 256, .beforeFirstStep), (.laptop, 4, 513, 256, .before),
    (.simulator, 4, 256, 256, .beforeFirstStep),
  ])
  func inputsAreMultipliedWhereTheirWeightsAreRead(
    machine: Machine, batch: Int, inputSize: Int, units: Int, inputs: LayerPlan.InputProduct
  ) {
    #expect(
      Self.plan(machine, batch: batch, inputs: inputSize, units: units).inputs.value == inputs)
  }

  @Test func lengthsMakeTheGradientsOfInputsPartOfTheStepsBack() {
    func duringSteps(
      _ lengths: Bool, batch: Int = 32, inputs: Int = 128, units: Int = 256
    ) -> Bool {
      Self.plan(.laptop, batch: batch, inputs: inputs, units: units, lengths: lengths)
        .inputGradientsDuringSteps.value
    }
    #expect(duringSteps(true) && !duringSteps(false))
    #expect(
      !duringSteps(true, inputs: 513) && !duringSteps(true, units: 1024)
        && !duringSteps(true, batch: 1))
    #expect(duringSteps(false, inputs: 1, units: 16))
  }

  @Test func weightsAreFetchedWhereTheyComeFromMemory() {
    func fetches(_ machine: Machine, _ units: Int, _ recurrence: Recurrence = .dense) -> Bool {
      Self.plan(machine, batch: 64, inputs: units, units: units) { $0.recurrence = recurrence }
        .sequence.fetchesAhead.value
    }
    #expect(fetches(.laptop, 1024) && !fetches(.laptop, 256) && !fetches(.avx512, 1024))
    #expect(!fetches(.laptop, 2048, .diagonal) && !fetches(.laptop, 2048, .blocks(2)))
  }

  @Test func gatesAndStatesAreFetchedWhereTheyComeFromAfar() {
    func fetches(batch: Int, units: Int, _ machine: Machine = .avx512) -> Bool {
      Self.plan(machine, batch: batch, inputs: units, units: units).sequence.fetchesRows.value
    }
    #expect(fetches(batch: 256, units: 128) && fetches(batch: 4, units: 1024))
    #expect(!fetches(batch: 4, units: 128) && !fetches(batch: 1, units: 256))
  }

  @Test func statesThatShareSetsOfTheCacheAreCopied() {
    func copies(batch: Int = 16, units: Int, stride: Int? = nil) -> Bool {
      Self.plan(.laptop, batch: batch, inputs: 8, units: units, stride: stride).sequence
        .copiesStates.value
    }
    #expect(copies(units: 512) && copies(units: 1024) && copies(units: 256, stride: 512))
    #expect(!copies(units: 520) && !copies(batch: 1, units: 512))
    #expect(Self.plan(.laptop, batch: 16, inputs: 8, units: 512).sequence.copyStride == 528)
  }

  @Test func aStagedLayerHasAStagedStrategy() {
    for (what, change) in [
      ("normalization", { (options: inout CellOptions) in options.layerNorm = true }),
      ("projection", { options in options.projectionSize = 8 }),
    ] {
      let cpu = Self.plan(.manyCores, batch: 7, inputs: 8, units: 16, change)
      #expect(cpu.strategy.value == .stagedSequence(slices: 7))
      #expect(cpu.strategy.reason.contains(what) && cpu.inputs.value == .before)
      #expect(
        Self.plan(.h200, batch: 7, inputs: 8, units: 16, change).strategy.value == .stagedSteps)
    }
    let before = Self.plan(.h200, .gru, batch: 7, inputs: 8, units: 16) { $0.gruReset = .before }
    #expect(before.strategy.value == .stagedSteps)
    #expect(before.strategy.reason.contains("reset") && !before.packsGradients.value)
  }

  /// Of a step with few rows a single one may be summed in another order than among all steps.
  @Test func fewRowsMeetTheirInputsBeforeTheFirstStepOnEveryMachine() {
    for machine in [Machine.laptop, .avx512, .manyCores, .simulator] {
      for (batch, inputs, units) in [(1, 3, 5), (2, 64, 64), (7, 600, 512), (7, 300, 16)] {
        #expect(
          Self.plan(machine, batch: batch, inputs: inputs, units: units).inputs.value
            == Self.plan(.laptop, batch: batch, inputs: inputs, units: units).inputs.value)
        var tuning = LayerTuning()
        for multipliesInputs in [false, true] {
          tuning.multipliesInputs = multipliesInputs
          let plan = Self.plan(
            machine, batch: batch, inputs: inputs, units: units, tuning: tuning)
          #expect(plan.inputs.value != .duringSteps)
        }
      }
    }
  }

  /// The order of a product's sums is that of an H200, with fewer multiprocessors and less memory too.
  @Test(arguments: [(114, 223), (78, 223), (132, 163), (148, 223), (96, 99)])
  func smallerGPUsSumInTheSameOrder(groups: Int, kilobytes: Int) throws {
    var device = Machine.h200.device
    (device.computeUnits, device.groups) = (groups, groups)
    device.groupLocalBytes = kilobytes << 10
    var met = 0
    for (cell, batch, units) in [
      (Cell.lstm, 32, 128), (.lstm, 64, 256), (.gru, 16, 128), (.gru, 1, 64), (.rnn, 64, 512),
    ] {
      let layer = RecurrentLayer(cell: cell, inputSize: 20, hiddenSize: units)
      let work = PlannedWork(
        layer: layer, sequenceLength: 50, batchSize: batch, recurrentInputStride: units)
      let planned = LayerPlan(work, on: Machine.h200.device).persistent
      let own = LayerPlan(work, on: device).persistent
      for (first, second, isBackward) in [
        (planned.forward, own.forward, false), (planned.backward, own.backward, true),
      ] {
        guard let tile = second.value, !second.reason.contains("none sums") else { continue }
        let sums = PersistentWork(
          isBackward: isBackward, batchSize: batch, hiddenSize: units, gateCount: layer.gateCount,
          groups: groups, items: 1024, localBytes: device.groupLocalBytes)
        #expect(try sums.order(tile) == sums.order(#require(first.value)))
        met += 1
      }
    }
    #expect(met >= 6)
  }

  @Test func aGPUKeepsWeightsWhereItHasRoomForThem() throws {
    let small = Self.plan(.h200, batch: 32, inputs: 20, units: 128).persistent
    let forward = try #require(small.forward.value)
    #expect(!forward.isBackward && small.backward.value?.isBackward == true)
    #expect(forward.localBytes <= 223 << 10)
    // More units than all work-groups together have room for.
    #expect(Self.plan(.h200, batch: 4096, inputs: 20, units: 4096).persistent.forward.value == nil)
    // Groups that cannot wait for each other: a group has all units of its sequences, or there is none.
    let alone = Self.plan(.otherGPU, batch: 32, inputs: 20, units: 32).persistent
    #expect(alone.forward.value?.isAlone == true)
    #expect(
      Self.plan(.otherGPU, batch: 32, inputs: 20, units: 1024).persistent.forward.value == nil)
    // On a CPU the GPU's form launches each step, unless tuned.
    var device = Machine.laptop.device
    device.form = .gpu
    let layer = RecurrentLayer(cell: .lstm, inputSize: 4, hiddenSize: 8)
    let work = PlannedWork(
      layer: layer, sequenceLength: 3, batchSize: 2, recurrentInputStride: 8)
    var tuning = LayerTuning()
    #expect(LayerPlan(work, on: device).persistent.forward.value == nil)
    tuning.persistentTile = 0
    #expect(LayerPlan(work, on: device, tuning: tuning).persistent.forward.value != nil)
    (tuning.persistentTile, tuning.units, tuning.batch) = (-1, 8, 32)
    let stepped = LayerPlan(work, on: device, tuning: tuning).persistent
    #expect(stepped.forward.value == nil && stepped.stepUnits == 8 && stepped.stepBatch == 32)
  }

  @Test func whatIsTunedIsTaken() {
    var tuning = LayerTuning()
    for (splits, inputs) in [(true, false), (false, true)] {
      (tuning.splitsUnits, tuning.multipliesInputs) = (splits, inputs)
      let plan = Self.plan(.laptop, batch: 64, inputs: 64, units: 64, tuning: tuning)
      #expect(plan.sequence.forward.value == (splits ? .splits(2) : .slices(2)))
      #expect(plan.inputs.value == (inputs ? .duringSteps : .before))
      #expect(
        plan.inputs.reason == LayerPlan.tuned && plan.sequence.forward.reason == LayerPlan.tuned)
    }
  }

  /// Every machine computes every kind of layer, and says why it does so.
  @Test(arguments: Machine.allCases, Cell.allCases)
  func everyChoiceHasAReason(machine: Machine, cell: Cell) {
    for (batch, units) in [(1, 1), (1, 512), (33, 33), (64, 1024)] {
      for recurrence in [Recurrence.dense, .diagonal] {
        let plan = Self.plan(machine, cell, time: 1, batch: batch, inputs: 3, units: units) {
          $0.recurrence = recurrence
        }
        for line in plan.lines {
          #expect(!line.reason.isEmpty && !line.value.isEmpty && !line.reason.hasSuffix("."))
        }
        #expect(plan.lines.count >= 4)
      }
    }
  }
}
