import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// Runs on one's own data, on the reference.
@Suite struct ExampleTrainingTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Sequences of unequal length: those of class `up` rise, those of `down` fall.
  private func ramps(_ count: Int, seed: UInt64 = 1, name: String = "ramps.csv") throws
    -> DataSettings
  {
    let random = Philox(seed: seed, stream: 77)
    var text = "id,label,x,y\n"
    for index in 0..<count {
      let isUp = index % 2 == 0
      for step in 0..<2 + index % 5 {
        let value = Double(isUp ? step : -step) + 0.3 * random.normal(index * 16 + step)
        text +=
          "\(index),\(isUp ? "up" : "down"),\(value),\(random.uniform(9000 + index * 16 + step))\n"
      }
    }
    var settings = DataSettings(file: try folder.write(text, name))
    settings.columns = SequenceColumns(label: "label", id: "id")
    settings.validation = .share(0.25)
    return settings
  }

  private func settings(_ examples: TrainingExamples, maxSteps: Int) -> TrainingSettings {
    var settings = TrainingSettings.defaults(for: examples)
    settings.recurrent.hiddenSize = 6
    settings.recurrent.layers = 2
    settings.recurrent.dropout = 0.2
    settings.recurrent.options.recurrentDropout = 0
    settings.batchSize = 4
    settings.bounds = TrainingBounds(maxSteps: maxSteps)
    settings.schedule.peak = 0.02
    settings.evaluateEvery = 10
    settings.logEvery = 5
    return settings
  }

  @Test func aClassifierLearnsAndKeepsItsScales() throws {
    let data = try ramps(40)
    let examples = try TrainingExamples(.classify, settings: data, seed: 3)
    #expect(examples.count == 30 && examples.validationCount == 10)
    let trainer = try Trainer(
      examples, settings: settings(examples, maxSteps: 120), backend: ReferenceBackend())
    _ = try trainer.run(in: folder.run)
    let final = try #require(try trainer.finalMetrics(examples, in: folder.run))
    #expect((final.validation?.accuracy ?? 0) >= 0.9)
    #expect(final.validation?.confusion?.joined().reduce(0, +) == 10)
    let model = try ExampleModel(
      Checkpoint(at: folder.run.path), backend: ReferenceBackend())
    let other = try ramps(20, seed: 2, name: "other.csv")
    let (metrics, count) = try #require(try model.evaluate(ExampleFile(other.file)))
    #expect(count == 20 && (metrics.accuracy ?? 0) >= 0.9)
    var names: [String] = []
    try model.predict(ExampleFile(other.file)) { prediction in
      guard case .class(let id, let name, let probabilities) = prediction else { return }
      #expect(id == "\(names.count)" && abs(probabilities.reduce(0, +) - 1) < 1e-12)
      names.append(name)
    }
    let right = names.enumerated().count { $1 == ($0 % 2 == 0 ? "up" : "down") }
    #expect(Double(right) / 20 == metrics.accuracy)
  }

  @Test func aResumedRunHasTheSameBits() throws {
    let examples = try TrainingExamples(.classify, settings: ramps(30), seed: 3)
    func weights(_ trainer: Trainer<ReferenceBackend>) throws -> [[Double]] {
      try trainer.network.parameters.tensors().map(\.tensor.values)
    }
    // A schedule that does not depend on where the run ends.
    var settings = settings(examples, maxSteps: 23)
    settings.schedule.decay = .constant
    let whole = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try whole.run()
    settings.bounds = TrainingBounds(maxSteps: 9)
    let first = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try first.run(in: folder.run)
    let last = try Checkpoint(contentsOf: folder.run.last)
    settings.bounds = TrainingBounds(maxSteps: 23)
    let rest = try Trainer(
      TrainingExamples(resuming: last), settings: settings, backend: ReferenceBackend(),
      resuming: last)
    _ = try rest.run(in: folder.run)
    #expect(try weights(rest) == weights(whole))
    #expect(try weights(rest) != weights(first))
    _ = try ramps(30, seed: 8)
    expectError(.badData, "ramps.csv", "with the hash") {
      _ = try TrainingExamples(resuming: Checkpoint(contentsOf: folder.run.last))
    }
  }

  @Test func splitsShareNoSequenceAndKeepTheSharesOfClasses() throws {
    let keys = (0..<60).map { $0 % 3 == 0 ? "a" : "b" }
    func split(_ seed: UInt64) throws -> (training: [Int], validation: [Int], test: [Int]) {
      try ExampleParts.split(
        count: 60, keys: keys, validation: .share(0.1), test: .share(0.2), seed: seed,
        place: { "\($0)" })
    }
    let parts = try split(4)
    #expect((parts.training + parts.validation + parts.test).sorted() == Array(0..<60))
    #expect(parts.validation.map { keys[$0] }.sorted() == ["a", "a", "b", "b", "b", "b"])
    #expect(parts.test.count == 12)
    #expect(try split(4).test == parts.test && split(5).test != parts.test)
  }

  @Test func scalesAreThoseOfTheTrainingPart() throws {
    let text = "label,1,2\na,0,2\na,4,6\nb,2,4\nb,2,0\nc,1000,5\nc,7,5\n"
    var data = DataSettings(file: try folder.write(text))
    (data.columns.label, data.validation) = ("label", .share(0.5))
    data.validation = .share(0)
    let all = try TrainingExamples(.classify, settings: data, seed: 1).description
    data.validation = .share(0.4)
    let part = try TrainingExamples(.classify, settings: data, seed: 1).description
    #expect(all.mean[0] != part.mean[0])
  }

  @Test func aForecastLearnsASeasonAndSplitsByTime() throws {
    var text = "t,x\n"
    for t in 0..<200 { text += "\(t),\(0.05 * Double(t) + [0, 3, -1, 2, 5][t % 5])\n" }
    var data = DataSettings(file: try folder.write(text))
    data.columns.time = "t"
    (data.window, data.horizon, data.season) = (10, 2, 5)
    (data.validation, data.test) = (.share(0.1), .share(0.2))
    data.loss = .quantile([0.1, 0.5, 0.9])
    let examples = try TrainingExamples(.forecast, settings: data, seed: 1)
    #expect(examples.count == 140 - 12 + 1)
    #expect(examples.validationCount == 19 && examples.testCount == 39)
    #expect(examples.description.forecast?.base == .seasonWithGrowth)
    var settings = settings(examples, maxSteps: 60)
    settings.recurrent.layers = 1
    let trainer = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try trainer.run(in: folder.run)
    let test = try #require(try trainer.finalMetrics(examples, in: folder.run)?.test)
    let mae = test.forecast?.mae ?? .nan
    #expect(mae < test.seasonalPersistence?.mae ?? 0 && mae < test.persistence?.mae ?? 0)
    let model = try ExampleModel(
      Checkpoint(at: folder.run.path), backend: ReferenceBackend())
    try model.predict(ExampleFile(data.file)) { prediction in
      guard case .numbers(let id, let numbers) = prediction else { return }
      #expect(id == nil && numbers.map(\.ahead) == [1, 2])
      #expect(abs(numbers[0].value - 10) < 1 && abs(numbers[1].value - 13.05) < 1)
      #expect(numbers.allSatisfy { $0.quantiles == $0.quantiles.sorted() })
    }
  }

  @Test func aTaggerLearnsFromWhatFollows() throws {
    let random = Philox(seed: 9, stream: 10)
    var text = ""
    for sequence in 0..<60 {
      let words = (0..<3 + sequence % 4).map { random.uniform(sequence * 8 + $0) < 0.5 ? "p" : "q" }
      for (word, next) in zip(words, words.dropFirst() + ["end"]) {
        text += "\(word) \(next == "p" ? "B-X" : "O")\n"
      }
      text += "\n"
    }
    var data = DataSettings(file: try folder.write(text, "x.conll"))
    data.validation = .share(0.2)
    let examples = try TrainingExamples(.tag, settings: data, seed: 1)
    var settings = settings(examples, maxSteps: 150)
    (settings.recurrent.layers, settings.recurrent.inputSize) = (1, 4)
    let trainer = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try trainer.run(in: folder.run)
    let metrics = try #require(try trainer.finalMetrics(examples, in: folder.run)?.validation)
    #expect((metrics.accuracy ?? 0) >= (metrics.mostFrequentTag ?? 1) + 0.2)
    #expect((metrics.spanF1 ?? 0) > 0.8)
  }

  @Test(arguments: [
    ("label,x,y\na,1,2\na,1,2\nb,3,4\n", "at least 2 examples of the class 'b'"),
    ("label,x,y\na,1,2\na,3,4\n", "at least 2 classes, found 'a' alone"),
    ("label,x,y\na,1,2\na,1,b\n", "line 3, column 'y': expected a number, found 'b'"),
  ])
  func dataThatCannotBeLearntFromAreRefused(text: String, part: String) throws {
    var data = DataSettings(file: try folder.write(text))
    data.columns.label = "label"
    expectError(.badData, "data.csv", part) {
      _ = try TrainingExamples(.classify, settings: data, seed: 1)
    }
  }

  @Test func aClassThatTrainingLacksIsRefused() throws {
    var data = DataSettings(file: try folder.write("label,x\na,1\na,2\nb,3\nb,4\n"))
    (data.columns.label, data.test) = (
      "label", .file(try folder.write("label,x\na,1\nB,4\n", "t.csv"))
    )
    expectError(.badData, "t.csv: line 3", "found 'B'; did you mean 'b'?") {
      _ = try TrainingExamples(.classify, settings: data, seed: 1)
    }
  }

  @Test func aSeriesShorterThanItsWindowIsRefused() throws {
    var data = DataSettings(file: try folder.write("x\n1\n2\n4\n"))
    expectError(.badData, "data.csv", "expected at least 33 steps", "found 3") {
      _ = try TrainingExamples(.forecast, settings: data, seed: 1)
    }
    (data.window, data.season) = (2, 3)
    expectError(.usage, "the window must hold a season") {
      _ = try TrainingExamples(.forecast, settings: data, seed: 1)
    }
  }
}
