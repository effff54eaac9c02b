import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// Training on sequences that stay in their file.
@Suite struct StreamedExamplesTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Sequences of 2 to 6 steps, a class after the other: those of `up` rise, those of `down` fall.
  private func ramps(
    _ count: Int = 400, change: (_ row: Int, String) -> String = { $1 }
  ) throws -> DataSettings {
    let random = Philox(seed: 5, stream: 77)
    var rows: [String] = []
    for index in 0..<count {
      let isUp = index < count / 2
      for step in 0..<2 + index % 5 {
        let value = Double(isUp ? step : -step) + 0.3 * random.normal(index * 16 + step)
        rows.append("\(index),\(isUp ? "up" : "down"),\(value),\(index)")
      }
    }
    let text = (["id,label,x,y"] + rows.enumerated().map { change($0 + 2, $1) })
      .map { $0 + "\n" }.joined()
    var settings = DataSettings(file: try folder.write(text))
    settings.columns = SequenceColumns(label: "label", id: "id")
    (settings.validation, settings.test) = (.share(0.2), .share(0.1))
    return settings
  }

  private func words(_ count: Int = 300, change: (Int, String) -> String = { $1 }) throws
    -> DataSettings
  {
    let sentences = (0..<count).map { index in
      (0...index % 6).map { "w\((index + $0) % 40) \(($0 + index) % 3 == 0 ? "A" : "B")\n" }
        .joined()
        + "\n"
    }
    let lines = sentences.joined().split(separator: "\n", omittingEmptySubsequences: false)
    let text = lines.enumerated().map { change($0 + 1, String($1)) }.joined(separator: "\n")
    var settings = DataSettings(file: try folder.write(text, "words.conll"))
    settings.validation = .share(0.2)
    return settings
  }

  private func streamed(_ task: TrainingTask, _ data: DataSettings) throws -> TrainingExamples {
    try TrainingExamples(task, settings: data, seed: 3, mostInMemory: 100)
  }

  private func settings(_ examples: TrainingExamples, maxSteps: Int) -> TrainingSettings {
    var settings = TrainingSettings.defaults(for: examples)
    settings.recurrent.hiddenSize = 6
    settings.recurrent.options.recurrentDropout = 0
    settings.batchSize = 8
    settings.bounds = TrainingBounds(maxSteps: maxSteps)
    settings.schedule.peak = 0.02
    settings.schedule.decay = .constant
    settings.evaluateEvery = 10
    return settings
  }

  private func weights(_ trainer: Trainer<ReferenceBackend>) throws -> [[Double]] {
    try trainer.network.parameters.tensors().map(\.tensor.values)
  }

  @Test func aFileSortedByClassIsDividedFairly() throws {
    let data = try ramps()
    let examples = try streamed(.classify, data)
    let whole = try TrainingExamples(.classify, settings: data, seed: 3)
    #expect(examples.description.classes == ["down", "up"])
    #expect(examples.description.longest == 6)
    #expect(examples.description.hash.hasPrefix("sample-"))
    #expect(!examples.training.haveOneLength)
    #expect(abs(examples.count - whole.count) < 40)
    for (a, b) in zip(examples.description.mean, whole.description.mean) {
      #expect(abs(a - b) < 0.2 * max(1, abs(b)))
    }
    // y is the number of the sequence.
    var parts: [Set<Int>] = []
    for part in [examples.training, try #require(examples.validation), try #require(examples.test)]
    {
      var found: Set<Int> = []
      var classes = [0, 0]
      for epoch in 0..<20 {
        let chosen = try part.read(Array(0..<part.count), epoch: epoch)
        let set = try #require(chosen.source as? ClassExamples)
        for index in 0..<set.count {
          let number = set.set.values[set.set.starts[index] * 2 + 1]
          #expect(set.targets[index] == (number < 200 ? 1 : 0))
          #expect(set.length(index) == 2 + Int(number) % 5)
          classes[Int(set.targets[index])] += 1
          found.insert(Int(number))
        }
      }
      #expect(abs(Double(classes[0]) / Double(classes[0] + classes[1]) - 0.5) < 0.1)
      parts.append(found)
    }
    #expect(parts[0].isDisjoint(with: parts[1]) && parts[1].isDisjoint(with: parts[2]))
    #expect(parts[0].isDisjoint(with: parts[2]))
    #expect(parts.reduce(0) { $0 + $1.count } > 390)
    #expect(abs(parts[1].count - 80) < 12 && abs(parts[2].count - 40) < 8)
  }

  @Test func aClassifierLearnsFromASortedFile() throws {
    let examples = try streamed(.classify, ramps())
    let trainer = try Trainer(
      examples, settings: settings(examples, maxSteps: 150), backend: ReferenceBackend())
    _ = try trainer.run(in: folder.run)
    let final = try #require(try trainer.finalMetrics(examples, in: folder.run))
    #expect((final.validation?.accuracy ?? 0) >= 0.9)
    #expect((final.test?.accuracy ?? 0) >= 0.85)
  }

  @Test(arguments: [TrainingTask.classify, .tag])
  func aResumedRunHasTheSameBits(task: TrainingTask) throws {
    let examples = try streamed(task, task == .classify ? ramps() : words())
    var settings = settings(examples, maxSteps: 90)
    let whole = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try whole.run()
    // Into the second epoch, whose sequences are others.
    #expect(whole.epochSteps < 45)
    settings.bounds = TrainingBounds(maxSteps: 47)
    let first = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try first.run(in: folder.run)
    let last = try Checkpoint(contentsOf: folder.run.last)
    settings.bounds = TrainingBounds(maxSteps: 90)
    let rest = try Trainer(
      TrainingExamples(resuming: last, mostInMemory: 100), settings: settings,
      backend: ReferenceBackend(), resuming: last)
    _ = try rest.run(in: folder.run)
    #expect(try weights(rest) == weights(whole))
    #expect(try weights(rest) != weights(first))
    _ = try task == .classify ? ramps(390) : words(290)
    expectError(.badData, "with the hash") {
      _ = try TrainingExamples(resuming: last, mostInMemory: 100)
    }
  }

  @Test(arguments: [TrainingTask.classify, .tag])
  func anyNumberOfRanksGivesTheSameBits(task: TrainingTask) throws {
    var data = try task == .classify ? ramps() : words()
    data.balancesClasses = true
    let examples = try streamed(task, data)
    var settings = settings(examples, maxSteps: 12)
    settings.shards = 4
    let known = settings
    let alone = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    let evaluation = try alone.run().position.evaluation?.loss
    let expected = try weights(alone)
    #expect(evaluation != nil)
    @Sendable func failure(_ error: any Error) -> (status: Int32, sentence: String) {
      ((error as? CarouselError)?.kind.rawValue ?? 70, "\(error)")
    }
    try LocalRanks.run(2, failure: failure) { ranks in
      let trainer = try Trainer(
        examples, settings: known, backend: ReferenceBackend(), ranks: ranks)
      let found = try trainer.run().position.evaluation?.loss
      let weights = try trainer.network.parameters.tensors().map(\.tensor.values)
      #expect(weights == expected && found == evaluation)
    }
  }

  @Test func wordsAndTagsOfASample() throws {
    let data = try words()
    let examples = try streamed(.tag, data)
    #expect(examples.description.classes == ["A", "B"])
    #expect(examples.description.words?.count == 40 && examples.description.longest == 6)
    let chosen = try examples.training.read([3, 5, 90], epoch: 2)
    let set = try #require(chosen.source as? TagExamples)
    #expect(set.count == 3 && set.tokens.joined().allSatisfy { $0 > 0 })
  }

  /// Reads all sequences of all parts.
  private func readAll(_ examples: TrainingExamples) throws {
    for part in [examples.training, examples.validation, examples.test].compactMap(\.self) {
      for epoch in 0..<10 { _ = try part.read(Array(0..<part.count), epoch: epoch) }
    }
  }

  @Test func aClassThatWasNotSeenIsNamed() throws {
    // One sequence, on lines 896 and those behind it.
    let data = try ramps { _, text in
      text.hasPrefix("224,") ? text.replacing("down", with: "side") : text
    }
    // Some seed holds it out.
    let seed = try #require(
      (1...40).first { seed in
        let examples = try? TrainingExamples(
          .classify, settings: data, seed: UInt64(seed), mostInMemory: 100)
        return examples?.description.classes == ["down", "up"]
      })
    expectError(
      .badData, "data.csv: line 896, id '224': expected a class of the sample of ",
      "sequences that was read before, found 'side'", "; --classes names all"
    ) {
      try readAll(
        TrainingExamples(.classify, settings: data, seed: UInt64(seed), mostInMemory: 100))
    }
    var named = data
    named.classes = ["up", "down"]
    for most in [100, Int.max] {
      expectError(.badData, "data.csv: line 896", "one of --classes, found 'side'") {
        try readAll(
          TrainingExamples(.classify, settings: named, seed: 3, mostInMemory: most))
      }
    }
    named.classes = ["up", "side", "down"]
    let examples = try streamed(.classify, named)
    #expect(examples.description.classes == ["up", "side", "down"])
    try readAll(examples)
    for wrong in [["a"], ["a", "a"], ["a", ""]] {
      named.classes = wrong
      expectError(.usage, "--classes") { try named.validate() }
    }
  }

  @Test func rowsOfAnIdThatAreApartAreRefused() throws {
    let data = try ramps { row, text in
      row.isMultiple(of: 2) ? text.replacing(/^\d+,(up|down)/, with: "same,up") : text
    }
    expectError(.badData, "data.csv: line ", "the rows of the id 'same' one behind the other") {
      _ = try streamed(.classify, data)
    }
  }

  @Test func aSequenceThatIsTooLongIsRefused() throws {
    let rows = (0..<60).map { "s\($0),\($0 % 2 == 0 ? "a" : "b"),\($0)\n" }
    var data = DataSettings(file: try folder.write("id,label,x\n" + rows.joined()))
    data.columns = SequenceColumns(label: "label", id: "id")
    data.validation = .share(0)
    let stream = try SequenceStream(data.file, columns: data.columns)
    let blocks = try FileBlocks.parts(of: stream.records, data, seed: 1).training
    let most = TrainingSettings.maximumSize
    expectError(.badData, "data.csv: line 7: ", "at most \(most) steps, found \(most + 1)") {
      let records = try stream.records.records(in: stream.records.range)
      try blocks.requireLengths(records) { $0 == 5 ? most + 1 : 1 }
    }
    data.file = try folder.write(
      "id,label,x\n" + rows.joined() + String(repeating: "1", count: 1 << 26) + "1,a,1\n" + rows[9])
    expectError(.badData, "data.csv: line 62: ", "at most 64 MiB") {
      let records = try SequenceStream(data.file, columns: data.columns).records
      _ = try records.records(in: records.range)
    }
  }

  @Test func aSequenceThatIsMostOfAFileCostsLittle() throws {
    let rows = (0..<90).map { "s\($0),\($0 % 2 == 0 ? "a" : "b"),\($0)\n" }
    let long = repeatElement("long,a,1\n", count: 20_000)
    var data = DataSettings(
      file: try folder.write(
        "id,label,x\n" + rows[..<45].joined() + long.joined() + rows[45...].joined()))
    data.columns = SequenceColumns(label: "label", id: "id")
    data.validation = .share(0)
    let examples = try streamed(.classify, data)
    #expect(examples.description.classes == ["a", "b"])
    let chosen = try examples.training.read([0, examples.count / 2, examples.count - 1], epoch: 0)
    #expect(chosen.source.count == 3)
  }

  @Test func namedClassesAreThoseOfASmallFileToo() throws {
    var data = try ramps(40)
    data.classes = ["up", "never", "down"]
    let examples = try TrainingExamples(.classify, settings: data, seed: 3)
    #expect(examples.description.classes == ["up", "never", "down"])
    var tags = try words(40)
    tags.classes = ["B", "A", "C"]
    #expect(
      try TrainingExamples(.tag, settings: tags, seed: 3).description.classes == ["B", "A", "C"])
    tags.classes = ["B", "C"]
    for most in [100, Int.max] {
      expectError(.badData, "words.conll: line ", "one of --classes, found 'A'") {
        _ = try TrainingExamples(.tag, settings: tags, seed: 3, mostInMemory: most)
      }
    }
  }

  @Test func whatIsWrongInAFileIsSaidWithItsLine() throws {
    func expect(
      _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation,
      change: @escaping (Int, String) -> String
    ) throws {
      do {
        let examples = try streamed(.classify, ramps(change: change))
        try readAll(examples)
        Issue.record("expected an error", sourceLocation: sourceLocation)
      } catch let error as CarouselError {
        #expect(error.kind == .badData)
        for part in parts {
          #expect(error.message.contains(part), "\(error)", sourceLocation: sourceLocation)
        }
      }
    }
    try expect("data.csv: line 777, column 'x'", "'many'") { row, text in
      row == 777 ? text.replacing(/,-?\d+\.[^,]*,/, with: ",many,") : text
    }
    try expect("data.csv: line 777: expected 4 cells", "found 3") { row, text in
      row == 777 ? text.split(separator: ",").prefix(3).joined(separator: ",") : text
    }
    try expect("data.csv: line 777", "class") { row, text in
      row == 777 ? text.replacing("up", with: "").replacing("down", with: "") : text
    }
    try expect("data.csv: line 777, column 'y'", "--missing") { row, text in
      row == 777 ? text.replacing(/,[^,]*$/, with: ",") : text
    }
    expectError(.badData, "words.conll: line 321: expected 2 columns, found 3") {
      let examples = try streamed(
        .tag, words { $0 == 321 ? "a b c" : $1 })
      try readAll(examples)
    }
  }

  @Test(arguments: [TrainingTask.classify, .tag])
  func aLargeFileIsMeasuredAndPredictedAsASmallOne(task: TrainingTask) throws {
    let data = try task == .classify ? ramps(150) : words(150)
    let examples = try TrainingExamples(task, settings: data, seed: 3)
    let trainer = try Trainer(
      examples, settings: settings(examples, maxSteps: 20), backend: ReferenceBackend())
    _ = try trainer.run(in: folder.run)
    let model = try ExampleModel(Checkpoint(at: folder.run.path), backend: ReferenceBackend())
    func predictions() throws -> [String] {
      var result: [String] = []
      try model.predict(ExampleFile(data.file)) {
        switch $0 {
        case .class(let id, let name, _): result.append("\(id ?? "") \(name)")
        case .tags(_, let sequence, let words):
          result.append("\(sequence) \(words.map { "\($0.word) \($0.tag)" })")
        case .numbers: break
        }
      }
      return result
    }
    let (whole, count) = try #require(try model.evaluate(ExampleFile(data.file)))
    let expected = try predictions()
    #expect(count == 150 && expected.count == 150)
    model.mostInMemory = 200
    let (chunked, chunkedCount) = try #require(try model.evaluate(ExampleFile(data.file)))
    #expect(chunkedCount == count && chunked.accuracy == whole.accuracy)
    #expect(chunked.confusion == whole.confusion)
    #expect(abs(chunked.loss - whole.loss) < 1e-12)
    #expect(try predictions() == expected)
  }

  @Test(arguments: [TrainingTask.classify, .tag])
  func aLargeFileThatIsHeldOutStaysWhereItIs(task: TrainingTask) throws {
    let large = try task == .classify ? ramps(400).file : words(300).file
    let other = large.replacing("/data.", with: "/other.").replacing("/words.", with: "/other.")
    try FileManager.default.copyItem(atPath: large, toPath: other)
    var data = try task == .classify ? ramps(40) : words(30)
    (data.validation, data.test) = (.file(other), .file(other))
    let between = task == .classify ? 8000 : 2000
    for most in [100, between, .max] {
      let examples = try TrainingExamples(task, settings: data, seed: 3, mostInMemory: most)
      #expect(examples.training is StreamedExamples == (most == 100))
      for part in [examples.validation, examples.test] {
        let part = try #require(part)
        #expect(part is StreamedExamples == (most < .max))
        #expect(abs(part.count - (task == .classify ? 400 : 300)) < 50)
        let chosen = try part.read(Array(0..<part.count), epoch: 0)
        #expect(chosen.indices.count == part.count)
      }
    }
    let examples = try TrainingExamples(task, settings: data, seed: 3, mostInMemory: between)
    let trainer = try Trainer(
      examples, settings: settings(examples, maxSteps: 60), backend: ReferenceBackend())
    _ = try trainer.run(in: folder.run)
    let final = try #require(try trainer.finalMetrics(examples, in: folder.run))
    #expect(final.test?.accuracy == final.validation?.accuracy)
    // Of a file in memory each sequence is measured, once.
    let whole = try TrainingExamples(task, settings: data, seed: 3, mostInMemory: .max)
    let all = try #require(try trainer.finalMetrics(whole, in: folder.run)?.test?.accuracy)
    #expect(abs(try #require(final.test?.accuracy) - all) < 0.1)
    let last = try Checkpoint(contentsOf: folder.run.last)
    _ = try TrainingExamples(resuming: last, mostInMemory: between)
    try Data(contentsOf: URL(filePath: large)).write(to: URL(filePath: other))
    expectError(.badData, "with the hash") {
      _ = try TrainingExamples(resuming: last, mostInMemory: between)
    }
    guard task == .classify else { return }
    let apart = (0..<900).map { "\($0.isMultiple(of: 2) ? "same" : "s\($0)"),up,1,1\n" }
    try Data(("id,label,x,y\n" + apart.joined()).utf8).write(to: URL(filePath: other))
    expectError(.badData, "other.csv: line ", "the rows of the id 'same' one behind the other") {
      _ = try TrainingExamples(.classify, settings: data, seed: 3, mostInMemory: between)
    }
  }

  @Test func lengthsGrowByQuartersBeyondThoseThatAreKnown() {
    #expect(
      [1, 4, 5, 6, 7, 8, 9, 11].map { BatchPlan.length($0, among: [4, 6]) } == [
        4, 4, 6, 6, 8, 8, 10, 13,
      ])
  }
}
