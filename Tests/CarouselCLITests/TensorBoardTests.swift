import Foundation
import Testing

/// What PyPI's `tensorboard` reads of the events of a run; `Tools/install --tensorboard` installs it.
@Suite struct TensorBoardTests {
  private let data = try? OwnData()

  /// A Python with `tensorboard`: that of `CAROUSEL_TENSORBOARD_PYTHON`, or of the environment under `.build`.
  private static let python: String? = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let path =
      ProcessInfo.processInfo.environment["CAROUSEL_TENSORBOARD_PYTHON"]
      ?? root.appending(path: ".build/tensorboard/bin/python").path
    let probe = try? Command(shell: "'\(path)' -c 'import tensorboard'")
    return probe?.status == 0 ? path : nil
  }()

  /// What the accumulator of TensorBoard finds, as JSON.
  private static let reader = """
    import json, sys
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0, "histograms": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    print(json.dumps({
        "scalars": {t: [[e.step, e.value] for e in events.Scalars(t)] for t in tags["scalars"]},
        "histograms": {
            t: [[e.step, e.histogram_value.num, e.histogram_value.min, e.histogram_value.max,
                 sum(e.histogram_value.bucket)] for e in events.Histograms(t)]
            for t in tags["histograms"]
        },
        "texts": {
            t: [e.tensor_proto.string_val[0].decode("utf-8", "replace") for e in events.Tensors(t)]
            for t in tags["tensors"]
        },
    }))
    """

  private struct Events: Decodable {
    let scalars: [String: [[Double]]]
    let histograms: [String: [[Double]]]
    let texts: [String: [String]]
  }

  private func events(_ folder: String) throws -> Events {
    let script = try #require(data).file("reader.py", Self.reader)
    let command = try Command(
      shell: "'\(#require(Self.python))' '\(script)' '\(folder)' 2>/dev/null")
    #expect(command.status == 0)
    return try JSONDecoder().decode(Events.self, from: Data(command.output.utf8))
  }

  @Test(.enabled(if: TensorBoardTests.python != nil, "no Python with tensorboard"))
  func tensorBoardReadsWhatARunWrites() throws {
    let data = try #require(data)
    let (run, folder) = (data.folder["run"], data.folder["events/deep"])
    let first = try Command(
      ["train", "text", data.text(), "--sequence-length", "8", "--log-every", "2"] + OwnData.small
        + ["--output", run, "--tensorboard", folder])
    #expect(first.status == 0, "\(first.errors)")
    let resumed = try Command(
      ["train", "text", "--resume", run, "--max-steps", "8", "--quiet", "--tensorboard", folder])
    #expect(resumed.status == 0, "\(resumed.errors)")

    let events = try events(folder)
    let lines = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      .split(separator: "\n").map {
        try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
      }
    for (tag, key) in [
      ("loss/training", "trainingLoss"), ("loss/validation", "validationLoss"),
      ("optimizer/learning rate", "learningRate"), ("optimizer/gradient norm", "gradientNorm"),
      ("validation/bits per byte", "bitsPerByte"),
    ] {
      let expected = lines.compactMap { line in
        (line[key] as? Double).map { (line["step"] as? Int, Float($0)) }
      }
      let found = try #require(events.scalars[tag], "\(tag)")
      #expect(found.count >= expected.count && !expected.isEmpty, "\(tag)")
      for (step, value) in expected {
        #expect(found.contains { Int($0[0]) == step && Float($0[1]) == value }, "\(tag)")
      }
    }
    let weights = try #require(events.histograms["weights/recurrent.weight_hh_l0"])
    #expect(weights.map { Int($0[0]) }.contains(8))
    // 4 gates of 4 units by 4; every number is in a bin.
    #expect(weights.allSatisfy { $0[1] == 64 && $0[4] == 64 && $0[2] < $0[3] })
    #expect(events.texts["options"]?.first?.contains("hidden-size: 4") == true)
    #expect(events.texts["sample"]?.allSatisfy { !$0.isEmpty } == true)
  }

  @Test func aFolderThatCannotBeMadeIsAFailedWrite() throws {
    let run = try #require(data).folder["never"]
    let command = try Command(
      ["train", "adding", "--steps", "4"] + OwnData.small
        + ["--output", run, "--tensorboard", "/dev/null/events"])
    #expect(command.status == 74 && command.isOneSentence, "\(command.errors)")
  }
}
