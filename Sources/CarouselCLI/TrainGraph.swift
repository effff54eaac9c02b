import ArgumentParser
import Carousel

/// `carousel train graph`: a model of an ONNX file, trained further on one's own data.
struct TrainGraph: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "graph",
    abstract: "Trains a model of an ONNX file further.",
    discussion: """
      DATA is a safetensors, .npz or .npy file with the model's inputs and the targets under their names. A \
      tensor with one axis more than the model's input has an example in each place of its first axis, and so \
      have the targets; any other tensor is the same in every example. An update takes one example, \
      which may be a batch of the model's own, or with --batch-size N the mean over N of them, which \
      several ranks share. \
      --loss NAME=OUTPUT,TARGET: mse, mae, huber, cross-entropy (of logits, with classes), \
      binary-cross-entropy (of probabilities) or ctc=OUTPUT,LABELS,LENGTHS,LABEL_LENGTHS. \
      Statistics of batch normalisation never change. \
      The run's folder gets model.onnx, the best one: the same inputs, outputs and operators, and other \
      weights. What is held out is measured before the first update too. Ctrl-C saves; --resume FOLDER \
      goes on with the same model and data.
      """)

  static let basics = [
    "loss", "freeze", "train", "learning-rate-for", "learning-rate", "batch-size", "max-epochs",
    "validation", "test", "output", "resume", "device", "seed", "help-all",
  ]
  static var defaults: [String: String] {
    let defaults = GraphTrainingSettings.trainingDefaults
    return defaults.helpDefaults.merging(["evaluate-every": "an epoch, or 20 steps"]) { $1 }
  }

  @Argument(help: "The .onnx model, unless --resume says it.")
  var model: String?

  @Argument(help: "The file with inputs and targets, unless --resume says it.")
  var data: String?

  @Option(
    help: ArgumentHelp(
      "What is minimized: a loss, the model's output and the tensor of the data.",
      valueName: "name=output,target"))
  var loss: String?

  @Option(
    help: ArgumentHelp(
      "Leave the parameters with such names as they are; * is any characters (repeatable).",
      valueName: "pattern"))
  var freeze: [String] = []

  @Option(
    help: ArgumentHelp(
      "Train only the parameters with such names (repeatable).", valueName: "pattern"))
  var train: [String] = []

  @Option(
    help: ArgumentHelp(
      "The learning rate of the parameters with such names (repeatable).",
      valueName: "pattern=rate"))
  var learningRateFor: [NamedNumber] = []

  @Option(
    help: ArgumentHelp("A file of examples that the best model is tested on.", valueName: "file"))
  var test: String?

  @Option(help: ArgumentHelp("N, the examples of a batch, a pass each.", valueName: "count"))
  var batchSize: Int?

  @OptionGroup var place: TrainRunOptions
  @OptionGroup(title: "Optimization") var training: TrainOptions
  @OptionGroup(title: "Length of the run") var bounds: TrainBoundOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var seed: SeedOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if place.resume != nil {
      guard model == nil, data == nil, loss == nil, freeze.isEmpty, train.isEmpty,
        learningRateFor.isEmpty, test == nil, batchSize == nil, training.isEmpty, seed.given == nil
      else { throw ValidationError(TrainSession.resumeSentence) }
      return
    }
    guard model != nil, data != nil, loss != nil else {
      throw ValidationError(
        "expected MODEL.onnx, DATA and --loss NAME=OUTPUT,TARGET, or --resume FOLDER")
    }
    for (option, isGiven) in [
      ("--embedding-size", training.embeddingSize != nil),
      ("--checkpoint-steps", training.checkpointSteps != nil),
      ("--validation-bytes", training.validationBytes != nil),
      ("--log-gradients", training.logGradients), ("--prefix", place.prefix != nil),
    ] where isGiven {
      throw ValidationError("\(option) is for networks that are made here, not for a MODEL.onnx")
    }
  }

  func run() throws {
    try Ranks.run(device) { try run($0) }
  }

  private func run(_ ranks: any Communicator) throws {
    Progress.show(Status("reading"))
    if let path = place.resume {
      let folder = try place.resumedFolder(path, ranks)
      let checkpoint = try GraphCheckpoint(contentsOf: folder.last)
      var settings = checkpoint.settings
      settings.training.bounds = bounds.bounds(over: settings.training.bounds)
      if let interval = place.saveEvery { settings.training.saveEvery = interval }
      if training.shardOptimizer { settings.training.shardOptimizer = true }
      let work = try GraphTrainingWork(settings)
      try session(
        work, settings, resuming: checkpoint, in: folder, ranks,
        on: device.resuming(settings.training).of(ranks).makeBackend())
      return
    }
    guard let model, let data, let loss else { return }
    var settings = GraphTrainingSettings(
      model: model, data: data, objective: try GraphObjective(loss))
    settings.selection.trained = train
    settings.selection.frozen = freeze
    settings.selection.rates = learningRateFor.map { .init(pattern: $0.name, rate: $0.number) }
    if let validation = training.validation { settings.validation = validation }
    settings.test = test
    settings.training.from = place.from
    settings.training.seed = seed.seed
    if let batchSize { settings.training.batchSize = try atLeastOne(batchSize, "--batch-size") }
    if let count = training.accumulate {
      settings.training.accumulate = try atLeastOne(count, "--accumulate")
    }
    let work = try GraphTrainingWork(settings)
    settings.follow(work.data.count)
    settings.training = try training.settings(
      recurrent: RecurrentOptions.parse([]), work: WorkOptions.parse([]), bounds: bounds,
      defaults: settings.training)
    settings.training.saveEvery = place.saveEvery
    if ranks.count > 1 { settings.training.shards = settings.training.shards ?? ranks.count }
    device.record(in: &settings.training)
    try settings.validate()
    let backend = try device.of(ranks).makeBackend()
    try session(
      work, settings, resuming: nil, in: place.newFolder("graph", ranks), ranks, on: backend)
  }

  private func session<B: Backend>(
    _ work: GraphTrainingWork, _ settings: GraphTrainingSettings,
    resuming checkpoint: GraphCheckpoint?, in folder: RunFolder, _ ranks: any Communicator,
    on backend: B
  ) throws {
    for note in work.notes { Output.note("carousel: \(note)") }
    let trainer = try GraphTrainer(
      work.data, parameters: work.parameters, settings: settings, resuming: checkpoint,
      ranks: ranks, backend: backend)
    trainer.logsRanks = training.logRanks
    try work.model.requireWritable(trainer.trainedNames)
    guard ranks.isFirst else { return try follow(trainer, in: folder) }
    if let path = place.report { try AtomicFile.requireWritable(path) }
    var options = ResolvedOptions()
    options.add(trainer.settings)
    trainer.configuration = options.yaml(of: "graph")
    let events = try place.tensorboard.map { try TrainEventLog(in: $0, trainer) }
    let display = output.quiet ? nil : TrainProgressDisplay(.adding)
    if !output.quiet {
      let counts = trainer.counts
      Output.note(
        "\(folder.path): \(work.model.summary), of which \(trainer.trainedNames.count) tensors with "
          + "\(trainer.trainedElements) parameters are trained, \(counts.training) examples, "
          + (counts.validation == 0 ? "none" : "\(counts.validation)") + " held out"
          + (counts.test > 0 ? ", \(counts.test) to test" : "") + ", on \(backend.name)"
          + (ranks.count > 1
            ? ", \(ranks.count) ranks of \(settings.training.shards ?? 1) shards" : ""))
      Progress.show(Status("preparing the first step"))
    }
    Interruption.listen(.run(updates: trainer.position.step))
    let target = folder.path + "/model.onnx"
    let result = try trainer.run(
      in: folder, shouldStop: { Interruption.isRequested },
      write: { parameters in try work.write(parameters, to: target) },
      report: { event in
        switch event {
        case .stepped(let progress): Interruption.note(updates: progress.step)
        case .saved(let step): Interruption.note(saved: step)
        case .warned(let sentence): Output.note("carousel: warning: \(sentence)")
        case .logged, .evaluating, .evaluated, .ranks: break
        }
        try events?.hear(event)
        display?.show(event)
      })
    var report = TrainReport(result, of: trainer, in: folder, model: target)
    if result.reason != .interrupted {
      Progress.show(Status("testing the best model"))
      let best = try GraphCheckpoint(contentsOf: folder.best).parameters()
      report.take(try trainer.finalLosses(best: best) { Interruption.isRequested })
    } else {
      Output.insist(
        "carousel: interrupted after step \(result.position.step), state saved; "
          + "'carousel train graph --resume \(folder.path)' goes on",
        outputIsDocument: output.json)
    }
    if let path = place.report {
      Progress.show(Status("writing \(path)"))
      try TrainPage(trainer, report, in: folder).page.write(to: path)
    }
    Progress.show(Status("done"))
    try output.json ? Output.write(json: report) : Output.write(report.text)
    try ranks.barrier()
    if result.reason == .interrupted {
      folder.release()
      guard ranks.count == 1 else { throw ExitCode(130) }
      Failure(ExitCode(130)).exit()
    }
  }

  /// Trains as another rank than the first, which neither shows nor writes anything.
  private func follow<B: Backend>(_ trainer: GraphTrainer<B>, in folder: RunFolder) throws {
    let ranks = trainer.ranks
    if ranks.hasOwnProcess { Interruption.listen(.run(updates: trainer.position.step)) }
    let result = try trainer.run(
      in: folder, shouldStop: { ranks.hasOwnProcess && Interruption.isRequested },
      report: { if case .stepped(let progress) = $0 { Interruption.note(updates: progress.step) } })
    if result.reason != .interrupted {
      _ = try trainer.finalLosses(best: [:]) { ranks.hasOwnProcess && Interruption.isRequested }
    }
    try ranks.barrier()
    if result.reason == .interrupted { throw ExitCode(130) }
  }
}
