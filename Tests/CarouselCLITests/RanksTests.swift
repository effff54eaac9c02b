import Carousel
import Foundation
import Testing

/// `carousel train` by several ranks, here threads with a reference each; Tools/test-ranks has those of MPI.
@Suite struct RanksTests {
  private let folder = try? Folder()
  private let small = [
    "train", "adding", "--hidden-size", "4", "--layers", "2", "--dropout", "0.2", "--batch-size",
    "4",
    "--sequence-length", "3", "--max-steps", "6", "--evaluate-every", "3", "--log-every", "2",
  ]
  private let two = ["--device", "reference,reference"]

  private func path(_ name: String) throws -> String { try #require(folder)[name] }

  private func tensors(_ run: String, _ file: String = "last") throws -> [String: Tensor] {
    try SafetensorsFile(contentsOf: "\(run)/\(file).safetensors").tensorsByName
  }

  @Test func aListOfDevicesTrainsToTheBitsOfOne() throws {
    let (one, both) = (try path("one"), try path("both"))
    for (devices, run) in [(["--device", "reference"], one), (two, both)] {
      let command = try Command(small + devices + ["--shards", "4", "--json", "--output", run])
      #expect(command.status == 0, "\(command.errors)")
      #expect(try command.json["ranks"] as? Int == (run == one ? 1 : 2))
      #expect(try command.json["shards"] as? Int == 4)
      // The first rank alone says what is trained, and what an evaluation found.
      #expect(
        command.errors.count(of: "parameters,") == 1 && command.errors.count(of: "step 3 ") == 1)
    }
    for file in ["last", "best"] { #expect(try tensors(one, file) == tensors(both, file)) }
    let lines = try String(contentsOfFile: both + "/metrics.jsonl", encoding: .utf8)
    #expect(lines.count { $0 == "\n" } == 5)
    #expect(
      try String(contentsOfFile: both + "/config.yaml", encoding: .utf8).contains("shards: 4"))
  }

  @Test func withoutShardsThereAreAsManyAsRanks() throws {
    let command = try Command(small + two + ["--json", "--output", path("run"), "--quiet"])
    #expect(try command.status == 0 && command.json["shards"] as? Int == 2)
    let resumed = try Command([
      "train", "adding", "--resume", path("run"), "--max-steps", "8", "--json", "--quiet",
    ])
    #expect(try resumed.status == 0 && resumed.json["ranks"] as? Int == 1)
    #expect(try resumed.json["shards"] as? Int == 2)
  }

  @Test(arguments: [
    (["--device", "reference,reference", "--shards", "3"], 64, "batch size 4"),
    (["--device", "reference,reference", "--shards", "1"], 64, "2 ranks cannot share 1 shard"),
    (["--device", "reference,reference,reference"], 64, "batch size 4"),
    (["--device", "reference,no-such-device"], 69, "rank 1 on"),
    (["--device", "reference", "--shards", "0"], 64, "shards"),
  ])
  func whatRanksCannotDoIsOneSentence(words: [String], status: Int32, part: String) throws {
    let run = try path("refused")
    let command = try Command(small + words + ["--output", run, "--quiet"])
    #expect(command.status == status && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains(part), "\(command.errors)")
    #expect(!FileManager.default.fileExists(atPath: run))
  }

