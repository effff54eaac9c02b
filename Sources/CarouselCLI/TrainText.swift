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
      recurrent states from window to window; its last part is held out, unless --validation has a file. The run's \
      folder holds settings.json, metrics.jsonl, best.safetensors and last.safetensors. Ctrl-C saves \
      and exits with 130; --resume then continues to the same bits as if nothing had happened.
      """)

  static let basics = [
    "validation", "cell", "hidden-size", "layers", "learning-rate", "max-epochs", "max-time",
    "output", "from", "resume", "device", "seed", "help-all",
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

  @Option(
    help: ArgumentHelp(
      "What the best model is tested on: a file, or a share of the text, its end.",
      valueName: "file|share"))
  var test: HeldOut?

  @OptionGroup var common: TrainCommonOptions

  func validate() throws {
    if common.place.resume == nil {
      guard !files.isEmpty else {
        throw ValidationError("a text to train on is missing; expected one file or more")
      }
    } else if !common.isEmpty || vocabulary != nil || test != nil {
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
    let settings = try common.settings(defaults: .defaults(for: .text), from: from, ranks) {
      if case .file = common.training.validation { $0.validation = 0 }
      if case .share(let share) = test { $0.test = share }
    }
    let device = try common.device.of(ranks)
    device.loadDrivers()
    let text = try TrainingText.reading(files, mostInMemory: TrainingText.mostInMemory)
    let heldOut = try HeldOutTexts(
      validation: TrainingText.reading(common.training.validation, "--validation"),
      test: TrainingText.reading(test, "--test"))
    let name = text.identity.files.first.map {
      $0 == TrainingText.pipe
        ? "text" : URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent
    }
    let folder = try common.place.newFolder(name ?? "text", ranks)
    try begin(text, heldOut, settings, from: from, in: folder, ranks, on: device.makeBackend())
  }

  private func begin<B: Backend>(
    _ text: TrainingText, _ heldOut: HeldOutTexts, _ settings: TrainingSettings,
    from: StartingWeights?, in folder: RunFolder, _ ranks: any Communicator, on backend: B
  ) throws {
    let occurring = heldOut.vocabulary(with: text)
    let vocabulary =
      switch vocabulary {
      case .bytes: ByteVocabulary.all
      case .data:
        try heldOut.all.reduce(text.occurringBytes()) { try $0.union($1.occurringBytes()) }
      case nil: from?.vocabulary?.union(occurring) ?? occurring
      }
    try train(
      text, heldOut,
      Trainer(
        text, heldOut: heldOut, settings: settings, vocabulary: vocabulary, backend: backend,
        ranks: ranks
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
    let known = checkpoint.description.heldOut
    let heldOut = try HeldOutTexts(
      validation: TrainingText.reading(known?.validation), test: TrainingText.reading(known?.test))
    try resume(checkpoint, text, heldOut, in: folder, ranks, on: device.makeBackend())
  }

  private func resume<B: Backend>(
    _ checkpoint: Checkpoint, _ text: TrainingText, _ heldOut: HeldOutTexts, in folder: RunFolder,
    _ ranks: any Communicator, on backend: B
  ) throws {
    let bounds = common.settings(resuming: checkpoint).bounds
    try train(
      text, heldOut,
      Trainer(
        resuming: checkpoint, text: text, heldOut: heldOut, bounds: bounds, backend: backend,
        ranks: ranks, shardsOptimizer: common.training.shardOptimizer),
      in: folder)
  }

  private func train<B: Backend>(
    _ text: TrainingText, _ heldOut: HeldOutTexts, _ trainer: Trainer<B>, in folder: RunFolder
  ) throws {
    var data = ResolvedOptions()
    data.add(text, heldOut, trainer.vocabulary)
    try common.session.train(trainer, reading: data, in: folder)
  }
}

extension ResolvedOptions {
  /// Adds the text that a run learns from and the bytes that its model knows.
  mutating func add(
    _ text: TrainingText, _ heldOut: HeldOutTexts, _ vocabulary: ByteVocabulary
  ) {
    add("files", text.identity.files)
    // Any other vocabulary is that of the text and of the model of --from together, as without the option.
    if vocabulary == .all {
      add("vocabulary", VocabularyKind.bytes.rawValue)
    } else if vocabulary == heldOut.vocabulary(with: text) {
      add("vocabulary", VocabularyKind.data.rawValue)
    }
  }
}

extension TrainingText {
  /// Reads the file of an option; nil where it names none.
  ///
  /// Throws a usage error where it is a pipe, which a resumed run could not read again.
  fileprivate static func reading(_ option: HeldOut?, _ name: String) throws -> TrainingText? {
    guard case .file(let path) = option else { return nil }
    let text = path == pipe ? nil : try reading([path], mostInMemory: mostInMemory)
    guard let text, !text.identity.files.contains(pipe) else {
      throw CarouselError(
        .usage,
        "\(name): expected a share, or a regular file for --resume to find again, found '\(path)'")
    }
    return text
  }

  /// Reads again what a run remembers of a text.
  fileprivate static func reading(_ known: Identity?) throws -> TrainingText? {
    try known.map { try reading($0.files, mostInMemory: mostInMemory) }
  }

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
