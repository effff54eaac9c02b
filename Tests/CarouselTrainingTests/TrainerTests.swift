import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Foundation
import Testing

@Suite struct TrainerTests {
  @Test func learnsATinyTextByHeart() throws {
    var settings = TrainingSettings(
      recurrent: RecurrentConfiguration(inputSize: 8, hiddenSize: 24),
      bounds: TrainingBounds(maxSteps: 250))
    settings.sequenceLength = 15
    settings.batchSize = 2
    settings.evaluateEvery = 50
    settings.schedule.peak = 0.02
    settings.schedule.warmupSteps = 5
    let trainer = try TestRun.trainer(settings)
    let result = try trainer.run()
    let best = try #require(result.position.best)
    #expect(try #require(trainer.evaluationMetrics(best.loss).bitsPerByte) < 0.5)
    let trainingLoss = try #require(result.position.trainingLoss)
    #expect(trainingLoss < 0.05)
    #expect(result.reason == .steps)
    var written: [UInt8] = []
    try TextGenerator(trainer.network, vocabulary: trainer.vocabulary).generate(
      prompt: Array("the quick brown".utf8), length: 10, sampler: TokenSampler(temperature: 0),
      seed: 1
    ) { written.append($0) }
    #expect(String(decoding: written, as: UTF8.self) == " fox jumps")
  }

  @Test(arguments: [OptimizerSettings.Kind.adam, .adamw, .sgd])
  func everyOptimizerLowersTheLoss(kind: OptimizerSettings.Kind) throws {
    var settings = TestRun.settings(maxSteps: 60)
    settings.optimizer.kind = kind
    settings.recurrent.dropout = 0
    settings.schedule.peak = kind == .sgd ? 0.5 : 0.02
    var losses: [Double] = []
    _ = try TestRun.trainer(settings).run {
      if case .stepped(let progress) = $0 { losses.append(progress.loss) }
    }
    #expect(losses.count == 60)
    let (first, last) = (losses.prefix(5).reduce(0, +), losses.suffix(5).reduce(0, +))
    #expect(last < 0.9 * first)
  }

  @Test func sameSeedSameBits() throws {
    func weights(seed: UInt64) throws -> [Tensor] {
      var settings = TestRun.settings(maxSteps: 12)
      settings.seed = seed
      let trainer = try TestRun.trainer(settings)
      _ = try trainer.run()
      return try trainer.network.parameters.tensors().map(\.tensor)
    }
    let first = try weights(seed: 5)
    #expect(try weights(seed: 5) == first)
    #expect(try weights(seed: 6) != first)
  }

