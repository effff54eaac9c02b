import CarouselModel
import Foundation
import OpenCLDriver
import Testing

@testable import CarouselOpenCL

@MainActor @Suite(.device)
struct TuningTests {
  private static func folder() -> URL {
    FileManager.default.temporaryDirectory.appending(path: "carousel-tuning-\(UUID())")
  }

  @Test(arguments: KernelForm.both)
  func everyChoiceAgreesWithTheReference(form: KernelForm) throws {
    let backend = try Machine.backend(form)
    for (cell, batchSize) in [(Cell.lstm, 3), (.gru, 17)] {
      var work = LayerWork(
        RecurrentLayer(cell: cell, inputSize: 6, hiddenSize: 70), sequenceLength: 4,
        batchSize: batchSize)
      work.layer.options.bias = .double
      for choice in backend.tuningChoices {
        backend.tune([work.layer], batchSize: batchSize, choice)
        try expectAgreement(work, forms: [form])
      }
      backend.tune([work.layer], batchSize: batchSize, LayerTuning())
    }
  }

  @Test func noChoiceChangesABitOnACPU() throws {
    let backend = try Machine.backend(.cpu)
    for (cell, batchSize) in [(Cell.lstm, 3), (.gru, 17), (.gru, 1), (.rnn, 9)] {
      let work = LayerWork(
        RecurrentLayer(cell: cell, inputSize: 6, hiddenSize: 70), sequenceLength: 4,
        batchSize: batchSize)
      let asPlanned = try work.outcomes(on: backend)
      for choice in backend.tuningChoices {
        backend.tune([work.layer], batchSize: batchSize, choice)
        for (actual, expected) in zip(try work.outcomes(on: backend), asPlanned) {
          #expect(
            actual.values == expected.values,
            "\(expected.name) of \(cell), N \(batchSize), \(choice.description)")
        }
      }
      backend.tune([work.layer], batchSize: batchSize, LayerTuning())
    }
  }

  @Test(arguments: KernelForm.both)
  func whatIsKeptIsUsedByTheNextBackend(form: KernelForm) throws {
    let folder = Self.folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let (cache, device) = (ProgramCache(folder: folder), try Machine.device)
    let layer = RecurrentLayer(cell: .rnn, inputSize: 2, hiddenSize: 3)
    func backend() throws -> OpenCLBackend {
      try OpenCLBackend(device: device, kernels: form, cache: cache)
    }
    func used(_ backend: OpenCLBackend, batchSize: Int = 5) -> LayerTuning {
      backend.tuned(layer, batchSize: batchSize) { backend.launcher.tuning }
    }
    let first = try backend()
    let choice = try #require(first.tuningChoices.last)
    #expect(used(first) == LayerTuning())
    let path = try #require(try first.keepTuning([layer], batchSize: 5, choice))
    let second = try backend()
    #expect(used(second) == choice && used(second, batchSize: 6) == LayerTuning())
    #expect(second.launcher.tuning == LayerTuning())
    // What no choice has is not trusted, nor is a file cut short.
    let text = try String(contentsOfFile: path, encoding: .utf8)
    var alien = LayerTuning()
    (alien.tile, alien.panelsPerItem) = (7, -1)
    _ = try second.keepTuning([layer], batchSize: 5, alien)
    #expect(used(try backend()) == LayerTuning())
    try String(text.dropLast(9)).write(toFile: path, atomically: true, encoding: .utf8)
    #expect(used(try backend()) == LayerTuning())
  }

  @Test func withoutACacheNothingIsKept() throws {
    let layer = RecurrentLayer(cell: .rnn, inputSize: 2, hiddenSize: 3)
    let backend = try Machine.newBackend(.cpu)
    #expect(try backend.keepTuning([layer], batchSize: 5, backend.tuningChoices[0]) == nil)
  }
}
