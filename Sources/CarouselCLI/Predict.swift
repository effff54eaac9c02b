import ArgumentParser
import Carousel

/// `carousel predict`: what a model says of data.
struct Predict: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Predicts classes, numbers or tags with a trained model.",
    discussion: """
      The file is of the kind that the model was trained on; the column of classes or tags may be \
      absent. CSV goes to standard output in the order of the input, with --json a JSON object a line. \
      Of series the steps after their end are predicted. --stream reads a step a line from standard \
      input, answers each at once and keeps its state until the end. Several ranks share the work on a \
      file, see docs/many-machines.md.
      """)

  static let basics = [
    "probabilities", "stream", "missing", "override", "device", "json", "help-all",
  ]
  static let defaults = DeviceOptions.helpDefaults

  @Argument(help: "A run's folder, whose best checkpoint is taken, or a checkpoint.")
  var model: String

  @Argument(help: "The data; - is standard input, for a table.")
  var file: String?

  @Flag(help: "Write the probability of each class or tag.")
  var probabilities = false

  @Flag(help: "Read steps from standard input and answer each at once.")
  var stream = false

  @OptionGroup var numbers: MissingOptions
  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if stream, let file, file != "-" {
      throw ValidationError("--stream reads standard input, but the file '\(file)' was given")
    }
    if !stream, file == nil {
      throw ValidationError("the data are missing; expected a file behind the model, or --stream")
    }
  }

  func run() throws {
    if stream { try Ranks.refuse("carousel predict --stream") }
    try Ranks.run(device) { ranks in
      try ranks.refuseStandardInput(stream ? TrainingText.pipe : file)
      let device = try device.of(ranks)
      device.loadDrivers()
      let checkpoint = try Checkpoint(at: model)
      let isMissing = numbers.missing != nil
      try checkpoint.refuse([
        ("--probabilities", probabilities, "classes and tags", [.classify, .tag]),
        ("--missing", isMissing, "numbers", [.classify, .forecast]),
      ])
      try predict(checkpoint, ranks, on: device.makeBackend())
    }
  }

  private func predict<B: Backend>(
    _ checkpoint: Checkpoint, _ ranks: any Communicator, on backend: B
  ) throws {
    let model = try ExampleModel(
      checkpoint, backend: backend, overrides: overrides.values(for: checkpoint))
    let writer = PredictionWriter(
      model.description, json: output.json, probabilities: probabilities)
    if stream {
      try PredictionStream(model, writer, missing: numbers.missing).run()
      return
    }
    Progress.show(Status("predicting"))
    try model.predict(ExampleFile(file ?? "-", missing: numbers.missing), ranks: ranks) {
      try writer.write($0)
    }
    // The first has them all.
    try writer.finish()
  }
}
