import ArgumentParser
import Carousel
import Foundation

/// `carousel train text`: a network that predicts the next byte of a text.
struct TrainText: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "text",
    abstract: "Trains a network to predict the next byte of a text.",
    discussion: """
      The text is read as streams side by side, with truncated backpropagation that carries the \
      recurrent states from window to window; its last part is held out for validation. The run's \
      folder holds settings.json, metrics.jsonl, best.safetensors and last.safetensors. Ctrl-C saves \
      and exits with 130; --resume then goes on to the same bits as if nothing had happened. The \
      defaults are --hidden-size 256, --layers 1, --steps 64 and --batch-size 64.
      """)

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
    } else if !(recurrent.isEmpty && training.isEmpty && work.isEmpty) {
      throw ValidationError(
        "--resume takes its settings from the run; expected beside it only --device, --kernels, "
          + "--max-epochs, --max-steps, --max-time, --quiet, --json or the text's files")
    }
  }

  func run() throws {
    if let path = place.resume {
      try resume(RunFolder(path))
    } else {
      try begin()
    }
  }

  private func begin() throws {
    var settings = try training.settings(
      recurrent: recurrent, work: work, bounds: bounds.bounds(defaultMaxEpochs: 10))
    settings.seed = seed.seed
    settings.device = device.specification
    settings.kernels = device.kernels.rawValue
    try settings.validate()
    let text = try TrainingText(files: files)
    let folder = RunFolder(place.output ?? Self.newFolder(for: files[0]))
    if !place.force { try folder.requireNoRun() }
    try begin(text, settings, in: folder, on: device.makeBackend())
  }

  private func begin<B: Backend>(
    _ text: TrainingText, _ settings: TrainingSettings, in folder: RunFolder, on backend: B
  ) throws {
    try train(Trainer(text, settings: settings, backend: backend), in: folder)
  }

  private func resume(_ folder: RunFolder) throws {
    let checkpoint = try Checkpoint(contentsOf: folder.last)
    let settings = checkpoint.description.settings
    let text = try TrainingText(files: files.isEmpty ? checkpoint.description.text.files : files)
    var device = device
    if !device.isGiven { device.device = settings.device }
    if device.kernels == .automatic {
      device.kernels = KernelForm(rawValue: settings.kernels) ?? .automatic
    }
    try resume(checkpoint, text, in: folder, on: device.makeBackend())
  }

  private func resume<B: Backend>(
    _ checkpoint: Checkpoint, _ text: TrainingText, in folder: RunFolder, on backend: B
  ) throws {
    let bounds = bounds.bounds(over: checkpoint.description.settings.bounds)
    try train(
      Trainer(resuming: checkpoint, text: text, bounds: bounds, backend: backend), in: folder)
  }

  private func train<B: Backend>(_ trainer: Trainer<B>, in folder: RunFolder) throws {
    let display = place.quiet ? nil : TrainProgressDisplay()
    display?.begin(trainer, in: folder)
    Interruption.listen()
    let result = try trainer.run(
      in: folder, shouldStop: { Interruption.isRequested }, report: { display?.show($0) })
    display?.end()
    let report = TrainReport(result, folder: folder, device: trainer.network.backend.name)
    if output.json {
      try Output.write(json: report)
    } else {
      try Output.write(report.text)
    }
    if result.reason == .interrupted {
      Output.note(
        "carousel: interrupted after step \(result.position.step), state saved; "
          + "'carousel train text --resume \(folder.path)' goes on")
      throw ExitCode(130)
    }
  }

  /// `runs/NAME-YYYYMMDD-HHMMSS`, with a number behind it where that is taken.
  private static func newFolder(for file: String) -> String {
    let name = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyyMMdd-HHmmss"
    let path = "runs/\(name)-\(formatter.string(from: Date()))"
    var number = 1
    while FileManager.default.fileExists(atPath: number == 1 ? path : "\(path)-\(number)") {
      number += 1
    }
    return number == 1 ? path : "\(path)-\(number)"
  }
}

extension DeviceOptions {
  /// Whether the device was named, by option or by environment.
  fileprivate var isGiven: Bool {
    device != nil || ProcessInfo.processInfo.environment["CAROUSEL_DEVICE"] != nil
  }
}
