import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// What an update is made of: gradients of several batches, an average of the weights, and losses that are
/// computed where the outputs are.
@Suite struct UpdateTests {
  private let folder: TemporaryFolder
  private let sources: TrainingSources

  init() throws {
    folder = try TemporaryFolder()
    sources = TrainingSources(folder)
  }

  private func settings(_ batchSize: Int, accumulate: Int?) -> TrainingSettings {
    var settings = TestRun.settings(maxSteps: 7)
    settings.recurrent = RecurrentConfiguration(inputSize: 2, hiddenSize: 4, layers: 2)
    (settings.batchSize, settings.accumulate) = (batchSize, accumulate)
    settings.validation = 0.2
    return settings
  }

  @Test(arguments: TrainingSources.Source.allCases)
  func accumulatedGradientsAreThoseOfALargerBatch(data: TrainingSources.Source) throws {
    let whole = try sources.trainer(data, settings(6, accumulate: nil))
    let parts = try sources.trainer(data, settings(2, accumulate: 3))
    #expect(whole.epochSteps == parts.epochSteps)
    var losses: [[Double]] = [[], []]
    for (index, trainer) in [whole, parts].enumerated() {
      _ = try trainer.run(in: nil) {
        if case .stepped(let now) = $0 { losses[index].append(now.loss) }
      }
    }
    #expect(losses[0].count == 7 && zip(losses[0], losses[1]).allSatisfy { abs($0 - $1) < 1e-9 })
    let tensors = try [whole, parts].map { try $0.network.parameters.tensors() }
    for (a, b) in zip(tensors[0], tensors[1]) {
      #expect(zip(a.tensor.values, b.tensor.values).allSatisfy { abs($0 - $1) < 1e-7 }, "\(a.name)")
    }
    let begun = try sources.trainer(data, settings(6, accumulate: nil)).network.parameters.tensors()
    #expect(zip(begun, tensors[0]).contains { $0.tensor.values != $1.tensor.values })
  }

  @Test func theStatesOfAccumulatedBatchesAreResumed() throws {
    var settings = TestRun.settings(maxSteps: 20)
    (settings.batchSize, settings.accumulate, settings.averageDecay) = (2, 2, 0.9)
    let whole = try Trainer(TestRun.text, settings: settings, backend: ReferenceBackend())
    _ = try whole.run(in: RunFolder(folder.path + "/whole"))
    let first = try Trainer(TestRun.text, settings: settings, backend: ReferenceBackend())
    _ = try first.run(
      in: folder.run, shouldStop: { first.position.step >= 8 }, report: { _ in })
    let rest = try Trainer(
      resuming: Checkpoint(contentsOf: folder.run.last), text: TestRun.text,
      backend: ReferenceBackend())
    _ = try rest.run(in: folder.run)
    func tensors(_ path: String) throws -> [String: Tensor] {
      try SafetensorsFile(contentsOf: path).tensorsByName
    }
    let last = try tensors(folder.run.last)
    #expect(try last == tensors(folder.path + "/whole/last.safetensors"))
    #expect(try tensors(folder.run.best) == tensors(folder.path + "/whole/best.safetensors"))
    // Two layers, of each of two batches.
    #expect(last.keys.count { $0.hasPrefix("state.hidden") } == 4)
    #expect(last.keys.contains("average.output.weight"))
  }

  @Test func theAverageIsWhatIsEvaluatedAndKeptAsTheBest() throws {
    var settings = TestRun.settings(maxSteps: 5)
    settings.averageDecay = 0.6
    let trainer = try Trainer(TestRun.text, settings: settings, backend: ReferenceBackend())
    func weights() throws -> [Double] {
      try trainer.network.parameters.tensors().flatMap(\.tensor.values)
    }
    var average = try weights()
    var raw: [Double] = []
    _ = try trainer.run(in: folder.run) { event in
      guard case .stepped(let progress) = event else { return }
      let kept = min(0.6, Double(progress.step) / Double(progress.step + 9))
      raw = try weights()
      average = zip(average, raw).map { kept * $0 + (1 - kept) * $1 }
    }
    #expect(try weights() == raw)
    let best = try Checkpoint(contentsOf: folder.run.best).makeNetwork(backend: ReferenceBackend())
    let found = try best.parameters.tensors().flatMap(\.tensor.values)
    #expect(zip(found, average).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(zip(found, raw).contains { abs($0 - $1) > 1e-6 })
    let network = trainer.network
    func loss() throws -> Double {
      try TextEvaluator(
        network, text: TestRun.text.bytes.suffix(TestRun.text.count(share: 0.1)),
        vocabulary: trainer.vocabulary
      ).evaluate()?.loss ?? .nan
    }
    let evaluated = try #require(trainer.position.evaluation?.loss)
    #expect(try trainer.withEvaluatedWeights { try loss() } == evaluated)
    #expect(try loss() != evaluated)
  }

