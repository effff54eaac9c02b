import Foundation
import Testing

/// Options that mean nothing for a task, a file or a model are refused, not passed over.
@Suite struct MeaninglessOptionTests {
  private let data: OwnData

  init() throws { data = try OwnData() }

  /// What a task reads, in the words of its command.
  private func words(_ task: String) throws -> [String] {
    switch task {
    case "text": [try data.text()]
    case "classify":
      [try data.classes(), "--id", "id", "--time", "time", "--label", "label"]
    case "forecast":
      [try data.series(), "--target", "y", "--time", "time", "--window", "12"]
    case "tag": [try data.tags()]
    default: []
    }
  }

  private func expectRefusal(_ command: Command, _ option: String) {
    #expect(command.status == 64 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains(option), "\(command.errors)")
  }

  @Test(arguments: [
    ("classify", ["--labels", "none"]), ("classify", ["--validation-labels", "none"]),
    ("classify", ["--test-labels", "none"]), ("classify", ["--checkpoint-steps", "64"]),
    ("classify", ["--validation-bytes", "9"]), ("tag", ["--word", "w"]), ("tag", ["--label", "l"]),
    ("tag", ["--time", "t"]), ("tag", ["--no-header"]), ("tag", ["--checkpoint-steps", "64"]),
    ("forecast", ["--checkpoint-steps", "64"]), ("adding", ["--validation", "0.1"]),
  ])
  func training(task: String, options: [String]) throws {
    let run = data.folder["run"]
    let command = try Command(
      ["train", task] + words(task) + OwnData.small + ["--output", run] + options)
    expectRefusal(command, options[0])
    #expect(!FileManager.default.fileExists(atPath: run))
  }

  @Test func columnsOfAFileThatHasNone() throws {
    let series = try data.file(
      "a.ts", "@classLabel true a b\n@data\n1,2:a\n2,3:b\n1,1:a\n2,2:b\n")
    let rows = try data.file("rows.csv", "t,x,label\n" + "1,2,a\n2,3,b\n".repeated(9))
    for (words, option) in [
      ([series, "--id", "id"], "--id"), ([series, "--label", "l"], "--label"),
      ([series, "--no-header"], "--no-header"), ([rows, "--time", "t"], "--time"),
    ] {
      let command = try Command(
        ["train", "classify"] + words + OwnData.small + ["--output", data.folder["run"]])
      expectRefusal(command, option)
    }
  }

  @Test(arguments: [
    ("text", ["--labels", "--missing"], ["--probabilities", "--missing"]),
    ("adding", ["--labels", "--missing", "--shards", "--dynamic"], []),
    ("classify", ["--shards", "--dynamic", "--labels"], []),
    ("forecast", ["--labels", "--dynamic"], ["--probabilities"]),
    ("tag", ["--labels", "--missing", "--shards"], ["--missing"]),
  ])
  func usingAModel(task: String, evaluate: [String], predict: [String]) throws {
    let (run, words) = (data.folder["run"], try words(task))
    let trained = try Command(["train", task] + words + OwnData.small + ["--output", run])
    #expect(trained.status == 0, "\(trained.errors)")
    let values = ["--labels": "none", "--missing": "zero", "--shards": "2", "--dynamic": "0.1"]
    for (verb, options) in [("evaluate", evaluate), ("predict", predict)] {
      for option in options {
        let command = try Command(
          [verb, run] + words.prefix(1) + ["--device", "reference", option]
            + [values[option]].compactMap(\.self))
        expectRefusal(command, option)
      }
    }
  }
}

extension String {
  /// The text so many times, one behind the other.
  fileprivate func repeated(_ count: Int) -> String { String(repeating: self, count: count) }
}
