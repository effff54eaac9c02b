import CarouselModel
import CarouselTraining

extension TrainingSettings {
  /// What a command names in any case, and what changes nothing of what is learned or is said by others.
  private static let alwaysNamed: Set = ["cell", "hidden-size", "batch-size", "max-steps"]
  private static let neverNamed: Set = [
    "evaluate-every", "log-every", "save-every", "validation-bytes", "final-learning-rate",
    "decay-steps", "schedule-by", "max-epochs", "device", "kernels", "precision",
  ]

  /// The command that trains by these settings, with a constant rate: the options in which they differ from
  /// what the task takes where nothing is said.
  ///
  /// `more` are other options, such as `--output runs/lstm`.
  func command(for task: TrainingTask, file: String? = nil, more: String = "") -> String {
    var (own, standard) = (ResolvedOptions(), ResolvedOptions())
    own.add(self, of: task)
    standard.add(.defaults(for: task), of: task)
    let options = own.entries.filter { entry in
      Self.alwaysNamed.contains(entry.name)
        || !Self.neverNamed.contains(entry.name)
          && !standard.entries.contains { $0.name == entry.name && $0.values == entry.values }
    }
    let words = options.flatMap { entry in
      entry.values.map { value in
        value == "true" ? " --\(entry.name)" : " --\(entry.name) \(value.withoutPoint)"
      }
    }
    return "carousel train \(task.rawValue)\(file.map { " " + $0 } ?? "")\(words.joined())"
      + (more.isEmpty ? "" : " " + more)
  }
}

extension String {
  /// `0.9`, but `1` for `1.0`, and `forget=1` for `forget=1.0`.
  fileprivate var withoutPoint: String { hasSuffix(".0") ? String(dropLast(2)) : self }
}

extension Experiment {
  /// The file of the text or of the sequences that its trainings read, as the commands behind its rows name it;
  /// nil where they need none.
  public var dataFile: String? {
    switch self {
    case .reductions: "genesis.txt"
    case .regularisation: "genesis-short.txt"
    case .directions: "symbols.txt"
    case .cells: "structure.txt"
    case .unrolling, .gradients, .memory, .gates: nil
    }
  }

  /// What `dataFile` holds: what the trainings with the first seed read; nil where they need no file.
  public func data(_ settings: ExperimentSettings = ExperimentSettings()) -> [UInt8]? {
    switch self {
    case .reductions: Array(SampleText.genesis.utf8)
    case .regularisation: Array(SampleText.shortGenesis)
    case .directions:
      Array(MarkedSymbols.training(settings).text.utf8)
    case .cells: StructuredText.training(seed: settings.seed).bytes
    case .unrolling, .gradients, .memory, .gates: nil
    }
  }
}
