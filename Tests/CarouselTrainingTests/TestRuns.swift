import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Foundation
import Testing

/// What the tests train: little enough to be done at once.
enum TestRun {
  static let text = TrainingText(
    String(repeating: "the quick brown fox jumps over the lazy dog; ", count: 8).utf8)

  /// Two layers with dropout, Adam, clipping: everything that has to survive an interruption.
  static func settings(maxSteps: Int) -> TrainingSettings {
    var settings = TrainingSettings(
      recurrent: RecurrentConfiguration(inputSize: 4, hiddenSize: 6, layers: 2, dropout: 0.3),
      bounds: TrainingBounds(maxSteps: maxSteps))
    settings.sequenceLength = 7
    settings.batchSize = 3
    settings.evaluateEvery = 5
    settings.logEvery = 4
    settings.schedule.warmupSteps = 3
    settings.schedule.decaySteps = 6
    settings.schedule.peak = 0.02
    return settings
  }

  static func trainer(_ settings: TrainingSettings) throws -> Trainer<ReferenceBackend> {
    try Trainer(text, settings: settings, backend: ReferenceBackend())
  }
}

/// A folder that is gone with the value.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "carousel-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var run: RunFolder { RunFolder(path + "/run") }

  /// Writes a text into the folder and returns the file's path.
  func write(_ text: String, _ name: String = "data.csv") throws -> String {
    let path = path + "/" + name
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }
}

/// The error of a kind whose sentence holds every one of `parts`.
func expectError(
  _ kind: CarouselError.Kind, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation,
  from body: () throws -> Void
) {
  do {
    try body()
    Issue.record("expected an error, found none", sourceLocation: sourceLocation)
  } catch let error as CarouselError {
    #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
    for part in parts {
      #expect(error.message.contains(part), "\(error)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
}

func metrics(_ folder: RunFolder) throws -> [TrainingMetrics] {
  try JSONLines.read(TrainingMetrics.self, from: folder.metrics)
}

/// All tensors that a run saved, and what its metrics say.
func bits(_ run: RunFolder) throws -> [String: [Double]] {
  var result: [String: [Double]] = [:]
  for (file, path) in [("best", run.best), ("last", run.last)] {
    for (name, tensor) in try SafetensorsFile(contentsOf: path).tensorsByName {
      result["\(file) \(name)"] = tensor.values
    }
  }
  for (index, line) in try metrics(run).enumerated() {
    result["metrics \(index)"] = [
      Double(line.step), line.trainingLoss ?? -1, line.validationLoss ?? -1,
      line.gradientNorm ?? -1, line.accuracy ?? line.metrics?["accuracy"] ?? -1, line.mae ?? -1,
    ]
  }
  return result
}
