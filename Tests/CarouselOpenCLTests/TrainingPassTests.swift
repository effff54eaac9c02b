import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// Two windows of a network with everything that is drawn at random, the activations of `kept` steps
/// kept.
struct WindowWork: Work {
  var kept: Int?
  var sequenceLength = 200
  var cell = Cell.lstm

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    var recurrent = RecurrentConfiguration(
      cell: cell, inputSize: 4, hiddenSize: 6, layers: 2, dropout: 0.25)
    recurrent.options.zoneoutHidden = 0.2
    recurrent.options.recurrentDropout = 0.25
    recurrent.options.dropConnect = 0.25
    let network = try Network(
      NetworkConfiguration(vocabularySize: 7, recurrent: recurrent), backend: backend, seed: 5)
    let pass = try TrainingPass(
      network.model, sequenceLength: sequenceLength, batchSize: 3, checkpointSteps: kept)
    let random = Philox(seed: 8, stream: RandomStream.input(0))
    var result: [Outcome] = []
    for window in 0..<2 {
      func tokens(_ first: Int) -> [Int32] {
        (0..<3 * sequenceLength).map { Int32(random.uniform(9000 * window + first + $0) * 7) }
      }
      try pass.queueGradients(
        network.configuration.tensors(
          .tokens(tokens(0)), .classes(tokens(4000)), sequenceLength, 3),
        count: Double(3 * sequenceLength), dropoutSeed: (1, window))
      result.append(Outcome(name: "loss \(window)", values: [try pass.readLoss()]))
      result += try network.parameters.gradientTensors().map {
        Outcome(name: "grad_\($0.name) \(window)", values: $0.tensor.values)
      }
      for (index, state) in pass.states.all.enumerated() {
        result.append(
          Outcome(name: "h \(index) \(window)", values: try backend.read(state.hidden, count: 18)))
      }
    }
    return result
  }
}

@MainActor @Suite(.device)
struct TrainingPassTests {
  @Test(arguments: [nil, 64]) func windowsInSegmentsAgree(kept: Int?) throws {
    try expectAgreement(WindowWork(kept: kept, sequenceLength: 130))
  }

  @Test(arguments: KernelForm.both, [Cell.lstm, .gru])
  func whatIsKeptChangesNoBit(form: KernelForm, cell: Cell) throws {
    let backend = try Machine.backend(form)
    let all = try WindowWork(kept: nil, cell: cell).outcomes(on: backend)
    #expect(all.allSatisfy { $0.values.allSatisfy { $0.isFinite } })
    for kept in [1, 65, 192, 1000] {
      let some = try WindowWork(kept: kept, cell: cell).outcomes(on: backend)
      for (a, b) in zip(all, some) { #expect(a.values == b.values, "\(kept): \(a.name)") }
    }
  }

  @Test func whatIsDrawnForTheStepsOfASegmentIsItsOwn() {
    let (first, second) = (
      RecurrentNoise(seed: 1, step: 2), RecurrentNoise(seed: 1, step: 2, segment: 1)
    )
    #expect(first.zoneoutHidden(width: 1).word(0) != second.zoneoutHidden(width: 1).word(0))
    #expect(first.zoneoutCell(width: 1).word(0) != second.zoneoutCell(width: 1).word(0))
    #expect(first.recurrentDropout(width: 1).word(0) == second.recurrentDropout(width: 1).word(0))
    #expect(first.dropConnect.word(0) == second.dropConnect.word(0))
  }
}
