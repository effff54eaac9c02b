import CarouselModel
import CarouselReference
import Testing

@testable import CarouselTraining

@Suite struct SyntheticDataTests {
  @Test(arguments: [2, 3, 10, 201]) func addingMarksOneNumberOfEitherHalf(length: Int) throws {
    let (N, half) = (7, length / 2)
    let data = try SyntheticData(.adding, length: length, batchSize: N, seed: 5)
    let batch = data.batch(3)
    guard case .features(let x) = batch.input,
      case .values(let targets, let counted) = batch.targets
    else {
      Issue.record("other data than features and values")
      return
    }
    #expect(batch.begins && x.count == length * N * 2 && batch.targets.count == N)
    for n in 0..<N {
      let marked = (0..<length).filter { x[($0 * N + n) * 2 + 1] == 1 }
      #expect(marked.count == 2 && marked[0] < half && marked[1] >= half)
      let sum = marked.reduce(0) { $0 + x[($1 * N + n) * 2] }
      #expect(targets[(length - 1) * N + n] == sum)
      #expect(counted[(length - 1) * N + n] == 1)
      for t in 0..<length { #expect(0..<1 ~= x[(t * N + n) * 2]) }
    }
  }

  @Test func copyRepeatsItsSymbolsAtTheEnd() throws {
    let (T, N) = (6, 4)
    let data = try SyntheticData(.copy, length: T, batchSize: N, seed: 5)
    let batch = data.batch(0)
    guard case .tokens(let tokens) = batch.input, case .classes(let classes) = batch.targets else {
      Issue.record("other data than tokens and classes")
      return
    }
    #expect(data.sequenceLength == 26 && tokens.count == 26 * N && batch.targets.count == 26 * N)
    for n in 0..<N {
      let (read, wanted) = (
        (0..<26).map { tokens[$0 * N + n] }, (0..<26).map { classes[$0 * N + n] }
      )
      #expect(read[..<10].allSatisfy { 1...8 ~= $0 })
      #expect(read[10..<15].allSatisfy { $0 == 0 } && read[15...].allSatisfy { $0 == 9 })
      #expect(wanted[..<16].allSatisfy { $0 == 0 } && wanted[16...] == read[..<10])
    }
    #expect(Set(tokens).count > 5)
  }

  @Test(arguments: [TrainingTask.adding, .copy])
  func aBatchIsAFunctionOfSeedPartAndStep(task: TrainingTask) throws {
    func input(_ seed: UInt64, _ part: SyntheticData.Part, _ step: Int) throws -> NetworkInput {
      try SyntheticData(task, length: 9, batchSize: 2, seed: seed, part: part).batch(step).input
    }
    let first = try input(1, .training, 0)
    #expect(try input(1, .training, 0) == first)
    #expect(try input(2, .training, 0) != first)
    #expect(try input(1, .test, 0) != first)
    #expect(try input(1, .training, 1) != first)
  }

  @Test func theBaselinesAreThoseOfThePapers() throws {
    #expect(try SyntheticData(.adding, length: 200, batchSize: 1, seed: 1).baseline == 1.0 / 6)
    let copy = try SyntheticData(.copy, length: 1000, batchSize: 1, seed: 1)
    #expect(abs(copy.baseline - 0.020387) < 1e-6)
    expectError(.usage, "at least 2 steps") {
      _ = try SyntheticData(.adding, length: 1, batchSize: 1, seed: 1)
    }
  }

  static func settings(maxSteps: Int) -> TrainingSettings {
    var settings = TestRun.settings(maxSteps: maxSteps)
    settings.recurrent = RecurrentConfiguration(
      cell: .lstm, inputSize: 2, hiddenSize: 5,
      options: CellOptions(
        recurrentDropout: 0.2, zoneoutHidden: 0.1, zoneoutCell: 0.2, dropConnect: 0.1, forgetBias: 1
      ))
    return settings
  }

  @Test(arguments: [TrainingTask.adding, .copy])
  func aResumedRunEndsWithTheSameBits(task: TrainingTask) throws {
    func trainer(_ maxSteps: Int, _ checkpoint: Checkpoint? = nil) throws -> Trainer<
      ReferenceBackend
    > {
      try Trainer(
        task, settings: Self.settings(maxSteps: maxSteps), backend: ReferenceBackend(),
        resuming: checkpoint)
    }
    let folder = TemporaryFolder.self
    let (whole, cut) = (try folder.init(), try folder.init())
    _ = try trainer(12).run(in: whole.run)
    _ = try trainer(7).run(in: cut.run)
    let resumed = try trainer(12, Checkpoint(contentsOf: cut.run.last))
    _ = try resumed.run(in: cut.run)
    let (expected, found) = (
      try Checkpoint(contentsOf: whole.run.last), try Checkpoint(contentsOf: cut.run.last)
    )
    for description in expected.description.network.parameterDescriptions {
      #expect(
        try expected.tensor(description.name, shape: description.shape)
          == found.tensor(description.name, shape: description.shape), "\(description.name)")
    }
    #expect(found.description.task == task && found.description.position.step == 12)
    expectError(.badData, "expected a model of text") { _ = try found.vocabulary }
  }

  @Test func twoStepsAreSoonAdded() throws {
    var settings = Self.settings(maxSteps: 150)
    settings.recurrent.options = CellOptions()
    settings.sequenceLength = 2
    settings.batchSize = 16
    settings.schedule.peak = 0.05
    settings.evaluateEvery = 150
    let trainer = try Trainer(.adding, settings: settings, backend: ReferenceBackend())
    let result = try trainer.run()
    let evaluation = try #require(result.position.evaluation)
    #expect(evaluation.loss < 0.03)
    #expect(result.rate > 0)
  }

  @Test func theProbeIsAskedWithEveryLineOfMetrics() throws {
    let folder = try TemporaryFolder()
    let trainer = try Trainer(
      .adding, settings: Self.settings(maxSteps: 8), backend: ReferenceBackend())
    trainer.gradientProbe = { _ in [GradientNorm(step: 1, hidden: 0.5, cell: nil)] }
    _ = try trainer.run(in: folder.run)
    let lines = try metrics(folder.run).filter { $0.trainingLoss != nil }
    #expect(lines.count == 2)
    #expect(lines.allSatisfy { $0.gradientNorms?.first?.hidden == 0.5 })
    #expect(lines.allSatisfy { $0.sequencesPerSecond != nil && $0.bytesPerSecond == nil })
  }
}