  @Test func theTextOfSeveralRanksIsAFile() throws {
    let command = try Command(["train", "text", "-", "--output", path("run")] + two)
    #expect(
      command.status == 64 && command.isOneSentence && command.errors.contains("standard input"))
  }

  @Test func anInterruptionSavesOnceForAllRanks() throws {
    let run = try path("endless")
    let command = try Command(
      shell: """
        $carousel train adding --device reference,reference --hidden-size 4 --batch-size 2 --steps 3 \
          --max-time 10m --output '\(run)' & pid=$!
        for _ in {1..1200}; do [[ -e '\(run)/last.safetensors' ]] && break; sleep 0.05; done
        kill -TERM $pid; wait $pid
        """)
    #expect(command.status == 130)
    #expect(command.errors.count(of: "state saved") == 1, "\(command.errors)")
    #expect(try Checkpoint(contentsOf: run + "/last.safetensors").description.settings.shards == 2)
  }

  /// As one of the processes of a launcher that is not there.
  @Test(arguments: [0, 1])
  func aProcessOfALauncherDoesNotTrainByItself(rank: Int) throws {
    let run = try path("launched")
    let command = try Command(
      small + ["--device", "reference", "--output", run],
      environment: ["PMI_SIZE": "2", "PMI_RANK": "\(rank)", "CAROUSEL_MPI": "/none/such"])
    #expect(command.status == 64 && command.output.isEmpty)
    #expect(
      rank == 0
        ? command.isOneSentence && command.errors.contains("2 processes") : command.errors.isEmpty)
    #expect(!FileManager.default.fileExists(atPath: run))
  }

  @Test(arguments: [
    ["generate", "run"], ["predict", "run", "--stream"], ["run", "a.onnx"], ["compare"],
    ["experiment"],
  ])
  func whatOneProcessDoesIsRefusedToSeveral(words: [String]) throws {
    for rank in ["0", "1"] {
      let command = try Command(
        words + (words[0] == "run" ? ["--inputs", "a.npz", "--outputs", "b.npz"] : []),
        environment: ["PMI_SIZE": "2", "PMI_RANK": rank])
      #expect(command.status == 64 && command.output.isEmpty)
      if rank == "1" {
        #expect(command.errors.isEmpty, "\(command.errors)")
      } else {
        #expect(command.isOneSentence && command.errors.contains("one process"))
        #expect(command.errors.contains("carousel \(words[0])"), "\(command.errors)")
      }
    }
  }

  // MARK: Using a model

  @Test func aTextIsEvaluatedToTheSameBits() throws {
    let data = try OwnData()
    let run = data.folder["run"]
    let trained = try Command(["train", "text", data.text(), "--output", run] + OwnData.small)
    #expect(trained.status == 0, "\(trained.errors)")
    func evaluate(_ words: [String]) throws -> [String: Any] {
      let command = try Command(["evaluate", run, data.folder["text.txt"], "--json"] + words)
      #expect(command.status == 0, "\(command.errors)")
      return try command.json
    }
    let whole = try evaluate(["--device", "reference"])["loss"] as? Double ?? .nan
    let one = try evaluate(["--device", "reference", "--shards", "2"])["loss"] as? Double
    #expect(try evaluate(two)["loss"] as? Double == one)
    #expect(
      try evaluate(two + ["--shards", "6"])["count"] as? Int == evaluate(two)["count"] as? Int)
    #expect(abs((one ?? .nan) - whole) < 1e-9)
    let refused = try Command(["evaluate", run, data.folder["text.txt"], "--shards", "3"] + two)
    #expect(refused.status == 64 && refused.errors.contains("2 ranks cannot share 3 shards"))
  }

  @Test(arguments: ["classify", "tag", "forecast"])
  func dataOfOnesOwnAreEvaluatedAndPredictedToTheSameBits(task: String) throws {
    let data = try OwnData()
    let file = try task == "classify" ? data.classes() : task == "tag" ? data.tags() : data.series()
    let columns =
      switch task {
      case "classify": ["--id", "id", "--label", "label"]
      case "forecast": ["--target", "y", "--window", "8", "--horizon", "2"]
      default: [String]()
      }
    let run = data.folder["run"]
    let trained = try Command(
      ["train", task, file, "--output", run] + columns + OwnData.small)
    #expect(trained.status == 0, "\(trained.errors)")
    for command in [["evaluate", run, file, "--json"], ["predict", run, file, "--json"]] {
      let one = try Command(command + ["--device", "reference"])
      let both = try Command(command + two)
      let four = try Command(command + ["--device", "reference,reference,reference,reference"])
      #expect(one.status == 0 && !one.output.isEmpty, "\(one.errors)")
      #expect(one.output == both.output && one.output == four.output, "\(both.errors)")
    }
  }

  @Test(arguments: ["evaluate", "predict"])
  func ranksThatUseAModelNeedAFile(command: String) throws {
    let refused = try Command([command, "run", "-"] + two)
    #expect(
      refused.status == 64 && refused.isOneSentence && refused.errors.contains("standard input"),
      "\(refused.errors)")
  }
}

extension String {
  /// How often a text occurs in this one.
  fileprivate func count(of part: String) -> Int { components(separatedBy: part).count - 1 }
}
