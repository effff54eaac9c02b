import CarouselModel
import Testing

@testable import CarouselOpenCL

/// Sums whose order is a function of sizes alone: plans for other numbers of cores give the same bits.
@MainActor @Suite(.device)
struct CoreCountTests {
  /// A layer's work that cores can divide in several ways.
  struct Case: CustomTestStringConvertible, Sendable {
    let cell: Cell
    let sequenceLength: Int, batchSize: Int, inputSize: Int, hiddenSize: Int
    var options = CellOptions()
    var lengths: [Int32]?
    var isReverse = false

    var testDescription: String {
      "\(cell), T \(sequenceLength), N \(batchSize), C \(inputSize), H \(hiddenSize)"
        + (lengths == nil ? "" : ", lengths") + (isReverse ? ", reverse" : "")
        + (options.layerNorm ? ", normalized" : "")
    }

    var work: LayerWork {
      var layer = RecurrentLayer(cell: cell, inputSize: inputSize, hiddenSize: hiddenSize)
      (layer.options, layer.isReverse) = (options, isReverse)
      return LayerWork(
        layer, sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths)
    }
  }

  nonisolated static let cases: [Case] = [
    // Slices of one row, and odd ones.
    Case(cell: .lstm, sequenceLength: 5, batchSize: 2, inputSize: 6, hiddenSize: 40),
    Case(cell: .gru, sequenceLength: 5, batchSize: 3, inputSize: 40, hiddenSize: 40),
    Case(cell: .lstm, sequenceLength: 6, batchSize: 19, inputSize: 13, hiddenSize: 65),
    Case(cell: .gru, sequenceLength: 6, batchSize: 17, inputSize: 40, hiddenSize: 33),
    Case(cell: .slstm, sequenceLength: 4, batchSize: 7, inputSize: 5, hiddenSize: 34),
    // One row, with weights enough to split the units.
    Case(cell: .lstm, sequenceLength: 4, batchSize: 1, inputSize: 6, hiddenSize: 120),
    Case(cell: .gru, sequenceLength: 4, batchSize: 11, inputSize: 6, hiddenSize: 140),
    // Sequences that end at other steps.
    Case(
      cell: .lstm, sequenceLength: 9, batchSize: 13, inputSize: 6, hiddenSize: 40,
      lengths: [9, 0, 3, 7, 1, 9, 5, 2, 8, 4, 6, 9, 1]),
    Case(
      cell: .gru, sequenceLength: 9, batchSize: 5, inputSize: 6, hiddenSize: 40,
      lengths: [1, 9, 4, 0, 7], isReverse: true),
    // Steps in stages.
    Case(
      cell: .gru, sequenceLength: 4, batchSize: 9, inputSize: 6, hiddenSize: 40,
      options: CellOptions(layerNorm: true)),
    Case(
      cell: .lstm, sequenceLength: 4, batchSize: 3, inputSize: 6, hiddenSize: 40,
      options: CellOptions(projectionSize: 35), lengths: [4, 2, 1]),
    Case(
      cell: .rnn, sequenceLength: 5, batchSize: 12, inputSize: 6, hiddenSize: 40,
      options: CellOptions(recurrence: .blocks(4), recurrentDropout: 0.3, zoneoutHidden: 0.2)),
  ]

  @Test(arguments: cases) func plansForOtherCoresGiveTheSameBits(_ layer: Case) throws {
    let backend = try Machine.backend(.cpu)
    let device = backend.launcher.plannedDevice
    defer { backend.launcher.plannedDevice = device }
    func outcomes(cores: Int) throws -> [Outcome] {
      backend.launcher.plannedDevice.computeUnits = cores
      return try layer.work.outcomes(on: backend)
    }
    let alone = try outcomes(cores: 1)
    for cores in [2, 3, 4, 7] {
      for (actual, expected) in zip(try outcomes(cores: cores), alone) {
        #expect(actual.values == expected.values, "\(expected.name) with \(cores) cores")
      }
    }
  }
}
