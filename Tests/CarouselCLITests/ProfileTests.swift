import Carousel
import Foundation
import Testing

@Suite struct ProfileTests {
  @Test(
    .enabled(if: Command.hasDevice, "no OpenCL device"),
    arguments: [("training", 3.0), ("inference", 1.0)])
  func profileHasWhatTheContractNames(mode: String, factor: Double) throws {
    let folder = try Folder()
    let command = try Command([
      "profile", "--json", "--mode", mode, "--steps", "5", "--batch-size", "3", "--input-size",
      "7", "--hidden-size", "9", "--layers", "2", "--iterations", "4", "--warmup", "1", "--trace",
      folder["trace.json"], "--report", folder["report.html"],
    ])
    #expect(command.status == 0, "\(command.errors)")
    let json = try command.json
    #expect((json["device"] as? String)?.isEmpty == false)
    let peak = try #require(json["peak"] as? [String: Double])
    #expect(try #require(peak["gflops"]) > 0)
    #expect(try #require(peak["gigabytesPerSecond"]) > 0)
    let wall = try #require(json["wall"] as? [String: Double])
    let (median, least) = (try #require(wall["medianSeconds"]), try #require(wall["minSeconds"]))
    #expect(0 < least && least <= median)
    let flops = factor * 2 * 5 * 3 * 4 * 9 * (7 + 9 + 9 + 9)
    let gflops = try #require(wall["gflops"])
    #expect(abs(gflops * median * 1e9 / flops - 1) < 1e-9)
    // Without the product of the first step's state, which is zero.
    let needed = factor * 2 * 3 * 4 * 9 * (5 * (7 + 9) + 4 * (9 + 9))
    let neededGflops = try #require(wall["neededGflops"])
    #expect(abs(neededGflops * median * 1e9 / needed - 1) < 1e-9)
    let fraction = try #require(wall["fractionOfPeak"])
    #expect(abs(fraction * (try #require(peak["gflops"])) / neededGflops - 1) < 1e-9)
    #expect(fraction <= 1)
    #expect((json["case"] as? [String: Any])?["mode"] as? String == mode)
    let kernels = try #require(json["kernels"] as? [[String: Any]])
    #expect(abs(kernels.reduce(0) { $0 + ($1["share"] as? Double ?? .nan) } - 1) < 1e-9)
    for kernel in kernels {
      #expect((kernel["name"] as? String)?.isEmpty == false)
      #expect((kernel["launches"] as? Int ?? 0) > 0)
      #expect((kernel["totalSeconds"] as? Double ?? 0) > 0)
      #expect(try #require(kernel["gflops"] as? Double) <= (try #require(peak["gflops"])))
      #expect(kernel["gigabytesPerSecond"] is Double)
    }
    let together = kernels.reduce(0) { $0 + ($1["totalSeconds"] as? Double ?? .nan) }
    #expect(together <= median)
    let trace = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(filePath: folder["trace.json"])))
    let events = (trace as? [String: Any])?["traceEvents"] as? [[String: Any]]
    let launches = kernels.reduce(0) { $0 + ($1["launches"] as? Int ?? 0) }
    #expect(events?.count { $0["ph"] as? String == "X" } == 4 * launches)
    let page = try String(contentsOfFile: folder["report.html"], encoding: .utf8)
    #expect(page.contains("<svg"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func tuningMeasuresTheRulesTooAndSaysWhatItKeeps() throws {
    let folder = try Folder()
    let work = "--tune --json --steps 3 --batch-size 2 --input-size 4 --hidden-size 5"
    let cache = "CAROUSEL_CACHE=\(folder["cache"]) $carousel profile"
    let command = try Command(shell: "\(cache) \(work) --iterations 2")
    #expect(command.status == 0, "\(command.errors)")
    let choices = try #require(try command.json["tuning"] as? [[String: Any]])
    let seconds = choices.compactMap { $0["medianSeconds"] as? Double }
    #expect(choices.count > 1 && seconds.count == choices.count && seconds == seconds.sorted())
    let words = choices.compactMap { $0["words"] as? String }
    #expect(Set(words).count == choices.count && words.contains("as the rules say"))
    // What is kept, if anything, is what the sentence says and what --show prints.
    let shown = try Command(shell: "\(cache) --tune --show --json")
    let kept = try #require(try shown.json["kept"] as? [[String: String]])
    let isKept = command.errors.contains("kept in \(folder["cache/tuning.json"])")
    #expect(kept.count == (isKept ? 1 : 0), "\(command.errors)")
    #expect(isKept || command.errors.contains("the rules stay"))
    #expect(kept.allSatisfy { $0["layer"] == "lstm N2 C4 H5 P5 F5" })
    #expect(kept.allSatisfy { words.contains($0["words"] ?? "") })
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func whatIsKeptForADeviceIsShownAndForgotten() throws {
    let folder = try Folder()
    let device = try #require(
      (try Command(["devices", "--json"]).json["devices"] as? [[String: Any]])?.first {
        $0["default"] as? Bool == true
      })
    let names = [device["name"], device["driver"]].compactMap { $0 as? String }
    let choice = ["panelsPerItem": 4]
    let contents = [
      (names + ["cpu"]).joined(separator: " | "): ["gru N2 C3 H4 P4 F4 -DACT_0=0": choice],
      (names + ["cpu", "fp16"]).joined(separator: " | "): ["lstm N1 C3 H4 P4 F4 -DX=0": choice],
      "another device | 1 | cpu": ["rnn N1 C3 H4 P4 F4 -DX=0": choice],
    ]
    try folder.create("tuning.json", JSONSerialization.data(withJSONObject: contents))
    let profile = "CAROUSEL_CACHE=\(folder[""]) $carousel profile --tune"
    let shown = try Command(shell: "\(profile) --show")
    #expect(shown.status == 0, "\(shown.errors)")
    let lines = shown.output.split(separator: "\n").dropFirst()
    #expect(lines.count == 2 && lines.allSatisfy { $0.hasSuffix("4 panels") }, "\(shown.output)")
    #expect(lines.first?.hasPrefix("gru N2 C3 H4 P4 F4   cpu") == true, "\(shown.output)")
    let forgotten = try Command(
      shell: "CAROUSEL_CACHE=\(folder[""]) $carousel profile --forget")
    #expect(forgotten.status == 0 && forgotten.output.isEmpty, "\(forgotten.errors)")
    #expect(forgotten.errors.contains("2 layers"))
    #expect(try Command(shell: "\(profile) --show").output.contains("nothing is kept"))
    let left = try String(contentsOfFile: folder["tuning.json"], encoding: .utf8)
    #expect(left.contains("another device") && !left.contains("gru N2"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"), arguments: ["cpu", "gpu"])
  func thePlanIsPrintedWithAReasonForEachChoice(kernels: String) throws {
    let work = [
      "profile", "--plan", "--kernels", kernels, "--layers=2", "--bidirectional", "--steps=9",
      "--batch-size=3", "--input-size=5", "--hidden-size=130",
    ]
    let json = try Command(work + ["--json"]).json
    #expect((json["case"] as? [String: Any])?["kernels"] as? String == kernels)
    let layers = try #require(json["layers"] as? [[String: Any]])
    #expect(
      layers.map { $0["layer"] as? String } == ["l0", "l0_reverse", "l1", "l1_reverse"])
    for layer in layers {
      let choices = try #require(layer["choices"] as? [[String: String]])
      let names = choices.compactMap { $0["choice"] }
      #expect(Set(names).isSuperset(of: ["strategy", "inputs", "steps", "steps back"]))
      for choice in choices {
        #expect(choice["value"]?.isEmpty == false && choice["reason"]?.isEmpty == false)
      }
    }
    let text = try Command(work + ["--mode", "inference"])
    #expect(text.status == 0 && text.output.contains("because"), "\(text.errors)")
    #expect(!text.output.contains("steps back"))
    #expect(text.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test(arguments: [
    ["--plan", "--tune"], ["--plan", "--trace", "x"], ["--tune", "--show", "--forget"],
    ["--show", "--forget"], ["--wall-only", "--trace", "x"],
  ])
  func optionsThatDoNotGoTogetherExit64(options: [String]) throws {
    let command = try Command(["profile"] + options)
    #expect(command.status == 64 && command.isOneSentence, "\(command.errors)")
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func wallOnlyHasNoKernels() throws {
    let json = try Command([
      "profile", "--json", "--wall-only", "--steps", "1", "--batch-size", "1", "--input-size", "1",
      "--hidden-size", "1", "--iterations", "1", "--warmup", "0",
    ]).json
    #expect((json["kernels"] as? [Any])?.isEmpty == true)
    #expect(
      (json["wall"] as? [String: Double])?["fractionOfPeak"].map { $0 > 0 && $0 <= 1 } == true)
    #expect((json["peak"] as? [String: Any])?["measurements"] as? Int == 2)
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"), arguments: ["cpu", "gpu"])
  func aDiagonalCountsItsOwnOperations(kernels: String) throws {
    let json = try Command([
      "profile", "--json", "--kernels", kernels, "--recurrence", "diagonal", "--steps", "6",
      "--batch-size", "4", "--input-size", "3", "--hidden-size", "500", "--iterations", "2",
    ]).json
    let (peak, wall) = (json["peak"] as? [String: Double], json["wall"] as? [String: Double])
    let (median, gflops) = (try #require(wall?["medianSeconds"]), try #require(wall?["gflops"]))
    #expect(abs(gflops * median * 1e9 / (3 * 2 * 6 * 4 * 4 * 500 * 503) - 1) < 1e-9)
    let needed = try #require(wall?["neededGflops"])
    #expect(abs(needed * median * 1e9 / (3 * 2 * 4 * 4 * 500 * (6 * 3 + 5)) - 1) < 1e-9)
    #expect(
      try abs(#require(wall?["fractionOfPeak"]) * #require(peak?["gflops"]) / needed - 1) < 1e-9)
    for kernel in try #require(json["kernels"] as? [[String: Any]]) {
      #expect(try #require(kernel["gflops"] as? Double) <= #require(peak?["gflops"]))
    }
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func profileCountsTheStepsThatSequencesHave() throws {
    let json = try Command([
      "profile", "--json", "--mode", "inference", "--steps", "9", "--lengths", "9,0,2",
      "--kernels", "cpu", "--input-size", "7", "--hidden-size", "5", "--iterations", "1",
    ]).json
    let details = try #require(json["case"] as? [String: Any])
    // 2 · 11 steps · 4 · 5 · (7 + 5)
    #expect(details["flops"] as? Double == 5280)
    // Without the states before the first step of two sequences, 2 · 2 · 4 · 5 · 5; so do the kernels.
    let computed = try #require(json["kernels"] as? [[String: Any]]).reduce(0) { sum, kernel in
      let (rate, seconds) = (kernel["gflops"] as? Double, kernel["totalSeconds"] as? Double)
      return sum + (rate ?? .nan) * (seconds ?? .nan) * 1e9
    }
    #expect(abs(computed / 4880 - 1) < 1e-9)
    #expect(details["batchSize"] as? Int == 3 && details["lengths"] as? String == "9 0 2")
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func traceThatCannotBeWrittenExits74() throws {
    let folder = try Folder()
    let command = try Command([
      "profile", "--hidden-size", "3", "--input-size", "2", "--iterations", "1", "--trace",
      folder["missing/trace.json"],
    ])
    #expect(command.status == 74)
    #expect(command.isOneSentence, "\(command.errors)")
  }
}
