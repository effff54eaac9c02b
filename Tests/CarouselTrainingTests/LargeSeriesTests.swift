import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// Forecasts of many series that stay in their file.
@Suite struct LargeSeriesTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Series of 20 to 260 rows; z counts all rows of the file.
  private func write(
    _ count: Int = 30, end: String = "\n", change: (Int, String) -> String = { $1 }
  ) throws -> DataSettings {
    var rows = ["id,time,y,z"]
    for series in 0..<count {
      for step in 0..<20 + series * 37 % 241 {
        let y = Double(series + 1) * (Double(step % 7) + Double(step) / 64)
        rows.append("\"s, \(series)\",\(step),\(y),\(rows.count - 1)")
      }
    }
    let text = rows.enumerated().map { change($0 + 1, $1) + end }.joined()
    let path = folder.path + "/series.csv"
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    var settings = DataSettings(file: path)
    (settings.targets, settings.covariates) = (["y"], ["z"])
    settings.columns = SequenceColumns(id: "id", time: "time")
    (settings.window, settings.horizon, settings.season) = (8, 2, 7)
    (settings.validation, settings.test) = (.share(0.2), .share(0.1))
    return settings
  }

  /// The windows of a part with their horizons, by the number of the row on which they end.
  private func windows(_ part: (any ExampleSource)?, epochs: Int) throws -> [Int: [Double]] {
    let part = try #require(part)
    var result: [Int: [Double]] = [:]
    for epoch in 0..<epochs {
      let chosen = try part.read(Array(0..<part.count), epoch: epoch)
      let source = try #require(chosen.source as? ForecastExamples)
      for index in chosen.indices {
        let window = source.windows[index]
        let numbers = source.set.values[window.series]
        let first = (window.last - 7) * 2
        result[Int(numbers[window.last * 2 + 1])] = Array(numbers[first..<first + 20])
      }
    }
    return result
  }

  @Test(arguments: ["\n", "\r\n"]) func windowsAreThoseOfSeriesInMemory(end: String) throws {
    let data = try write(end: end)
    let streamed = try TrainingExamples(.forecast, settings: data, seed: 3, mostInMemory: 100)
    let memory = try TrainingExamples(.forecast, settings: data, seed: 3)
    let parts: [((any ExampleSource)?, (any ExampleSource)?)] = [
      (streamed.training, memory.training), (streamed.validation, memory.validation),
      (streamed.test, memory.test),
    ]
    for (a, b) in parts {
      let (found, expected) = (try windows(a, epochs: 30), try windows(b, epochs: 1))
      for (row, numbers) in found { #expect(expected[row] == numbers) }
      #expect(Double(found.count) > 0.98 * Double(expected.count))
    }
    #expect(abs(streamed.count - memory.count) < memory.count / 4)
    let (a, b) = (streamed.description, memory.description)
    #expect(a.forecast?.base == b.forecast?.base && a.forecast?.scalesWindows == true)
    #expect(a.hash.hasPrefix("stretches-") && a.channels == b.channels)
    #expect(abs(a.scale[0] / b.scale[0] - 1) < 0.1)
  }

  @Test func longSeriesAreDividedByTheirBytes() throws {
    let data = try write()
    let stream = try SeriesStream(
      table: data.file, targets: ["y"], covariates: ["z"], id: "id", time: "time",
      hasHeader: true, missing: .error, rows: 2)
    let whole = try SeriesSet(data.file, data)
    for place in 0..<500 {
      let numbers = try stream.stretch(at: Double(place) / 500, window: 1, mostCounted: 0) {
        $0 / 2..<$0
      }
      let row = Int(numbers[1])
      var begin = 0
      for series in whole.values {
        let count = series.count / 2
        if begin..<begin + count ~= row {
          #expect(Array(series[(row - begin) * 2..<(row - begin + 2) * 2]) == numbers)
          #expect(Double(row - begin) >= 0.4 * Double(count))
        }
        begin += count
      }
    }
  }

  @Test func aRunIsResumedToTheSameBits() throws {
    let examples = try TrainingExamples(.forecast, settings: write(), seed: 9, mostInMemory: 100)
    var settings = TrainingSettings.defaults(for: examples)
    (settings.recurrent.hiddenSize, settings.batchSize) = (4, 16)
    settings.schedule.decay = .constant
    func weights(_ trainer: Trainer<ReferenceBackend>) throws -> [[Double]] {
      try trainer.network.parameters.tensors().map(\.tensor.values)
    }
    settings.bounds = TrainingBounds(maxSteps: 20)
    let whole = try Trainer(examples, settings: settings, backend: ReferenceBackend())
    _ = try whole.run()
    settings.bounds = TrainingBounds(maxSteps: 7)
    _ = try Trainer(examples, settings: settings, backend: ReferenceBackend()).run(in: folder.run)
    let last = try Checkpoint(contentsOf: folder.run.last)
    settings.bounds = TrainingBounds(maxSteps: 20)
    let rest = try Trainer(
      TrainingExamples(resuming: last, mostInMemory: 100), settings: settings,
      backend: ReferenceBackend(), resuming: last)
    _ = try rest.run(in: folder.run)
    #expect(try weights(rest) == weights(whole))
    let final = try #require(try rest.finalMetrics(examples, in: folder.run))
    #expect((final.test?.forecast?.mase ?? 0) > 0 && (final.validation?.forecast?.mae ?? 0) > 0)
  }

  @Test func whatIsWrongInASeriesIsSaidWithItsLine() throws {
    func expect(_ parts: String..., change: @escaping (Int, String) -> String) throws {
      let data = try write(change: change)
      do {
        let examples = try TrainingExamples(.forecast, settings: data, seed: 3, mostInMemory: 100)
        _ = try windows(examples.training, epochs: 30)
        Issue.record("expected an error")
      } catch let error as CarouselError {
        #expect(error.kind == .badData)
        for part in parts { #expect(error.message.contains(part), "\(error)") }
      }
    }
    // Line 90 is of the series 2, which begins on line 79.
    try expect("series.csv: line 90, column 'y'", "'many'") { row, text in
      row == 90 ? "\"s, 2\",11,many,1" : text
    }
    try expect("series.csv: line 90: expected 4 cells", "found 3") { row, text in
      row == 90 ? "\"s, 2\",11,1" : text
    }
    try expect("series.csv: line 90, column 'time'", "rise") { row, text in
      row == 90 ? "\"s, 2\",0,1,1" : text
    }
    try expect("series.csv: line 2: ", "at least 10 steps of the id 's, 0'", "found 9") {
      row, text in
      row > 10 && row < 22 ? text.replacing("s, 0", with: "s, x") : text
    }
  }
}
