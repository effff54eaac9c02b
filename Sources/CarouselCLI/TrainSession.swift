import ArgumentParser
import Carousel
import Foundation

/// One session of a run, whatever is trained: progress, Ctrl-C, and the report at the end.
struct TrainSession {
  let place: TrainRunOptions
  let output: OutputOptions
  let logsGradients: Bool
  /// Whether every rank is logged.
  let logsRanks: Bool

  /// What `--resume` goes with.
  static let resumeSentence =
    "--resume takes its settings from the run; expected beside it only --device, --kernels, --precision, "
    + "--max-epochs, --max-steps, --max-time, --save-every, --log-gradients, --report, --tensorboard, --quiet, --json (--from FOLDER begins a "
    + "new run with its weights and any settings)"

  /// Trains until the run ends, or saves it and ends the process where it was interrupted.
  ///
  /// With `examples` the best model is then measured on all their parts. `data` are the options that say
  /// what another task reads.
  func train<B: Backend>(
    _ trainer: Trainer<B>, _ examples: TrainingExamples? = nil,
    reading data: ResolvedOptions = ResolvedOptions(), in folder: RunFolder
  ) throws {
    let ranks = trainer.ranks
    trainer.logsRanks = logsRanks
    // On every rank, since all save together.
    if let interval = place.saveEvery { trainer.saveEvery = interval }
    guard ranks.isFirst else { return try follow(trainer, examples) }
    if let path = place.report { try AtomicFile.requireWritable(path) }
    trainer.configuration = configuration(of: trainer, examples, data)
    let events = try place.tensorboard.map { try TrainEventLog(in: $0, trainer) }
    let display = output.quiet ? nil : TrainProgressDisplay(trainer.task)
    display?.begin(trainer, examples, in: folder)
    if logsGradients {
      let settings = trainer.settings
      trainer.gradientProbe = { network in
        try GradientFlow(
          network, sequenceLength: settings.sequenceLength, batchSize: 8, seed: settings.seed
        )
        .norms(on: network.backend)
      }
    }
    Interruption.listen(.run(updates: trainer.position.step))
    let firstStep = trainer.position.step + 1
    let result = try trainer.run(
      in: folder, shouldStop: { Interruption.isRequested },
      report: { event in
        hear(event)
        try events?.hear(event)
        if trainer.network.backend is ReferenceBackend, case .stepped(let progress) = event,
          progress.step == firstStep
        {
          display?.warnOfTheReference(progress)
        }
        display?.show(event)
      })
    var report = TrainReport(result, of: trainer, in: folder)
    if result.reason != .interrupted, examples != nil || trainer.byteCounts?.test ?? 0 > 0 {
      Progress.show(Status("testing the best model"))
      func stops() -> Bool { Interruption.isRequested }
      if let examples {
        try report.take(
          trainer.finalMetrics(examples, in: folder, shouldStop: stops),
          classes: examples.description.classes)
      } else {
        report.test = try trainer.textMetrics(in: folder, shouldStop: stops)
      }
    }
    if let path = place.report {
      Progress.show(Status("writing \(path)"))
      try TrainPage(trainer, examples, report, in: folder).page.write(to: path)
    }
    Progress.show(Status("done"))
    let isInterrupted = result.reason == .interrupted
    if isInterrupted {
      Output.insist(
        "carousel: interrupted after step \(result.position.step), state saved; "
          + "'carousel train \(trainer.task.rawValue) --resume \(folder.path)' goes on",
        outputIsDocument: output.json)
    }
    do {
      try output.json ? Output.write(json: report) : Output.write(report.text)
    } catch {
      if !isInterrupted {
        Output.insist(
          "carousel: \(folder.path): the run ended after step \(result.position.step), state saved",
          outputIsDocument: true)
        throw error
      }
    }
    try ranks.barrier()
    if isInterrupted {
      folder.release()
      guard ranks.count == 1 else { throw ExitCode(130) }
      // Exit now: an interrupted run does not wait until compiled programs are in the cache.
      Failure(ExitCode(130)).exit()
    }
  }
}

extension TrainSession {
  /// What `config.yaml` of the run's folder holds.
  private func configuration<B: Backend>(
    of trainer: Trainer<B>, _ examples: TrainingExamples?, _ data: ResolvedOptions
  ) -> String {
    var options = data
    if let examples { options.add(examples.description.settings, of: trainer.task) }
    options.add(trainer.settings, of: trainer.task, heldOut: trainer.heldOut)
    options.add("log-gradients", flag: logsGradients)
    return options.yaml(of: trainer.task.rawValue)
  }

  /// Takes note of what concerns more than the display.
  private func hear(_ event: TrainingEvent) {
    switch event {
    case .stepped(let progress): Interruption.note(updates: progress.step)
    case .saved(let step): Interruption.note(saved: step)
    case .warned(let sentence): Output.note("carousel: warning: \(sentence)")
    case .logged, .evaluating, .evaluated, .ranks: break
    }
  }
}

extension ResolvedOptions {
  /// The file, whose first line says what it is for.
  func yaml(of task: String) -> String {
    let command = "carousel train \(task)"
    return yaml(head: [
      "All settings of a run of '\(command)'; '\(command) --config FILE' with this file repeats it."
    ])
  }
}

extension TrainRunOptions {
  /// The folder of a new run, owned: `--output`, or `runs/NAME-YYYYMMDD-HHMMSS`, with a number behind it
  /// where that is taken.
  ///
  /// Throws where it holds a run that is not to be replaced, or where one is under way in it.
  func newFolder(_ name: String) throws -> RunFolder {
    if let output {
      let folder = try RunFolder(output).owned()
      if !force { try folder.requireNoRun() }
      return folder
    }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyyMMdd-HHmmss"
    return try RunFolder.new("runs/\(name)-\(formatter.string(from: Date()))")
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
