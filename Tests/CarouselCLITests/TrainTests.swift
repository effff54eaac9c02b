import CarouselFormats
import Foundation
import Testing

/// Training from the command line, on the reference, so that it runs where no device is.
@Suite struct TrainTests {
  private let folder = try? Folder()
  private let device = ["--device", "reference"]
  private let small = [
    "--hidden-size", "5", "--batch-size", "3", "--max-steps", "8", "--evaluate-every", "4",
    "--log-every", "4",
  ]

  private func path(_ name: String) throws -> String { try #require(folder)[name] }

  private func text() throws -> String {
    try #require(folder).create(
      "text", String(repeating: "to be or not to be; ", count: 12).utf8
    ).path
  }

  @Test(arguments: ["text", "adding", "copy"])
  func everyTaskTrainsIsEvaluatedAndGoesOn(task: String) throws {
    let run = try path("run-\(task)")
    let file = task == "text" ? [try text()] : []
    let train = ["train", task] + file + device + small + ["--steps", "6", "--output", run]
    let first = try Command(train + ["--json", "--quiet"])
    #expect(first.status == 0 && first.errors.isEmpty, "\(first.errors)")
    #expect(try first.json["step"] as? Int == 8)
    #expect(try first.json["stopped"] as? String == "steps")
    for name in ["settings.json", "metrics.jsonl", "best.safetensors", "last.safetensors"] {
      #expect(FileManager.default.fileExists(atPath: run + "/" + name), "\(name)")
    }
    let again = try Command(train)
    #expect(again.status == 64 && again.isOneSentence, "\(again.errors)")
    let resumed = try Command(
      ["train", task, "--resume", run, "--max-steps", "11", "--json", "--quiet"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try resumed.json["step"] as? Int == 11)
    let evaluated = try Command(["evaluate", run] + file + device + ["--json"])
    #expect(evaluated.status == 0, "\(evaluated.errors)")
    #expect(try #require(try evaluated.json["loss"] as? Double) > 0)
    let forced = try Command(
      ["evaluate", run] + file + device + ["--json", "--override", "forget=0"])
    #expect(try forced.json["loss"] as? Double != evaluated.json["loss"] as? Double)
  }

  @Test func bitsPerByteAndBitsPerCharacterAreToldApart() throws {
    let (file, run) = (try path("greek"), try path("run-greek"))
    try #require(folder).create("greek", String(repeating: "άλφα βήτα; ", count: 20).utf8)
    let trained = try Command(
      ["train", "text", file, "--output", run] + device + small + ["--json"]
        + ["--steps", "6"])
    #expect(trained.status == 0, "\(trained.errors)")
    // 11 characters of 19 bytes.
    for key in ["train", "validation", "best"] {
      let metrics = try #require(try trained.json[key] as? [String: Any])
      let loss = try #require(metrics["loss"] as? Double)
      let perByte = try #require(metrics["bitsPerByte"] as? Double)
      let perCharacter = try #require(metrics["bitsPerCharacter"] as? Double)
      #expect(abs(perByte - loss / log(2)) < 1e-9)
      #expect(abs(perCharacter / perByte - 19.0 / 11) < 0.1)
    }
    #expect(trained.errors.contains(" bits per byte, "), "\(trained.errors)")
    #expect(trained.errors.contains(" bits per character"), "\(trained.errors)")
    let evaluated = try Command(["evaluate", run, file, "--json"] + device)
    let json = try evaluated.json
    let perByte = try #require(json["bitsPerByte"] as? Double)
    #expect(abs(try #require(json["bitsPerCharacter"] as? Double) / perByte - 19.0 / 11) < 1e-9)
    let latin = try #require(folder).create("latin", [0xCE, 0x3B, 0x20, 0x3B])
    let other = try Command(["evaluate", run, latin.path, "--json"] + device)
    #expect(other.status == 0, "\(other.errors)")
    #expect(try other.json["bitsPerByte"] is Double && other.json["bitsPerCharacter"] == nil)
  }

  /// `bias_ih_l0` of a run before its first step.
  private func firstBias(_ options: [String], _ name: String) throws -> [Double] {
    let run = try path(name)
    let command = try Command(
      ["train", "adding", "--steps", "3", "--output", run, "--quiet", "--learning-rate", "1e-30"]
        + ["--hidden-size", "2", "--max-steps", "1"] + device + options)
    #expect(command.status == 0, "\(command.errors)")
    let file = try SafetensorsFile(contentsOf: run + "/last.safetensors")
    return try #require(file["recurrent.bias_ih_l0"]).values
  }

  @Test func anLSTMBeginsToRememberUnlessToldOtherwise() throws {
    #expect(try firstBias([], "b1")[2..<4] == [1, 1])
    #expect(try firstBias(["--forget-bias", "2.5"], "b2")[2..<4] == [2.5, 2.5])
    for (index, options) in [["--cell", "gru"], ["--couple-input-forget"]].enumerated() {
      #expect(try firstBias(options, "b\(3 + index)").allSatisfy { abs($0) < 1 / 2.0.squareRoot() })
    }
  }

  @Test(arguments: [
    ["--couple-input-forget"], ["--tie", "input=forget"], ["--forget-decay", "0.5"],
  ])
  func aForgetBiasBesideAGateWithoutOneSaysWhatToUse(options: [String]) throws {
    let command = try Command(["train", "adding", "--forget-bias", "3"] + options)
    #expect(command.status == 64 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains(options[0]), "\(command.errors)")
    #expect(command.errors.contains("--forget-decay 0.9526"), "\(command.errors)")
  }

  /// As they are, but for a shorter T, so that it takes seconds.
  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func theDefaultsLearnToAdd() throws {
    let command = try Command([
      "train", "adding", "--steps", "30", "--max-steps", "700", "--output", try path("learnt"),
      "--quiet", "--json",
    ])
    #expect(command.status == 0, "\(command.errors)")
    let best = try #require(try command.json["best"] as? [String: Any])
    #expect(try #require(best["loss"] as? Double) < 0.02)
  }

  /// The reference, which rounds nothing, says so each time.
  @Test func aRunGoesOnWithItsPrecision() throws {
    let run = try path("rounded")
    let train = ["train", "adding", "--steps", "3", "--output", run, "--quiet"] + device + small
    let first = try Command(train + ["--precision", "fp16"])
    #expect(first.status == 0 && first.errors.contains("--precision fp16"), "\(first.errors)")
    let resume = ["train", "adding", "--resume", run, "--quiet", "--max-steps"]
    let resumed = try Command(resume + ["9"])
    #expect(resumed.status == 0 && resumed.errors.contains("--precision fp16"), "\(resumed.errors)")
    let exact = try Command(resume + ["10", "--precision", "float32"])
    #expect(exact.status == 0 && exact.errors.isEmpty, "\(exact.errors)")
  }

  /// A window of several segments, the activations of one or of all kept.
  @Test func checkpointsChangeNoBit() throws {
    var models: [Data] = []
    for (name, checkpoints) in [("all", []), ("some", ["--checkpoint-steps", "64"])] {
      let run = try path(name)
      let train = ["train", "text", try text(), "--output", run, "--quiet", "--validation", "0"]
      let sizes = ["--hidden-size", "3", "--batch-size", "1", "--steps", "150", "--max-steps", "2"]
      let trained = try Command(
        train + sizes + ["--dropout", "0.2", "--layers", "2"] + checkpoints + device)
      #expect(trained.status == 0, "\(trained.errors)")
      models.append(try Data(contentsOf: URL(filePath: run + "/best.safetensors")))
    }
    // Behind the header, which holds the settings.
    #expect(models[0].suffix(400) == models[1].suffix(400))
    for (arguments, words) in [
      (["--checkpoint-steps", "0"], "at least 1, but is 0"),
      (["--checkpoint-steps", "9", "--direction", "bidirectional"], "direction is forward"),
    ] {
      let refused = try Command(
        ["train", "adding", "--output", try path("none")] + arguments + device)
      #expect(refused.status == 64 && refused.isOneSentence, "\(refused.errors)")
      #expect(refused.errors.contains(words), "\(refused.errors)")
    }
  }

  @Test func whatBelongsToAnotherTaskIsRefused() throws {
    let run = try path("run-a")
    let adding = try Command(
      ["train", "adding", "--steps", "4", "--output", run, "--quiet"] + device + small)
    #expect(adding.status == 0, "\(adding.errors)")
    for (arguments, status, words) in [
      (["generate", run] + device, 65, "expected a model of text"),
      (["evaluate", run, try text()] + device, 64, "synthetic sequences"),
      (["train", "copy", "--resume", run], 65, "found one of 'train adding'"),
      (["train", "text", "--resume", run], 65, "expected a model of text"),
      (["train", "adding", "--steps", "1"] + device + small, 64, "at least 2 steps"),
      (["train", "adding", "--input-size", "3"] + device + small, 64, "2 features"),
      (["train", "adding", "--validation", "0.1"] + device, 64, "share of a text"),
      (["train", "adding", "--resume", run, "--hidden-size", "3"], 64, "--resume takes"),
    ] {
      let command = try Command(arguments)
      #expect(command.status == status, "\(arguments): \(command.errors)")
      #expect(command.errors.contains(words), "\(command.errors)")
    }
  }

  @Test func theGradientsAreLoggedWhenAsked() throws {
    let run = try path("run-g")
    let command = try Command(
      ["train", "adding", "--steps", "5", "--output", run, "--quiet", "--log-gradients"] + device
        + small)
    #expect(command.status == 0, "\(command.errors)")
    let lines = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      .split(separator: "\n").map {
        try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
      }
    let norms = lines.compactMap { $0["gradientNorms"] as? [[String: Any]] }
    #expect(norms.count == 2)
    for norms in norms {
      #expect(norms.map { $0["step"] as? Int } == [1, 2, 3, 4, 5])
      #expect(abs((norms[4]["hidden"] as? Double ?? 0) - 1) < 1e-9)
      #expect(norms.allSatisfy { $0["cell"] as? Double ?? 0 > 0 })
    }
  }

  @Test func aLossThatIsNoNumberEndsTheRunAndKeepsTheLastGoodCheckpoint() throws {
    let run = try path("run-n")
    let command = try Command(
      [
        "train", "text", try text(), "--steps", "6", "--learning-rate", "1e300", "--warmup-steps",
        "0",
        "--optimizer", "sgd", "--output", run, "--quiet",
      ] + device + small)
    #expect(command.status == 1 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("step") && command.errors.contains("last.safetensors"))
    #expect(try Command(["evaluate", run, try text()] + device).status == 0)
  }

  @Test func anInterruptedRunSavesAndGoesOn() throws {
    let run = try path("run-i")
    let line = """
      "$carousel" train adding --device reference --steps 20 --hidden-size 20 --max-time 10m \
        --output "\(run)" >/dev/null 2>"\(run).errors" & pid=$!
      for _ in {1..1200}; do [[ -e "\(run)/metrics.jsonl" ]] && break; sleep 0.1; done
      sleep 0.5; kill -INT $pid; wait $pid
      """
    let command = try Command(shell: line)
    #expect(command.status == 130)
    let errors = try String(contentsOfFile: run + ".errors", encoding: .utf8)
    #expect(errors.contains("state saved"), "\(errors)")
    let resumed = try Command(["train", "adding", "--resume", run, "--max-time", "1s", "--quiet"])
    #expect(resumed.status == 0, "\(resumed.errors)")
  }
}
