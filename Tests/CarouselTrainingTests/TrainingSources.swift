import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation

@testable import CarouselTraining

/// Something small to train of every task, with files in a folder.
struct TrainingSources {
  private let folder: TemporaryFolder
  /// What the names of files begin with, where several write them at once.
  private let prefix: String

  init(_ folder: TemporaryFolder, prefix: String = "") {
    (self.folder, self.prefix) = (folder, prefix)
  }

  private func write(_ text: String, _ name: String) throws -> String {
    let path = folder.path + "/" + prefix + name
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  /// Sequences of 2 to 6 steps with classes of unequal frequency.
  func classes(_ change: (inout DataSettings) -> Void = { _ in }) throws -> TrainingExamples {
    let random = Philox(seed: 5, stream: 3)
    var text = "id,label,x,y\n"
    for index in 0..<30 {
      for step in 0..<2 + index % 5 {
        let place = index * 16 + step
        text +=
          "\(index),\(index % 3 == 0 ? "a" : "b"),\(random.normal(place)),\(random.normal(999 + place))\n"
      }
    }
    var settings = DataSettings(file: try write(text, "classes.csv"))
    settings.columns = SequenceColumns(label: "label", id: "id")
    settings.validation = .share(0.2)
    change(&settings)
    return try TrainingExamples(.classify, settings: settings, seed: 3)
  }

  func series(_ loss: ForecastLoss) throws -> TrainingExamples {
    let random = Philox(seed: 5, stream: 4)
    var text = "y,z\n"
    for step in 0..<60 { text += "\(random.normal(step)),\(random.normal(999 + step))\n" }
    var settings = DataSettings(file: try write(text, "series.csv"))
    (settings.targets, settings.covariates) = (["y"], ["z"])
    (settings.window, settings.horizon, settings.loss) = (6, 3, loss)
    return try TrainingExamples(.forecast, settings: settings, seed: 3)
  }

  func tags() throws -> TrainingExamples {
    let text = (0..<20).map { index in
      (0..<2 + index % 4).map { "word\(($0 * index) % 5) \($0 % 2 == 0 ? "A" : "B")" }
        .joined(separator: "\n")
    }.joined(separator: "\n\n")
    var settings = DataSettings(file: try write(text + "\n", "tags.txt"))
    settings.balancesClasses = true
    return try TrainingExamples(.tag, settings: settings, seed: 3)
  }

  enum Source: String, CaseIterable {
    case text, adding, copy, classify, classifyByMean, forecast, gaussian, tag
  }

  /// A trainer of a source on the reference, for one of `ranks`; `resuming` goes on with a run.
  func trainer(
    _ data: Source, _ settings: TrainingSettings, ranks: any Communicator = Alone(),
    resuming folder: RunFolder? = nil
  ) throws -> Trainer<ReferenceBackend> {
    let backend = ReferenceBackend()
    let checkpoint = try folder.map { try Checkpoint(contentsOf: $0.last) }
    func examples(_ examples: TrainingExamples) throws -> Trainer<ReferenceBackend> {
      var settings = settings
      settings.validation = 0
      if let count = examples.description.words?.count, count > 0 {
        settings.recurrent.inputSize = 3
      } else {
        settings.recurrent.inputSize = examples.description.channels.count
      }
      return try Trainer(
        examples, settings: settings, backend: backend, ranks: ranks, resuming: checkpoint)
    }
    switch data {
    case .text:
      guard let checkpoint else {
        return try Trainer(TestRun.text, settings: settings, backend: backend, ranks: ranks)
      }
      return try Trainer(
        resuming: checkpoint, text: TestRun.text, bounds: settings.bounds, backend: backend,
        ranks: ranks)
    case .adding, .copy:
      return try Trainer(
        data == .adding ? .adding : .copy, settings: settings, backend: backend, ranks: ranks,
        resuming: checkpoint)
    case .classify: return try examples(classes { $0.balancesClasses = true })
    case .classifyByMean: return try examples(classes { $0.pooling = .mean })
    case .forecast: return try examples(series(.quantile([0.1, 0.5, 0.9])))
    case .gaussian: return try examples(series(.gaussian))
    case .tag: return try examples(tags())
    }
  }
}
