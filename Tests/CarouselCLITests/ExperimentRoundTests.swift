import Foundation
import Testing

@testable import Carousel

/// What an experiment has when it ends early, and whether its commands do what they say.
@Suite struct ExperimentRoundTests {
  private struct Case: ExperimentCase {
    var row: ExperimentResult.Row
  }

  /// The rows of two cases and three seeds, and the round they are of, when the `end`-th measurement is not
  /// begun any more.
  private func rows(stoppingAt end: Int) throws -> (rows: [[Double]], round: Int) {
    var calls = 0
    let monitor = ExperimentMonitor(shouldStop: {
      calls += 1
      return calls >= end
    })
    let context = ExperimentContext(
      experiment: .gates, settings: ExperimentSettings(), backend: ReferenceBackend(),
      monitor: monitor)
    var cases = ["a", "b"].map { Case(row: ExperimentResult.Row($0)) }
    let round = try context.measureInRounds(&cases) {
      $1
    } train: { _, _, seed, round in
      ["x": Double(round.index * 10) + Double(seed)]
    }
    return (cases.map { $0.row.all("x") }, round.index)
  }

  @Test(arguments: [
    (100, [[21.0, 22, 23], [21, 22, 23]], 2),
    // In the middle of a round the numbers are those of the one before.
    (10, [[1, 2, 3], [1, 2, 3]], 0), (18, [[11, 12, 13], [11, 12, 13]], 1),
    // In the first round there is what there is, each row with as many seeds as possible.
    (4, [[1, 2], [1]], 0), (1, [[], []], 0),
  ])
  func whatIsCutIsRefinementAndAllRowsAreOfOneRound(
    end: Int, expected: [[Double]], round: Int
  ) throws {
    let found = try rows(stoppingAt: end)
    #expect(found.rows == expected && found.round == round)
  }

  @Test func roundsEndWhereTrainingsAreEvaluated() {
    for (total, multiple) in [(600, 1), (400, 25), (10, 1), (1, 1), (7, 25)] {
      let ends = (0..<ExperimentRound.count).map {
        ExperimentRound(index: $0).updates(of: total, multiple: multiple)
      }
      #expect(ends.last == total && ends == ends.sorted())
      #expect(ends.allSatisfy { $0 == total || $0.isMultiple(of: multiple) && $0 > 0 })
    }
  }

  /// Trainings take turns: what another does meanwhile is not a training's time.
  @Test func theRateOfATrainingIsThatOfItsStepsAlone() throws {
    let context = ExperimentContext(
      experiment: .reductions, settings: ExperimentSettings(), backend: ReferenceBackend(),
      monitor: ExperimentMonitor())
    let layers = RecurrentConfiguration(experiment: .rnn, inputSize: 2, hiddenSize: 2)
    let settings = TrainingSettings(
      experiment: layers, sequenceLength: 5, updates: 8, seed: 1, evaluateEvery: 4)
    let run = TrainingRun(try Trainer(.adding, settings: settings, backend: context.backend))
    try context.train(run, to: 4)
    Thread.sleep(forTimeInterval: 0.5)
    try context.train(run, to: 8)
    #expect(run.curve.stepSeconds.count == 6 && run.curve.stepSeconds.allSatisfy { $0 < 0.5 })
    #expect(run.curve.stepsPerSecond > 2)
  }

  private func rows(_ words: [String]) throws -> [[String: Any]] {
    let command = try Command(["experiment"] + words + ["--json"])
    #expect(command.status == 0, "\(command.errors)")
    return try #require(try command.json["rows"] as? [[String: Any]])
  }

  /// Runs a row's command as it is printed, in a folder of its own.
  private func metrics(_ row: [String: Any], _ folder: Folder) throws -> [String: Any] {
    let lines = try #require(row["command"] as? String).split(separator: "\n")
    let line = lines[0].replacing("carousel ", with: "$carousel ")
    let command = try Command(
      shell: """
        cd '\(folder["."])' && \(line) --device reference --quiet --json --output run
        """)
    #expect(command.status == 0, "\(line): \(command.errors)")
    return try #require(try command.json["validation"] as? [String: Any])
  }

  private func mean(_ row: [String: Any], _ key: String) throws -> Double {
    try #require((row[key] as? [String: Any])?["mean"] as? Double)
  }