  @Test func evaluationCountsEveryByteButTheFirst() throws {
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 1))
    let (text, vocabulary) = (TestRun.text.bytes, trainer.vocabulary)
    let tokens = try vocabulary.encode(text, source: "")
    let found = try TextEvaluator(trainer.network, text: text[...], vocabulary: vocabulary)
      .evaluate()
    let evaluation = try #require(found)
    #expect(evaluation.count == tokens.count - 1)
    let pass = try NetworkPass(
      trainer.network, sequenceLength: tokens.count - 1, batchSize: 1, purpose: .loss)
    let loss = try pass.loss(
      tokens: Array(tokens.dropLast()), targets: Array(tokens.dropFirst()))
    #expect(abs(evaluation.loss - loss) < 1e-12)
    #expect(abs(evaluation.perplexity - exp(loss)) < 1e-10)
  }

  @Test func evaluationOfALongTextIsThatOfItsStreams() throws {
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 1))
    // 2599 targets: streams of 1300 and 1299.
    let tokens = (0..<2600).map { Int32($0 * $0 % 27) }
    let vocabulary = trainer.vocabulary
    let found = try TextEvaluator(
      trainer.network, text: vocabulary.decode(tokens)[...], vocabulary: vocabulary
    ).evaluate()
    var sum = 0.0
    for stream in [tokens[0...1300], tokens[1300...2599]] {
      let pass = try NetworkPass(
        trainer.network, sequenceLength: stream.count - 1, batchSize: 1, purpose: .loss)
      let loss = try pass.loss(
        tokens: Array(stream.dropLast()), targets: Array(stream.dropFirst()))
      sum += loss * Double(stream.count - 1)
    }
    #expect(found?.count == 2599)
    #expect(abs(try #require(found).loss - sum / 2599) < 1e-12)
  }

  @Test func validationReadsNoMoreThanItsLimit() throws {
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 1))
    #expect(trainer.settings.validationBytes == 1 << 20)
    // 16 streams of at least 1024 bytes, of which 10 of each are read.
    let text = trainer.vocabulary.decode((0..<20_000).map { Int32($0 * $0 % 27) })
    func evaluate(limit: Int?) throws -> TextEvaluation? {
      try TextEvaluator(
        trainer.network, text: text[...], vocabulary: trainer.vocabulary, limit: limit
      ).evaluate()
    }
    let some = try #require(try evaluate(limit: 190))
    #expect(some.count == 190)
    #expect(try evaluate(limit: 190) == some)
    #expect(try evaluate(limit: 1 << 20) == evaluate(limit: nil))
  }

  @Test func epochsBoundTheRun() throws {
    var settings = TestRun.settings(maxSteps: 1)
    settings.bounds = TrainingBounds(maxEpochs: 2)
    let trainer = try TestRun.trainer(settings)
    let result = try trainer.run()
    #expect(result.reason == .epochs)
    #expect(result.position.step == 2 * trainer.epochSteps)
    #expect(result.epoch == 2)
  }

  @Test func timeBoundsTheRun() throws {
    var settings = TestRun.settings(maxSteps: 1)
    settings.bounds = TrainingBounds(maxSeconds: 0.05)
    let result = try TestRun.trainer(settings).run()
    #expect(result.reason == .time)
    #expect(result.position.step > 0)
  }

  @Test func patienceEndsARunThatStopsImproving() throws {
    var settings = TestRun.settings(maxSteps: 1000)
    settings.patience = 2
    settings.evaluateEvery = 1
    // Ascends: every evaluation after the first is worse.
    settings.optimizer.kind = .sgd
    settings.schedule.peak = 5
    settings.clipNorm = nil
    let folder = try TemporaryFolder()
    let result = try TestRun.trainer(settings).run(in: folder.run)
    #expect(result.reason == .patience)
    #expect(result.position.evaluationsSinceBest == 2)
    let best = try #require(result.position.best)
    #expect(result.position.step == best.step + 2)
    let kept = try Checkpoint(contentsOf: folder.run.best)
    #expect(kept.description.position.step == best.step)
    let lines = try metrics(folder.run).filter { $0.validationLoss != nil }
    #expect(lines.compactMap(\.validationLoss).min() == best.loss)
  }

  @Test func withoutAHeldOutPartTheTrainingLossDecides() throws {
    var settings = TestRun.settings(maxSteps: 10)
    settings.validation = 0
    var losses: [Double] = []
    let result = try TestRun.trainer(settings).run {
      if case .stepped(let progress) = $0 { losses.append(progress.loss) }
    }
    let means = [losses[0..<5], losses[5..<10]].map { $0.reduce(0, +) / 5 }
    #expect(result.position.best?.loss == means.min())
  }

  @Test func aTextTooShortNamesWhatItNeeds() throws {
    var settings = TestRun.settings(maxSteps: 1)
    settings.validation = 0
    let short = TrainingText([UInt8](repeating: 65, count: 21))
    expectError(.badData, "at least 22 bytes", "found 21") {
      _ = try Trainer(short, settings: settings, backend: ReferenceBackend())
    }
    _ = try Trainer(
      TrainingText([UInt8](repeating: 65, count: 22)), settings: settings,
      backend: ReferenceBackend())
    settings.batchSize = .max
    expectError(.usage, "batch size") { _ = try TestRun.trainer(settings) }
    settings.batchSize = 1 << 20
    expectError(.badData, "batch size") { _ = try TestRun.trainer(settings) }
    settings.batchSize = 3
    settings.validation = 0.001
    expectError(.badData, "hold out") { _ = try TestRun.trainer(settings) }
  }

  @Test func aLossThatIsNotFiniteStopsAndKeepsTheGoodCheckpoint() throws {
    let folder = try TemporaryFolder()
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 20))
    var before: [UInt8] = []
    expectError(.checkFailed, "step 8", folder.run.last) {
      _ = try trainer.run(in: folder.run) { event in
        guard case .stepped(let progress) = event, progress.step == 7 else { return }
        before = try [UInt8](contentsOfFile: folder.run.last)
        let weight = try trainer.network.parameters.value("output.bias")
        try trainer.network.backend.write([.nan], to: weight)
      }
    }
    #expect(try [UInt8](contentsOfFile: folder.run.last) == before)
    #expect(try Checkpoint(contentsOf: folder.run.last).description.position.step == 5)
    #expect(try Checkpoint(contentsOf: folder.run.best).description.position.step == 5)
  }

  @Test func aRunWhoseFirstStepFailsKeepsItsBeginning() throws {
    let folder = try TemporaryFolder()
    let settings = TestRun.settings(maxSteps: 20)
    let poisoned = try TestRun.trainer(settings)
    let weight = try poisoned.network.parameters.value("output.bias")
    try poisoned.network.backend.write([.nan], to: weight)
    expectError(.checkFailed, "step 1", folder.run.last) { _ = try poisoned.run(in: folder.run) }
    let kept = try Checkpoint(contentsOf: folder.run.last)
    #expect(kept.description.position == TrainingPosition())
    // It goes on from there as if nothing had happened.
    let resumed = try Trainer(
      resuming: kept, text: TestRun.text, backend: ReferenceBackend())
    _ = try resumed.run(in: folder.run)
    let whole = try TestRun.trainer(settings)
    _ = try whole.run()
    #expect(
      try resumed.network.parameters.tensors().map(\.tensor)
        == whole.network.parameters.tensors().map(\.tensor))
  }

  @Test func theBeginningThatIsSavedHasTheWeightsThatWereGiven() throws {
    let folder = try TemporaryFolder()
    let given = Tensor([28, 4], (0..<112).map { Double($0) / 100 })
    let trainer = try Trainer(
      TestRun.text, settings: TestRun.settings(maxSteps: 9), backend: ReferenceBackend()
    ) { _ in
      InitialWeights(
        tensors: ["embedding.weight": given],
        rows: ["output.bias": [3: Tensor([], [7]), 27: Tensor([], [8])]])
    }
    let drawn = try TestRun.trainer(TestRun.settings(maxSteps: 9)).network.parameters.tensors()
    let bias = try trainer.network.parameters.tensors().last?.tensor.values
    try trainer.network.backend.write([.nan], to: trainer.network.parameters.value("output.bias"))
    expectError(.checkFailed, "step 1") { _ = try trainer.run(in: folder.run) }
    let kept = try SafetensorsFile(contentsOf: folder.run.last)
    #expect(kept["embedding.weight"] == given)
    #expect(kept["output.weight"] == drawn.first { $0.name == "output.weight" }?.tensor)
    var expected = try #require(drawn.last).tensor.values
    (expected[3], expected[27]) = (7, 8)
    #expect(bias == expected && kept["output.bias"]?.values == expected)
  }

  @Test func aRunThatIsToldToGoOnKeepsWhatItHas() throws {
    let folder = try TemporaryFolder()
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 12))
    func run(to step: Int) throws -> TrainingResult {
      try trainer.run(
        in: folder.run, shouldStop: { trainer.position.step == step }, report: { _ in })
    }
    let first = try run(to: 6)
    #expect(first.reason == .interrupted)
    let best = try [UInt8](contentsOfFile: folder.run.best)
    _ = try run(to: 7)
    #expect(try [UInt8](contentsOfFile: folder.run.best) == best)
    #expect(try Checkpoint(contentsOf: folder.run.last).description.position.step == 7)
    let lines = try String(contentsOfFile: folder.run.metrics, encoding: .utf8)
    #expect(lines.split(separator: "\n").count == 2)
  }

  @Test func weightsThatAreNotFiniteAreNeverSaved() throws {
    let folder = try TemporaryFolder()
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 20))
    expectError(.checkFailed, "output.bias", "after step 7") {
      var isPoisoned = false
      _ = try trainer.run(in: folder.run, shouldStop: { isPoisoned }) { event in
        guard case .stepped(let progress) = event, progress.step == 7 else { return }
        let weight = try trainer.network.parameters.value("output.bias")
        try trainer.network.backend.write([.infinity], to: weight)
        isPoisoned = true
      }
    }
    #expect(try Checkpoint(contentsOf: folder.run.last).description.position.step == 5)
  }
}
