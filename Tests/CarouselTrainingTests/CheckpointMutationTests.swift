import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Foundation
import Testing

/// Checkpoints whose description somebody wrote who means harm: whatever a number, a text or a list of it
/// becomes, the file is refused or used, and nothing stops the program.
@Suite struct CheckpointMutationTests {
  private static let values = [
    "-1", "0", "0.5", "9223372036854775807", "-9223372036854775808", "1e308", "-1e308", "null",
    "[]",
  ]

  /// A trained checkpoint: the bytes behind its header, and the header as JSON.
  private struct Original {
    let data: Data
    let header: [String: Any]
    let description: Any

    init(_ path: String) throws {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      let count = bytes.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
      data = bytes[(8 + count)...]
      let header = try JSONSerialization.jsonObject(with: bytes[8..<8 + count])
      self.header = try #require(header as? [String: Any])
      let metadata = try #require(self.header["__metadata__"] as? [String: String])
      description = try JSONSerialization.jsonObject(
        with: Data(try #require(metadata["carousel"]).utf8))
    }

    /// Writes the file with another description; without a flush to the disk, for there are thousands.
    func write(_ description: String, to path: String) throws {
      var header = header
      header["__metadata__"] = ["carousel": description]
      var text = try JSONSerialization.data(withJSONObject: header)
      text.append(Data(repeating: 32, count: -text.count & 7))
      let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
      try (Data(length) + text + data).write(to: URL(fileURLWithPath: path))
    }
  }

  /// Every way to put a mark in the place of one leaf of a JSON value.
  private func marked(_ value: Any, mark: String) -> [(path: String, value: Any)] {
    if let object = value as? [String: Any] {
      return object.keys.sorted().flatMap { key in
        marked(object[key] as Any, mark: mark).map { path, leaf in
          var result = object
          result[key] = leaf
          return ("\(key).\(path)", result)
        }
      } + [("", mark)]
    }
    if let list = value as? [Any], let first = list.first {
      return marked(first, mark: mark).map { path, leaf in
        ("0.\(path)", [leaf] + list.dropFirst())
      } + [("", mark)]
    }
    return [("", mark)]
  }

  private func train(_ task: TrainingTask, in folder: RunFolder) throws {
    var settings = TestRun.settings(maxSteps: 6)
    settings.sequenceLength = task == .text ? 7 : 4
    settings.recurrent.options = CellOptions(
      activations: ["cell": Activation(.elu, alpha: 0.5)], cellClip: 3, recurrence: .blocks(2),
      overrides: ["input": 0.75], projectionSize: 4, zoneoutHidden: 0.1, forgetBias: 1)
    settings.bounds.maxEpochs = 3
    settings.bounds.maxSeconds = 100
    settings.patience = 4
    settings.checkpointSteps = 64
    settings.saveEvery = .steps(3)
    let trainer =
      task == .text
      ? try TestRun.trainer(settings)
      : try Trainer(task, settings: settings, backend: ReferenceBackend())
    _ = try trainer.run(in: folder)
  }

  /// Reads the file, and does with it what commands do.
  private func use(_ path: String) throws {
    let checkpoint = try Checkpoint(contentsOf: path)
    let backend = ReferenceBackend()
    let (task, settings) = (checkpoint.description.task, checkpoint.description.settings)
    let network = try checkpoint.makeNetwork(backend: backend)
    if task == .text {
      let vocabulary = try checkpoint.vocabulary
      let text = vocabulary.decode([0, Int32(vocabulary.count - 1), 0])
      _ = try TextEvaluator(network, text: text[...], vocabulary: vocabulary).evaluate()
    } else {
      let data = try SyntheticData(
        task, length: settings.sequenceLength, batchSize: settings.batchSize, seed: settings.seed)
      var passes = 0
      _ = try SyntheticDataEvaluator(network, like: data).evaluate {
        passes += 1
        return passes > 1
      }
    }
    let trainer =
      task == .text
      ? try Trainer(resuming: checkpoint, text: TestRun.text, backend: backend)
      : try Trainer(task, settings: settings, backend: backend, resuming: checkpoint)
    let last = trainer.position.step + 2
    _ = try trainer.run(shouldStop: { trainer.position.step >= last }, report: { _ in })
  }

  @Test(arguments: [TrainingTask.text, .adding, .copy]) func noDescriptionTraps(task: TrainingTask)
    throws
  {
    let folder = try TemporaryFolder()
    try train(task, in: folder.run)
    let original = try Original(folder.run.last)
    let mark = "a mark"
    let path = folder.path + "/changed"
    var refused = 0
    for (place, marked) in marked(original.description, mark: mark) where !place.isEmpty {
      let text = String(
        decoding: try JSONSerialization.data(withJSONObject: marked), as: UTF8.self)
      for value in Self.values {
        try original.write(text.replacing("\"\(mark)\"", with: value), to: path)
        do {
          try use(path)
        } catch let error as CarouselError {
          refused += 1
          let kinds: [CarouselError.Kind] = [.badData, .checkFailed]
          #expect(kinds.contains(error.kind), "\(place) \(value): \(error)")
          #expect(!error.message.contains("\n"))
        }
      }
    }
    #expect(refused > 300)
  }

  @Test(arguments: [
    ("\"task\":\"text\"", "\"task\":\"copy\"", "no vocabulary of bytes"),
    ("\"task\":\"text\"", "\"task\":\"adding\"", "no vocabulary of bytes"),
    ("\"vocabulary\":[", "\"words\":[", "found one of 0"),
    ("\"step\":6", "\"step\":-6", "must be between 0 and"),
    ("\"seconds\":0", "\"seconds\":-1e308,\"more\":0", "the seconds so far"),
    ("\"batchSize\":3", "\"batchSize\":460000000000", "the batch size must be at most"),
    (
      "\"evaluationsSinceBest\":", "\"evaluationsSinceBest\":9223372036854775807,\"x\":",
      "since the best"
    ),
  ])
  func whatDoesNotFitTogetherIsNamed(old: String, new: String, words: String) throws {
    let folder = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 6)).run(in: folder.run)
    var file = try SafetensorsFile(contentsOf: folder.run.last)
    let text = try #require(file.metadata["carousel"])
    #expect(text.contains(old))
    file.metadata["carousel"] = text.replacingOccurrences(of: old, with: new)
    try file.write(to: folder.run.last, elementType: .float64)
    expectError(.badData, folder.run.last, words) {
      _ = try Checkpoint(contentsOf: folder.run.last)
    }
  }

  /// The tokens of one task are no tokens of another, whose vocabulary is smaller or larger.
  @Test func aModelOfAnotherTaskIsRefused() throws {
    let folder = try TemporaryFolder()
    _ = try TestRun.trainer(TestRun.settings(maxSteps: 6)).run(in: folder.run)
    let original = try Original(folder.run.last)
    var description = try #require(original.description as? [String: Any])
    description["vocabulary"] = nil
    for task in ["copy", "adding"] {
      description["task"] = task
      let text = try JSONSerialization.data(withJSONObject: description)
      try original.write(String(decoding: text, as: UTF8.self), to: folder.run.last)
      expectError(.badData, folder.run.last, "the task \(task)", "28 tokens") {
        _ = try Checkpoint(contentsOf: folder.run.last)
      }
    }
  }
}
