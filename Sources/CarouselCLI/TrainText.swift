import ArgumentParser
import Carousel
import Foundation

/// `carousel train text`: a network that predicts the next byte of a text.
struct TrainText: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "text",
    abstract: "Trains a network to predict the next byte of a text.",
    discussion: """
      The text is read as streams side by side, with truncated backpropagation that carries the \
      recurrent states from window to window; its last part is held out for validation. The run's \
      folder holds settings.json, metrics.jsonl, best.safetensors and last.safetensors. Ctrl-C saves \
      and exits with 130; --resume then continues to the same bits as if nothing had happened.
      """)

  static let basics = [
    "cell", "hidden-size", "layers", "learning-rate", "max-epochs", "max-time", "output", "from",
    "resume", "device", "seed", "help-all",
  ]
  static var defaults: [String: String] { TrainingSettings.defaults(for: .text).helpDefaults }

  @Argument(
    help: ArgumentHelp(
      "The text; several files are read one behind the other, - is standard input."))
  var files: [String] = []

  @Option(
    help: ArgumentHelp(
      "The bytes that the model knows: those of the text (data), or all 256 (bytes).",
      discussion: """
        Without it those of the text, and those that the model of --from knows; of a text above 256 MiB, \
        which stays in its files, all 256, since data reads it whole before the first update.
        """
    ))
  var vocabulary: VocabularyKind?

  @OptionGroup var common: TrainCommonOptions

  func validate() throws {
    if case .file(let path) = common.training.validation {
      throw ValidationError(
        "--validation is a share of the text, between 0 and 1, but is '\(path)'")
    }
    if common.place.resume == nil {
      guard !files.isEmpty else {
        throw ValidationError("a text to train on is missing; expected one file or more")
      }
    } else if !common.isEmpty || vocabulary != nil {
      throw ValidationError(TrainSession.resumeSentence + " or the text's files")
    }
  }

  func run() throws {
    try Ranks.run(common.device) { ranks in
      try ranks.refuseStandardInput(files.first { $0 == TrainingText.pipe })
      if let path = common.place.resume {
        try resume(common.place.resumedFolder(path, ranks), ranks)
      } else {
        try begin(ranks)
      }
    }
  }

  private func begin(_ ranks: any Communicator) throws {
    let from = try common.startingWeights()
    let settings = try common.settings(defaults: .defaults(for: .text), from: from, ranks)
    let device = try common.device.of(ranks)
    device.loadDrivers()
    let text = try TrainingText.reading(files, mostInMemory: TrainingText.mostInMemory)
    let name = text.identity.files.first.map {
      $0 == TrainingText.pipe
        ? "text" : URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent
    }
    let folder = try common.place.newFolder(name ?? "text", ranks)
    try begin(text, settings, from: from, in: folder, ranks, on: device.makeBackend())
  }

  private func begin<B: Backend>(
    _ text: TrainingText, _ settings: TrainingSettings, from: StartingWeights?,
    in folder: RunFolder, _ ranks: any Communicator, on backend: B
  ) throws {
    let vocabulary =
      switch vocabulary {
      case .bytes: ByteVocabulary.all
      case .data: try text.occurringBytes()
      case nil: from?.vocabulary?.union(text.vocabulary) ?? text.vocabulary
      }
    try train(
      text,
      Trainer(
        text, settings: settings, vocabulary: vocabulary, backend: backend, ranks: ranks
      ) {
        try common.weights(of: from, for: $0, vocabulary: vocabulary)
      }, in: folder)
  }

  private func resume(_ folder: RunFolder, _ ranks: any Communicator) throws {
    let checkpoint = try Checkpoint(contentsOf: folder.last)
    _ = try checkpoint.vocabulary
    let device = try common.device.resuming(checkpoint.description.settings).of(ranks)
    device.loadDrivers()
    let recorded = checkpoint.description.text?.files ?? []
    if files.isEmpty, recorded.contains(TrainingText.pipe) {
      throw CarouselError(
        .usage,
        "\(folder.path): the run's text came from a pipe; expected it again, as a file or as '-', "
          + "beside --resume")
    }
    let text = try TrainingText.reading(
      files.isEmpty ? recorded : files, mostInMemory: TrainingText.mostInMemory)
    try resume(checkpoint, text, in: folder, ranks, on: device.makeBackend())
  }

  private func resume<B: Backend>(
    _ checkpoint: Checkpoint, _ text: TrainingText, in folder: RunFolder,
    _ ranks: any Communicator, on backend: B
  ) throws {
    let bounds = common.settings(resuming: checkpoint).bounds
    try train(
      text,
      Trainer(
        resuming: checkpoint, text: text, bounds: bounds, backend: backend, ranks: ranks,
        shardsOptimizer: common.training.shardOptimizer),
      in: folder)
  }

  private func train<B: Backend>(
    _ text: TrainingText, _ trainer: Trainer<B>, in folder: RunFolder
  ) throws {
    var data = ResolvedOptions()
    data.add(text, trainer.vocabulary)
    try common.session.train(trainer, reading: data, in: folder)
  }
}

extension ResolvedOptions {
  /// Adds a text and the bytes that its model knows.
  mutating func add(_ text: TrainingText, _ vocabulary: ByteVocabulary) {
    add("files", text.identity.files)
    // Any other vocabulary is that of the text and of the model of --from together, as without the option.
    if vocabulary == .all {
      add("vocabulary", VocabularyKind.bytes.rawValue)
    } else if vocabulary == text.vocabulary {
      add("vocabulary", VocabularyKind.data.rawValue)
    }
  }
}

extension TrainingText {
  /// Reads a text; says so where that waits for somebody to type it.
  static func reading(_ files: [String], mostInMemory: Int = .max) throws -> TrainingText {
    Progress.show(Status("reading \(files.joined(separator: ", "))"))
    if files.contains(pipe), isatty(STDIN_FILENO) == 1 {
      Output.note("carousel: reading the text from the terminal, to its end (Ctrl-D)")
    }
    return try TrainingText(files: files, mostInMemory: mostInMemory)
  }
}

/// The values of `--vocabulary`.
enum VocabularyKind: String, CaseIterable, ExpressibleByArgument {
  case data
  case bytes
}
