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
    "cell", "hidden-size", "layers", "learning-rate", "max-epochs", "max-time", "output", "resume",
    "device", "seed", "help-all",
  ]
  static let standard = TrainingSettings(
    recurrent: RecurrentConfiguration(inputSize: 64, hiddenSize: 256),
    bounds: TrainBoundOptions.standard)
  static var defaults: [String: String] { standard.helpDefaults }

  @Argument(help: ArgumentHelp("The text; several files are read one behind the other."))
  var files: [String] = []

  @OptionGroup var place: TrainRunOptions
  @OptionGroup(title: "Network") var recurrent: RecurrentOptions
  @OptionGroup(title: "Optimization") var training: TrainOptions
  @OptionGroup(title: "Optimization") var work: WorkOptions
  @OptionGroup(title: "Length of the run") var bounds: TrainBoundOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if place.resume == nil {
      guard !files.isEmpty else {
        throw ValidationError("a text to train on is missing; expected one file or more")
      }
    } else if !(recurrent.isEmpty && training.isEmpty && work.isEmpty && seed.given == nil) {
      throw ValidationError(
        TrainSession.resumeSentence + " or the text's files")
    }
  }

  func run() throws {
    if let path = place.resume {
      try resume(RunFolder(path))
    } else {
      try begin()
    }
  }

  private var session: TrainSession {
    TrainSession(place: place, output: output, logsGradients: training.logGradients)
  }

  private func begin() throws {
    var settings = try training.settings(
      recurrent: recurrent, work: work, defaults: Self.standard)
    settings.bounds = bounds.bounds()
    settings.seed = seed.seed
    device.record(in: &settings)
    try settings.validate()
    device.loadDrivers()
    Progress.show(Status("reading \(files.joined(separator: ", "))"))
    let text = try TrainingText(files: files)
    let name = URL(fileURLWithPath: files[0]).deletingPathExtension().lastPathComponent
    let folder = try place.newFolder(name)
    try begin(text, settings, in: folder, on: device.makeBackend())
  }

  private func begin<B: Backend>(
    _ text: TrainingText, _ settings: TrainingSettings, in folder: RunFolder, on backend: B
  ) throws {
    try session.train(Trainer(text, settings: settings, backend: backend), in: folder)
  }

  private func resume(_ folder: RunFolder) throws {
    let checkpoint = try Checkpoint(contentsOf: folder.last)
    _ = try checkpoint.vocabulary
    let device = device.resuming(checkpoint.description.settings)
    device.loadDrivers()
    let text = try TrainingText(
      files: files.isEmpty ? checkpoint.description.text?.files ?? [] : files)
    try resume(checkpoint, text, in: folder, on: device.makeBackend())
  }

  private func resume<B: Backend>(
    _ checkpoint: Checkpoint, _ text: TrainingText, in folder: RunFolder, on backend: B
  ) throws {
    let bounds = bounds.bounds(over: checkpoint.description.settings.bounds)
    try session.train(
      Trainer(resuming: checkpoint, text: text, bounds: bounds, backend: backend), in: folder)
  }
}
