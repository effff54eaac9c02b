import ArgumentParser
import Carousel
import Foundation

/// One session of a run, whatever is trained: progress, Ctrl-C, and the report at the end.
struct TrainSession {
  let place: TrainRunOptions
  let output: OutputOptions
  let logsGradients: Bool

  /// What `--resume` goes with.
  static let resumeSentence =
    "--resume takes its settings from the run; expected beside it only --device, --kernels, --precision, "
    + "--max-epochs, --max-steps, --max-time, --log-gradients, --quiet, --json (--from FOLDER begins a "
    + "new run with its weights and any settings)"

  /// Trains until the run ends, or saves it and ends the process where it was interrupted.
  func train<B: Backend>(_ trainer: Trainer<B>, in folder: RunFolder) throws {
    let display = output.quiet ? nil : TrainProgressDisplay(trainer.task)
    display?.begin(trainer, in: folder)
    if logsGradients {
      let settings = trainer.settings
      trainer.gradientProbe = { network in
        try GradientFlow(network, steps: settings.steps, batchSize: 8, seed: settings.seed)
          .norms(on: network.backend)
      }
    }
    Interruption.listen()
    let result = try trainer.run(
      in: folder, shouldStop: { Interruption.isRequested }, report: { display?.show($0) })
    Progress.show(Status("done"))
    let report = TrainReport(result, of: trainer, in: folder)
    if output.json {
      try Output.write(json: report)
    } else {
      try Output.write(report.text)
    }
    if result.reason == .interrupted {
      Output.note(
        "carousel: interrupted after step \(result.position.step), state saved; "
          + "'carousel train \(trainer.task.rawValue) --resume \(folder.path)' goes on")
      // At once: whoever interrupts does not wait until compiled programs are kept.
      Failure(ExitCode(130)).exit()
    }
  }
}

extension TrainRunOptions {
  /// The folder of a new run: `--output`, or `runs/NAME-YYYYMMDD-HHMMSS`, with a number behind it where
  /// that is taken.
  ///
  /// Throws where it holds a run that is not to be replaced.
  func newFolder(_ name: String) throws -> RunFolder {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyyMMdd-HHmmss"
    let path = "runs/\(name)-\(formatter.string(from: Date()))"
    let taken = (1...).first { number in
      FileKind(at: number == 1 ? path : "\(path)-\(number)") == nil
    }
    let number = taken ?? 1
    let folder = RunFolder(output ?? (number == 1 ? path : "\(path)-\(number)"))
    if !force { try folder.requireNoRun() }
    return folder
  }
}

extension DeviceOptions {
  /// Whether the device was named, by option or by environment.
  private var isGiven: Bool {
    device != nil || ProcessInfo.processInfo.environment["CAROUSEL_DEVICE"]?.isEmpty == false
  }

  /// Notes the device, kernels and precision for a later session.
  func record(in settings: inout TrainingSettings) {
    settings.device = specification
    settings.kernels = kernels.rawValue
    settings.precision = precision?.rawValue
  }

  /// The device, kernels and precision of an earlier session, but for what was given now.
  func resuming(_ settings: TrainingSettings) -> DeviceOptions {
    var result = self
    if !isGiven { result.device = settings.device }
    if kernels == .automatic {
      result.kernels = KernelForm(rawValue: settings.kernels) ?? .automatic
    }
    result.precision = precision ?? settings.precision.flatMap { ProductPrecision(rawValue: $0) }
    return result
  }
}
