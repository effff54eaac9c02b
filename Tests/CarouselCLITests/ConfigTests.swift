import Foundation
import Testing

/// Options from a file: what it says, what the command line says over it, and what is wrong with it.
@Suite struct ConfigTests {
  private let data = try? OwnData()

  private func made() throws -> OwnData { try #require(data) }

  private func text(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  /// Runs of every task with options of every kind, up to what stands for their data.
  private static let runs: [(task: String, data: String, words: [String])] = [
    (
      "text", "text",
      [
        "--steps", "8", "--cell", "lstm", "--peepholes", "--activation", "cell=elu:0.5",
        "--zoneout", "0.1,0.2", "--layers", "2", "--dropout", "0.25", "--schedule", "step",
        "--decay-factor", "0.5", "--clip-norm", "0", "--vocabulary", "bytes", "--seed", "7",
      ]
    ),
    (
      "text", "text",
      [
        "--steps", "8", "--cell", "lstm", "--couple-input-forget", "--override", "output=0.5",
        "--no-bias", "--optimizer", "sgd", "--momentum", "0.5", "--embedding-size", "3",
        "--validation", "0.25", "--validation-bytes", "64",
      ]
    ),
    ("adding", "", ["--steps", "6", "--bidirectional", "--merge", "sum", "--patience", "9"]),
    ("copy", "", ["--steps", "3", "--cell", "gru", "--gru-reset", "before", "--layer-norm"]),
    (
      "classify", "classes",
      [
        "--id", "id", "--time", "time", "--label", "label", "--test", "0.2", "--class-weights",
        "balanced", "--label-smoothing", "0.1", "--pooling", "mean", "--bidirectional",
      ]
    ),
    (
      "forecast", "series",
      [
        "--target", "y", "--covariates", "z", "--time", "time", "--season", "4", "--window", "8",
        "--horizon", "2", "--loss", "quantile:0.1,0.5,0.9", "--missing", "zero", "--test", "0.2",
      ]
    ),
    ("tag", "tags", ["--recurrent-dropout", "0.2", "--embedding-size", "5"]),
  ]

  @Test(arguments: ConfigTests.runs.indices)
  func theResolvedOptionsOfARunRepeatItBitForBit(index: Int) throws {
    let (run, made) = (Self.runs[index], try made())
    let file: [String] =
      switch run.data {
      case "text": [try made.text()]
      case "classes": [try made.classes()]
      case "series": [try made.series()]
      case "tags": [try made.tags()]
      default: []
      }
    let (first, second) = (made.folder["first"], made.folder["second"])
    let begun = try Command(
      ["train", run.task] + file + OwnData.small + run.words + ["--output", first])
    #expect(begun.status == 0, "\(begun.errors)")
    let repeated = try Command(
      ["train", run.task, "--config", first + "/config.yaml", "--output", second, "--quiet"])
    #expect(repeated.status == 0, "\(repeated.errors)")
    #expect(try text(first + "/config.yaml") == text(second + "/config.yaml"))
    #expect(try text(first + "/settings.json") == text(second + "/settings.json"))
    for name in ["best.safetensors", "last.safetensors"] {
      let tensors = try OwnData.tensors("\(first)/\(name)")
      #expect(try !tensors.isEmpty && tensors == OwnData.tensors("\(second)/\(name)"))
    }
  }

  @Test func theCommandLineWins() throws {
    let made = try made()
    let config = try made.file(
      "own.yaml",
      """
      # Any flag by its name.
      steps: 6
      hidden-size: 3
      direction: reverse
      activation: [cell=relu]
      max-steps: 2
      quiet: true
      seed: 5
      """)
    let run = made.folder["run"]
    let command = try Command([
      "train", "adding", "--config", config, "--device", "reference", "--hidden-size", "5",
      "--cell", "lstm", "--bidirectional", "--batch-size", "2", "--output", run,
    ])
    #expect(command.status == 0, "\(command.errors)")
    #expect(command.errors.isEmpty)
    let lines = try text(run + "/config.yaml").split(separator: "\n")
    for line in [
      "hidden-size: 5", "sequence-length: 6", "max-steps: 2", "seed: 5",
      "direction: bidirectional", "activation: [\"cell=relu\"]",
    ] {
      #expect(lines.contains(Substring(line)))
    }
  }

  @Test(arguments: [
    ("hiden-size: 3", ":1: there is no option 'hiden-size'; did you mean 'hidden-size'?"),
    (
      "seed: 1\nlayers: 1\nseed: 2",
      "the option 'seed' is given twice"
    ),
    (
      "steps: 4\nsequence-length: 4",
      ":2: the option 'sequence-length' is given twice, first in line 1"
    ),
    ("hidden-size:", ":1: the option 'hidden-size' has no value"),
    ("\nhidden-size: many", ":2: --hidden-size takes one whole number, but is 'many'"),
    ("peepholes: maybe", ":1: the option 'peepholes' is true or false, but is 'maybe'"),
    ("override: []", ":1: the option 'override' has an empty list"),
    ("seed: {a: 1}", ":1: the option 'seed' has no value"),
    ("- seed", "expected options, each as 'name: value', found something else"),
    ("seed: [1", "expected YAML, but"), ("config: other.yaml", "there is no option 'config'"),
    ("seed: 1\n  layers: 2\n", "expected YAML, but"),
  ])
  func aWrongFileIsOneSentenceAndNothingIsWritten(yaml: String, expected: String) throws {
    let made = try made()
    let config = try made.file("wrong.yaml", yaml)
    let run = made.folder["never"]
    let command = try Command([
      "train", "adding", "--config", config, "--device", "reference", "--output", run,
    ])
    #expect(command.status == 65, "\(command.errors)")
    #expect(command.isOneSentence && command.errors.contains(expected), "\(command.errors)")
    #expect(command.errors.contains("wrong.yaml"))
    #expect(!FileManager.default.fileExists(atPath: run))
  }

  @Test func aFileThatIsNotThereIsMissing() throws {
    let command = try Command(["train", "adding", "--config", "/nowhere/none.yaml"])
    #expect(command.status == 66 && command.isOneSentence, "\(command.errors)")
  }
}