  private static let small = [
    "--hidden-size", "4", "--seeds", "1", "--seed", "5", "--device", "reference",
  ]

  @Test func aRowsCommandGivesItsNumbers() throws {
    let folder = try Folder()
    let rows = try rows(
      ["gates", "--cell", "mingru", "--sequence-length", "5", "--budget", "12"] + Self.small)
    let held = try #require(rows.last)
    let found = try #require(try metrics(held, folder)["loss"] as? Double)
    let expected = try mean(held, "trainedError")
    #expect(abs(found / expected - 1) < 1e-9)
  }

  @Test func aRowsCommandReadsTheFileThatTheExperimentWrites() throws {
    let folder = try Folder()
    let writing = try Command(
      ["experiment", "regularisation", "--write-data", folder["genesis-short.txt"]] + Self.small)
    #expect(writing.status == 0 && writing.output.isEmpty, "\(writing.errors)")
    let rows = try rows(["regularisation", "--budget", "12"] + Self.small)
    #expect(!rows.isEmpty)
    for row in rows.prefix(2) {
      let found = try #require(try metrics(row, folder)["bitsPerByte"] as? Double)
      let expected = try mean(row, "last")
      #expect(abs(found / expected - 1) < 1e-9, "\(row)")
      try FileManager.default.removeItem(atPath: folder["run"])
    }
  }

  @Test func everyExperimentThatReadsAFileWritesIt() throws {
    let folder = try Folder()
    for experiment in Experiment.allCases {
      let command = try Command(
        ["experiment", experiment.rawValue, "--write-data", folder[experiment.rawValue]])
      #expect(command.status == (experiment.dataFile == nil ? 64 : 0), "\(command.errors)")
      guard let bytes = experiment.data() else { continue }
      #expect(bytes.count > 10_000)
      #expect(try Data(contentsOf: URL(filePath: folder[experiment.rawValue])) == Data(bytes))
    }
    let missing = try Command(["experiment", "cells", "--write-data", folder["none/t"]])
    #expect(missing.status == 74 && missing.isOneSentence, "\(missing.errors)")
  }

  @Test func severalSizesShareTheBudget() throws {
    let command = try Command([
      "experiment", "gates", "--cell", "mingru", "--hidden-size", "2,3", "--sequence-length", "4",
      "--seeds", "1", "--budget", "8", "--device", "reference", "--json",
    ])
    #expect(command.status == 0, "\(command.errors)")
    let all = try #require(try command.json["cases"] as? [[String: Any]])
    let values = try command.json["values"] as? [String]
    try #require(all.count == 2 && values == ["2", "3"])
    let words = try all.map {
      try #require(($0["rows"] as? [[String: Any]])?.first?["command"] as? String)
    }
    #expect(words[0].contains("--hidden-size 2 ") && words[1].contains("--hidden-size 3 "))
  }

  /// One interruption prints what there is; a second one, while a step takes long, ends it without.
  @Test(arguments: [1, 2])
  func interruptionsEndAnExperiment(count: Int) throws {
    let folder = try Folder()
    // The second comes while a training step of the reference is under way.
    let size = count == 1 ? "2" : "1000 --sequence-length 400"
    let command = try Command(
      shell: """
        $carousel experiment gradients --cell gru --hidden-size \(size) --budget 2m \
          --device reference >'\(folder["out"])' 2>'\(folder["err"])' & pid=$!
        # Until the signal is caught.
        until grep -q 'SigCgt.*[2367abef]$' /proc/$pid/status; do sleep 0.1; done
        sleep 1; kill -INT $pid
        if [ \(count) = 2 ]; then
          for _ in {1..600}; do grep -q 'a second interruption' '\(folder["err"])' && break; sleep 0.1; done
          kill -INT $pid
        fi
        wait $pid; echo $?; cat '\(folder["out"])'
        """)
    let errors = try String(contentsOfFile: folder["err"], encoding: .utf8)
    #expect(command.output.hasPrefix("130\n"), "\(command.output) \(errors)")
    if count == 1 {
      #expect(command.output.contains("The experiment was interrupted"))
      #expect(command.output.contains("carousel experiment gradients"))
    } else {
      #expect(command.output == "130\n")
      #expect(errors.contains("interrupted again; the experiment ends without its results"))
    }
  }
}
