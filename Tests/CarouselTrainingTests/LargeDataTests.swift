import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// Texts and tables that stay in their files: the same numbers as from memory.
@Suite struct LargeDataTests {
  private let folder = try? TemporaryFolder()

  private func write(_ text: String, _ name: String) throws -> String {
    let path = try #require(folder).path + "/" + name
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  @Test func aTextInItsFilesTrainsToTheSameBits() throws {
    let lines = (0..<90).map { "line \($0 * $0 % 97): ä ö ü €\n" }
    let (a, b) = (
      try write(lines[..<50].joined(), "a"), try write(lines[50...].joined(), "b")
    )
    let memory = try TrainingText(files: [a, b])
    let files = try TrainingText(files: [a, b], mostInMemory: 100)
    #expect(memory.content.isInMemory && !files.content.isInMemory)
    #expect(files.bytes.isEmpty && files.content.count == memory.bytes.count)
    #expect(files.isUTF8 && files.vocabulary == .all)
    #expect(try files.occurringBytes() == memory.vocabulary)
    #expect(files.identity.hash.hasPrefix("blocks-"))
    let count = memory.bytes.count
    for part in [0..<count, 10..<count - 7] {
      #expect(files.bytesPerCharacter(in: part) == memory.bytesPerCharacter(in: part))
    }
    var settings = TestRun.settings(maxSteps: 8)
    settings.validation = 0.2
    let tensors = try [memory, files].map { text in
      let trainer = try Trainer(
        text, settings: settings, vocabulary: memory.vocabulary, backend: ReferenceBackend())
      let result = try trainer.run()
      return (
        try trainer.network.parameters.tensors().map(\.tensor.values),
        result.position.evaluation?.loss
      )
    }
    #expect(tensors[0].0 == tensors[1].0 && tensors[0].1 == tensors[1].1)
    expectError(.badData, "0xE2", "at offset") {
      _ = try Trainer(
        files, settings: settings, vocabulary: ByteVocabulary(of: lines[0].utf8.prefix(17)),
        backend: ReferenceBackend())
    }
  }

  @Test func blocksOfALargeTextTellTwoTextsApart() throws {
    var bytes = [UInt8](repeating: 97, count: 256 * 4096 + 5000)
    let path = try #require(folder).path + "/x"
    func identity() throws -> TrainingText.Identity {
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      return try TrainingText(files: [path], mostInMemory: 1).identity
    }
    let first = try identity()
    #expect(first.isUTF8 == true && first.byteCount == bytes.count)
    bytes[bytes.count - 1] = 98
    #expect(try identity().hash != first.hash)
    bytes[100] = 0xFF
    #expect(try identity().isUTF8 == false)
  }

  @Test func aTextThatShrinksIsAnError() throws {
    let path = try write(String(repeating: "abc", count: 300), "x")
    let text = try TrainingText(files: [path], mostInMemory: 1)
    let streams = try TextStreams(
      text.content, vocabulary: .all, batchSize: 2, sequenceLength: 5, remainder: .dropped)
    _ = try streams.window(80)
    #expect(truncate(path, 100) == 0)
    expectError(.badData, path, "the end of the file") { _ = try streams.window(80) }
  }

  /// A series whose rows have several lengths.
  private func table(
    _ rows: Int, separator: String = ",", end: String = "\n",
    change: (Int, String) -> String = { $1 }
  ) -> String {
    let header = ["time", "y", "z", "other"].joined(separator: separator)
    return
      ([header]
      + (0..<rows).map { step in
        let y = Double(step % 7) + Double(step) / 8
        let cells = ["\(step)", "\(y)", "\(step % 3)", "x"]
        return change(step, cells.joined(separator: separator))
      }).map { $0 + end }.joined()
  }

  private func settings(_ file: String) -> DataSettings {
    var settings = DataSettings(file: file)
    (settings.targets, settings.covariates, settings.columns) = (
      ["y"], ["z"], SequenceColumns(time: "time")
    )
    (settings.window, settings.horizon, settings.season) = (8, 2, 7)
    (settings.validation, settings.test) = (.share(0.2), .share(0.1))
    return settings
  }

  @Test func stretchesOfATableAreItsRows() throws {
    let path = try write(table(300), "t.csv")
    let whole = try SeriesSet(
      table: path, targets: ["y"], covariates: ["z"], time: "time")
    let stream = try SeriesStream(
      table: path, targets: ["y"], covariates: ["z"], time: "time", hasHeader: true,
      missing: .error, rows: 10)
    let parts = [0..<0.7, 0.7..<0.9, 0.9..<1].map { stream.part($0, count: 1000) }
    var last = -1
    for part in parts {
      #expect(part.count > 10)
      var firsts: [Int] = []
      for index in 0..<part.count {
        let stretch = try part.stretch(index)
        let first = try #require(
          (0...290).first { Array(whole.values[0][$0 * 2..<($0 + 10) * 2]) == stretch })
        #expect(first >= firsts.last ?? 0)
        firsts.append(first)
      }
      // Nothing of a part is in the next one.
      #expect(firsts[0] > last)
      last = (firsts.last ?? 0) + 9
    }
    #expect(try Array(whole.values[0].prefix(20)) == parts[0].stretch(0))
    #expect(try parts[2].stretch(parts[2].count - 1).suffix(2) == whole.values[0].suffix(2))
  }