  @Test(arguments: [0, 1, 1.5, -0.1, .nan])
  func aDecayThatIsNoneIsRefused(decay: Double) {
    var settings = TestRun.settings(maxSteps: 1)
    settings.averageDecay = decay
    expectError(.usage, "decay of the average") { try settings.validate() }
  }

  @Test(arguments: [0, -3, Int.max, 1 << 20])
  func aNumberOfBatchesThatIsNoneIsRefused(count: Int) {
    var settings = TestRun.settings(maxSteps: 1)
    settings.accumulate = count
    expectError(.usage, "number of batches of an update") { try settings.validate() }
  }

  @Test func lossesOfTheBackendAreThoseOfTheHost() throws {
    let all: [TrainingExamples] =
      try [
        sources.classes(),
        sources.classes {
          $0.balancesClasses = true
          $0.labelSmoothing = 0.2
        },
        sources.classes {
          $0.pooling = .mean
          $0.balancesClasses = true
        }, sources.tags(),
      ]
      + [.squared, .absolute, .huber, .quantile([0.2, 0.5, 0.7]), .gaussian].map {
        try sources.series($0)
      }
    for examples in all {
      let backend = ReferenceBackend()
      var recurrent = RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 4)
      if examples.description.words == nil { recurrent.inputSize = 2 }
      let network = try Network(
        examples.description.network(recurrent), backend: backend, seed: 2)
      let part = try #require(examples.training as? any SequenceExamples)
      // Fewer examples than the batch has room for.
      let batch = part.batch([3, 1, 4], sequenceLength: part.longest, batchSize: 4)
      let loss = try ExamplePasses(network, part, training: true).queueGradients(
        batch, slice: nil, weight: part.weight(batch.examples), dropoutSeed: (seed: 0, step: 0),
        gradientIsFinal: nil
      ).loss()
      let gradients = try network.parameters.gradientTensors().map(\.tensor.values)
      let outputs = try ExamplePasses(network, part, training: false).outputs(batch)
      var gradient: [Double]? = [Double](repeating: 0, count: outputs.values.count)
      let sum = part.loss(outputs, batch, gradient: &gradient)
      // The backward pass from the host's gradient.
      let name = NetworkConfiguration.outputName
      let inputs = try network.configuration.tensors(
        batch.input, lengths: part.haveOneLength ? nil : batch.lengths, part.longest, 4)
      let host = try GraphPass(
        GraphProgram(
          network.configuration.graph(
            pooling: part.timePooling, hasLengths: !part.haveOneLength, loss: part.graphLoss
          ).selecting(outputs: [name]), shapes: inputs.mapValues(\.shape), training: true,
          gradientsOf: [name]), network.model)
      try host.forward(inputs)
      let slope = try #require(gradient).map { $0 / sum.weight }
      try host.backward([name: Tensor([slope.count], slope)])
      #expect(abs(loss - (sum.mean ?? .nan)) < 1e-12)
      for (name, (a, b)) in zip(
        network.parameters.descriptions.map(\.name),
        zip(gradients, try network.parameters.gradientTensors().map(\.tensor.values)))
      {
        #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 }, "\(name)")
      }
      #expect(gradients.joined().contains { abs($0) > 1e-3 })
    }
  }

  @Test func ofEqualAccuracyTheSmallerLossIsTheBest() {
    var position = TrainingPosition()
    func record(_ loss: Double, _ accuracy: Double) -> Bool {
      position.step += 1
      var metrics = TaskMetrics(loss: loss)
      metrics.accuracy = accuracy
      return position.record(loss, metrics, due: true)
    }
    #expect(record(0.5, 0.8))
    #expect(!record(0.6, 0.8))
    #expect(position.evaluationsSinceBest == 1)
    #expect(record(0.4, 0.8))
    #expect(position.best?.step == 3 && position.evaluationsSinceBest == 0)
    #expect(!record(0.1, 0.7))
    #expect(record(0.9, 0.9))
    #expect(position.best?.step == 5)
  }
}
