import ArgumentParser
import Carousel

/// `carousel evaluate`: how well a model does what it was trained for.
struct Evaluate: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures how well a trained model does what it was trained for.",
    discussion: """
      A model of text predicts every byte of a text but the first from those before it; the text is \
      read as up to 64 streams of at least 1024 bytes, each from a zero state on. Bytes that the model \
      does not know are left out and counted. With --dynamic the text is one stream, from which the \
      model learns as it reads; the file of the model stays as it is. A model of the \
      tasks adding and copy needs no file: it is measured on the sequences that were held out. A model \
      of one's own data takes a file of the kind that it was trained on, with what is to be predicted. \
      Several ranks share the work, see docs/many-machines.md.
      """)

  static let basics = ["override", "device", "json", "help-all"]
  static let defaults = DeviceOptions.helpDefaults

  @Argument(help: "A run's folder, whose best checkpoint is taken, or a checkpoint.")
  var model: String

  @Argument(
    help: "The text, for a model of text, - is standard input; the data, for one of your own.")
  var file: String?

  @Option(help: ArgumentHelp("Of images, the file of their labels.", valueName: "file"))
  var labels: String?

  @Option(
    help: ArgumentHelp(
      "Cut the streams of a text into V groups, which ranks compute side by side.",
      discussion: """
        The last bits of the result follow V, not the number of ranks. Without it V is the number of ranks.
        """, valueName: "V"))
  var shards: Int?

  @Option(
    name: .customLong("dynamic"),
    help: ArgumentHelp(
      "Learn from each \(DynamicEvaluator<ReferenceBackend>.sequenceLength) bytes of a text once they were predicted.",
      discussion: """
        Dynamic evaluation (Krause et al. 2018): a step of Adam at this learning rate, such as 0.0002. No byte is \
        predicted by a model that has seen it.
        """, valueName: "rate"))
  var dynamicRate: Double?

  @OptionGroup var numbers: MissingOptions

  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try Ranks.run(device) { ranks in
      try ranks.refuseStandardInput(file)
      try run(ranks, device.of(ranks))
    }
  }

  private func run(_ ranks: any Communicator, _ device: DeviceOptions) throws {
    device.loadDrivers()
    let checkpoint = try Checkpoint(at: model)
    try checkOptions(checkpoint, ranks)
    if checkpoint.description.task.readsExamples {
      return try measureExamples(checkpoint, ranks, on: device.makeBackend())
    }
    guard checkpoint.description.task == .text else {
      if let file {
        throw CarouselError(
          .usage,
          "\(checkpoint.path): a model of the task \(checkpoint.description.task.rawValue) is "
            + "measured on synthetic sequences, but the file '\(file)' was given")
      }
      return try measure(checkpoint, ranks, on: device.makeBackend())
    }
    guard let file else {
      throw ValidationError("a text is missing; expected a file behind the model")
    }
    let read = try TrainingText.reading([file])
    let known = try checkpoint.vocabulary.known(in: read.bytes)
    known.note(source: file)
    guard known.bytes.count >= 2 else {
      throw CarouselError(
        .badData,
        "\(file): expected at least 2 bytes that the model knows, found \(known.bytes.count) of "
          + "\(read.bytes.count)")
    }
    try evaluate(
      checkpoint, known.leftOut == 0 ? read : TrainingText(known.bytes), leftOut: known.leftOut,
      of: file, ranks, on: device.makeBackend())
  }

  /// Throws where an option makes no sense for the model.
  private func checkOptions(
    _ checkpoint: Checkpoint, _ ranks: any Communicator
  ) throws(CarouselError) {
    let numbers = numbers.missing != nil
    try checkpoint.refuse([
      ("--shards", shards != nil, "a text", [.text]),
      ("--dynamic", dynamicRate != nil, "a text", [.text]),
      ("--labels", labels != nil, "images", [.classify]),
      ("--missing", numbers, "numbers of one's own", [.classify, .forecast]),
    ])
    guard dynamicRate != nil else { return }
    guard shards == nil, ranks.count == 1 else {
      throw CarouselError(
        .usage,
        "--dynamic learns from one byte after the other, in one process: it takes no --shards, and no ranks"
      )
    }
  }

  private func measure<B: Backend>(
    _ checkpoint: Checkpoint, _ ranks: any Communicator, on backend: B
  ) throws {
    let (task, settings) = (checkpoint.description.task, checkpoint.description.settings)
    let network = try checkpoint.makeNetwork(
      backend: backend, overrides: overrides.values(for: checkpoint))
    let data = try SyntheticData(
      task, length: settings.sequenceLength, batchSize: settings.batchSize, seed: settings.seed)
    try ranks.shakeHands(over: network)
    let evaluator = try SyntheticDataEvaluator(network, like: data, ranks: ranks)
    guard let loss = try evaluator.evaluate(shouldStop: Progress.passes(evaluator.passCount))
    else { return }
    guard loss.isFinite else {
      throw CarouselError(
        .checkFailed, "\(checkpoint.path): expected a finite loss, found \(loss)")
    }
    guard ranks.isFirst else { return }
    let report = SyntheticReport(
      model: checkpoint.path, task: task, device: backend.name,
      sequenceLength: settings.sequenceLength,
      loss: loss,
      lossWithoutMemory: data.baseline)
    if output.json {
      try Output.write(json: report)
    } else {
      try Output.write(
        "\(task.rawValue) over \(report.sequenceLength) steps: a loss of \(loss.text(decimals: 5)), "
          + "\(data.baseline.text(decimals: 5)) without memory")
    }
  }

  private func measureExamples<B: Backend>(
    _ checkpoint: Checkpoint, _ ranks: any Communicator, on backend: B
  ) throws {
    guard let file else {
      throw ValidationError("the data are missing; expected a file behind the model")
    }
    let model = try ExampleModel(
      checkpoint, backend: backend, overrides: overrides.values(for: checkpoint))
    Progress.show(Status("evaluating"))
    guard
      let (metrics, count) = try model.evaluate(
        ExampleFile(file, labels: labels, missing: numbers.missing), ranks: ranks)
    else { return }
    guard metrics.loss.isFinite else {
      throw CarouselError(
        .checkFailed, "\(checkpoint.path): expected a finite loss on \(file), found \(metrics.loss)"
      )
    }
    guard ranks.isFirst else { return }
    if output.json {
      try Output.write(
        json: ExampleReport(
          model: checkpoint.path, file: file, task: model.task, device: backend.name, count: count,
          classes: model.description.classes, metrics: metrics))
    } else {
      try Output.write("\(file): \(metrics.text), \(count) examples")
    }
  }

  private struct ExampleReport: Encodable {
    let model: String
    let file: String
    let task: TrainingTask
    let device: String
    let count: Int
    let classes: [String]?
    let metrics: TaskMetrics

    private enum CodingKeys: CodingKey { case model, file, task, device, count, classes }

    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(model, forKey: .model)
      try values.encode(file, forKey: .file)
      try values.encode(task, forKey: .task)
      try values.encode(device, forKey: .device)
      try values.encode(count, forKey: .count)
      try values.encodeIfPresent(classes, forKey: .classes)
      try metrics.encode(to: encoder)
    }
  }

  private struct SyntheticReport: Encodable {
    let model: String
    let task: TrainingTask
    let device: String
    let sequenceLength: Int
    let loss: Double
    let lossWithoutMemory: Double
  }

  private func evaluate<B: Backend>(
    _ checkpoint: Checkpoint, _ text: TrainingText, leftOut: Int, of file: String,
    _ ranks: any Communicator, on backend: B
  ) throws {
    let network = try checkpoint.makeNetwork(
      backend: backend, overrides: overrides.values(for: checkpoint))
    try ranks.shakeHands(over: network, files: file == TrainingText.pipe ? [] : [file])
    guard let evaluation = try predict(text, network, checkpoint.vocabulary, ranks) else { return }
    guard evaluation.loss.isFinite else {
      throw CarouselError(
        .checkFailed,
        "\(checkpoint.path): expected a finite loss on \(file), found \(evaluation.loss)")
    }
    guard ranks.isFirst else { return }
    let metrics = TaskMetrics(
      lossPerByte: evaluation.loss,
      bytesPerCharacter: text.bytesPerCharacter(in: text.bytes.indices))
    let report = Report(
      model: checkpoint.path, file: file, device: backend.name, loss: metrics.loss,
      bitsPerByte: metrics.bitsPerByte, bitsPerCharacter: metrics.bitsPerCharacter,
      perplexity: evaluation.perplexity, count: evaluation.count, leftOut: leftOut,
      learningRate: dynamicRate)
    if output.json {
      try Output.write(json: report)
    } else {
      try Output.write(
        "\(file): \(metrics.text), "
          + "perplexity \(report.perplexity.text(decimals: 4)), "
          + "loss \(report.loss.text(decimals: 4)), \(report.count) bytes predicted"
          + (leftOut == 0 ? "" : ", \(leftOut) left out")
          + (dynamicRate.map { ", learning at \($0) as it read" } ?? ""))
    }
  }

  private func predict<B: Backend>(
    _ text: TrainingText, _ network: Network<B>, _ vocabulary: ByteVocabulary,
    _ ranks: any Communicator
  ) throws -> TextEvaluation? {
    let content = TextContent(text.bytes[...])
    if let dynamicRate {
      let evaluator = try DynamicEvaluator(
        network, text: content, vocabulary: vocabulary, learningRate: dynamicRate)
      return try evaluator.evaluate(shouldStop: Progress.passes(evaluator.passCount))
    }
    let evaluator = try TextEvaluator(
      network, text: content, vocabulary: vocabulary, shards: shards ?? ranks.count, ranks: ranks)
    return try evaluator.evaluate(shouldStop: Progress.passes(evaluator.passCount))
  }

  private struct Report: Encodable {
    let model: String
    let file: String
    let device: String
    let loss: Double
    let bitsPerByte: Double?
    let bitsPerCharacter: Double?
    let perplexity: Double
    let count: Int
    let leftOut: Int
    /// Of dynamic evaluation.
    let learningRate: Double?
  }
}

extension Checkpoint {
  /// Throws a usage error where an option is given that means nothing for a model of this task.
  func refuse(
    _ options: [(name: String, isGiven: Bool, what: String, tasks: Set<TrainingTask>)]
  ) throws(CarouselError) {
    let task = description.task
    for (name, isGiven, what, tasks) in options where isGiven && !tasks.contains(task) {
      throw CarouselError(
        .usage, "\(name) is for \(what), but \(path) is a model of the task \(task.rawValue)")
    }
  }
}