  @Test func aForecastLearnsFromATableThatStaysInItsFile() throws {
    let path = try write(table(400), "t.csv")
    let parts = try ForecastTask.parts(settings(path), seed: 1, mostInMemory: 1000)
    let read = try ForecastTask.parts(settings(path), seed: 1, mostInMemory: .max)
    #expect(parts.description.channels == read.description.channels)
    #expect(parts.description.hash.hasPrefix("stretches-"))
    let (a, b) = (parts.description.forecast, read.description.forecast)
    #expect(a?.base == b?.base)
    let ratio = (a?.targetScale[0] ?? 0) / (b?.targetScale[0] ?? 1)
    #expect(abs(ratio - 1) < 0.1)
    let backend = ReferenceBackend()
    let network = try Network(
      parts.description.network(RecurrentConfiguration(inputSize: 2, hiddenSize: 4)),
      backend: backend, seed: 1)
    let settings = TestRun.settings(maxSteps: 1)
    let work = try SequenceWork(
      network, parts.training, settings, BatchPieces(settings, ranks: Alone()))
    for step in 0..<3 {
      try work.queueGradients(step: step, seed: 1)
      #expect(try work.readLoss().isFinite)
    }
    for part in [parts.validation, parts.test] {
      let part = try #require(part)
      let metrics = try SequenceEvaluator(network, part, batchSize: 16).measure { false }
      #expect(try #require(metrics?.forecast?.mae) > 0)
    }
  }

  @Test func whatIsWrongInATableIsSaidWithItsLine() throws {
    func expect(_ parts: String..., change: @escaping (Int, String) -> String) throws {
      let path = try write(table(120, change: change), "bad.csv")
      do {
        let parts = try ForecastTask.parts(settings(path), seed: 1, mostInMemory: 10)
        for index in 0..<parts.training.count { _ = try parts.training.read([index], epoch: 0) }
        Issue.record("expected an error")
      } catch {
        #expect(error.kind == .badData)
        for part in parts { #expect(error.message.contains(part), "\(error)") }
      }
    }
    try expect("bad.csv: line 42, column 'y'", "'many'") { step, row in
      step == 40 ? "40,many,1,x" : row
    }
    try expect("bad.csv: line 42", "expected 4 cells", "found 3") { step, row in
      step == 40 ? "40,1,1" : row
    }
    try expect("bad.csv: line 42, column 'time'", "rise") { step, row in
      step == 40 ? "39,1,1,x" : row
    }
    try expect("bad.csv: line 42, column 'z'", "--missing") { step, row in
      step == 40 ? "40,1,,x" : row
    }
  }

  @Test func otherFormsOfATableAreTheSameNumbers() throws {
    func stretch(_ text: String, _ name: String, missing: MissingValues = .error) throws -> [Double]
    {
      let path = try write(text, name)
      return try SeriesStream(
        table: path, targets: ["y"], covariates: ["z"], time: nil, hasHeader: true,
        missing: missing, rows: 12
      ).part(0..<1, count: 1).stretch(0)
    }
    let plain = try stretch(table(30), "a")
    #expect(plain.count == 24 && plain[2] == 1.125)
    #expect(try stretch(table(30, end: "\r\n"), "b") == plain)
    let comma = table(30, separator: ";").replacing(".", with: ",")
    #expect(try stretch("\u{FEFF}" + comma, "c") == plain)
    let quoted = table(30) { _, row in
      row.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ",")
    }
    #expect(try stretch(quoted, "d") == plain)
    let gaps = table(30) { step, row in step == 1 ? "1,,0,x" : row }
    #expect(try stretch(gaps, "e", missing: .forward)[2] == plain[0])
    expectError(.badData, "at least 12 rows, found 5") { _ = try stretch(table(5), "f") }
  }

  @Test func sharesThatLeaveNothingAreRefused() throws {
    var wrong = settings(try write(table(100), "t.csv"))
    (wrong.validation, wrong.test) = (.share(0.5), .share(0.6))
    expectError(.usage, "below 1 together") { try wrong.validate() }
    for most in [10, Int.max] {
      (wrong.validation, wrong.test) = (.share(0.3), .share(0.65))
      expectError(.badData, "training part") {
        _ = try ForecastTask.parts(wrong, seed: 1, mostInMemory: most)
      }
    }
  }
}
