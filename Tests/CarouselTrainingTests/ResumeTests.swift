import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Foundation
import Testing

@Suite struct ResumeTests {
  /// All tensors of a checkpoint, moments and states included.
  private func tensors(_ path: String) throws -> [String: Tensor] {
    try SafetensorsFile(contentsOf: path).tensorsByName
  }

  private func resume(
    _ folder: RunFolder, text: TrainingText = TestRun.text, bounds: TrainingBounds? = nil
  ) throws -> Trainer<ReferenceBackend> {
    try Trainer(
      resuming: Checkpoint(contentsOf: folder.last), text: text, bounds: bounds,
      backend: ReferenceBackend())
  }

  /// Steps around an evaluation (5), a line of metrics (4) and the end of the epoch of 15 steps.
  @Test(arguments: [1, 4, 5, 7, 14, 15, 16, 29], [OptimizerSettings.Kind.adam, .sgd])
  func aResumedRunEndsWithTheSameBits(interruption: Int, kind: OptimizerSettings.Kind) throws {
    var settings = TestRun.settings(maxSteps: 32)
    settings.optimizer.kind = kind
    let whole = try TemporaryFolder()
    let parts = try TemporaryFolder()
    _ = try TestRun.trainer(settings).run(in: whole.run)

    let first = try TestRun.trainer(settings)
    let stopped = try first.run(
      in: parts.run, shouldStop: { first.position.step >= interruption }, report: { _ in })
    #expect(stopped.reason == .interrupted)
    #expect(stopped.position.step == interruption)
    let second = try resume(parts.run)
    #expect(second.epochSteps == 15)
    #expect(second.position == stopped.position)
    let result = try second.run(in: parts.run)
    #expect(result.reason == .steps)
    #expect(try tensors(parts.run.last) == tensors(whole.run.last))
    #expect(try tensors(parts.run.best) == tensors(whole.run.best))
    let lines = try [metrics(whole.run), metrics(parts.run)].map {
      $0.map { [Double($0.step), $0.trainingLoss, $0.validationLoss, $0.learningRate] }
    }
    #expect(lines[0] == lines[1])
  }

  @Test func aKilledRunGoesOnFromItsLastCheckpoint() throws {
    struct Killed: Error {}
    let whole = try TemporaryFolder()
    let parts = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 32)).run(in: whole.run)
    #expect(throws: Killed.self) {
      try TestRun.trainer(TestRun.settings(maxSteps: 32)).run(in: parts.run) {
        if case .stepped(let progress) = $0, progress.step == 23 { throw Killed() }
      }
    }
    let second = try resume(parts.run)
    #expect(second.position.step == 20)
    _ = try second.run(in: parts.run)
    #expect(try tensors(parts.run.last) == tensors(whole.run.last))
    #expect(try metrics(parts.run).map(\.step) == metrics(whole.run).map(\.step))
  }

  @Test func anotherDeviceIsSaidToGiveOtherBits() throws {
    let folder = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 2)).run(in: folder.run)
    func warnings() throws -> [String] {
      var found: [String] = []
      _ = try resume(folder.run, bounds: TrainingBounds(maxSteps: 3)).run(in: folder.run) {
        if case .warned(let sentence) = $0 { found.append(sentence) }
      }
      return found
    }
    #expect(try warnings().isEmpty)
    var file = try SafetensorsFile(contentsOf: folder.run.last)
    let text = try #require(file.metadata["carousel"])
    let old = "\"computedOn\":{\"device\":\"reference\"}"
    #expect(text.contains(old))
    file.metadata["carousel"] = text.replacing(
      old,
      with:
        "\"computedOn\":{\"computeUnits\":4,\"device\":\"A\",\"driver\":\"7\",\"kernels\":\"cpu\"}")
    try file.write(to: folder.run.last, elementType: .float64)
    let found = try warnings()
    #expect(found.count == 1)
    for words in ["A (driver 7, 4 compute units, kernels cpu)", "on reference:", "bits may differ"]
    {
      #expect(found.first?.contains(words) == true)
    }
  }

  @Test func moreStepsGoOnAsIfTheyHadBeenAskedForAtOnce() throws {
    let whole = try TemporaryFolder()
    let parts = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 20)).run(in: whole.run)
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 11)).run(in: parts.run)
    _ = try resume(parts.run, bounds: TrainingBounds(maxSteps: 20)).run(in: parts.run)
    #expect(try tensors(parts.run.last) == tensors(whole.run.last))
  }

  @Test func aFinishedRunStaysAsItIs() throws {
    let folder = try TemporaryFolder()
    let result = try TestRun.trainer(TestRun.settings(maxSteps: 6)).run(in: folder.run)
    let before = try tensors(folder.run.last)
    let again = try resume(folder.run).run(in: folder.run)
    #expect(again.reason == .steps)
    #expect(again.position.evaluation == result.position.evaluation)
    #expect(try tensors(folder.run.last) == before)
  }

  @Test func aRunKeepsItsVocabulary() throws {
    let whole = try TemporaryFolder()
    let parts = try TemporaryFolder()
    func begin(_ maxSteps: Int) throws -> Trainer<ReferenceBackend> {
      try Trainer(
        TestRun.text, settings: TestRun.settings(maxSteps: maxSteps), vocabulary: .all,
        backend: ReferenceBackend())
    }
    _ = try begin(8).run(in: whole.run)
    _ = try begin(5).run(in: parts.run)
    let second = try resume(parts.run, bounds: TrainingBounds(maxSteps: 8))
    #expect(second.network.configuration.vocabularySize == 256)
    _ = try second.run(in: parts.run)
    #expect(try tensors(parts.run.last) == tensors(whole.run.last))
    expectError(.badData, "the text", "0x74 't'") {
      _ = try Trainer(
        TestRun.text, settings: TestRun.settings(maxSteps: 1),
        vocabulary: ByteVocabulary(of: "abc".utf8), backend: ReferenceBackend())
    }
  }

  @Test func anotherTextIsRefused() throws {
    let folder = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 2)).run(in: folder.run)
    let other = TrainingText(TestRun.text.bytes.reversed())
    expectError(.badData, folder.run.last) { _ = try resume(folder.run, text: other) }
  }

  @Test func theBestCheckpointIsNoneToResumeFrom() throws {
    let folder = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 2)).run(in: folder.run)
    expectError(.badData, "optimizer.0.embedding.weight") {
      _ = try Trainer(
        resuming: Checkpoint(contentsOf: folder.run.best), text: TestRun.text,
        backend: ReferenceBackend())
    }
  }
}
