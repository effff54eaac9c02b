import ArgumentParser
import Carousel

/// `carousel evaluate`: how well a model predicts a text.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures how well a trained model predicts a text.",
    discussion: """
      Every byte but the first is predicted from those before it. The text is read as up to 64 \
      streams of at least 1024 bytes, each from a zero state on.
      """)

  @Argument(help: "A run's folder, whose best checkpoint is taken, or a checkpoint.")
  var model: String

  @Argument(help: "The text.")
  var file: String

  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let checkpoint = try Checkpoint(at: model)
    let text = try TrainingText(files: [file])
    let tokens = try checkpoint.description.vocabulary.encode(text.bytes, source: file)
    try evaluate(checkpoint, tokens, on: device.makeBackend())
  }

  private func evaluate<B: Backend>(
    _ checkpoint: Checkpoint, _ tokens: [Int32], on backend: B
  ) throws {
    let network = try checkpoint.makeNetwork(backend: backend, overrides: overrides.values)
    guard let evaluation = try TextEvaluator(network, tokens: tokens).evaluate() else { return }
    guard evaluation.loss.isFinite else {
      throw CarouselError(
        .checkFailed,
        "\(checkpoint.path): expected a finite loss on \(file), found \(evaluation.loss)")
    }
    let report = Report(
      model: checkpoint.path, file: file, device: backend.name, loss: evaluation.loss,
      bitsPerCharacter: evaluation.bitsPerCharacter, perplexity: evaluation.perplexity,
      count: evaluation.count)
    if output.json {
      try Output.write(json: report)
    } else {
      try Output.write(
        "\(file): \(report.bitsPerCharacter.text(decimals: 4)) bits per character, "
          + "perplexity \(report.perplexity.text(decimals: 4)), "
          + "loss \(report.loss.text(decimals: 4)), \(report.count) bytes predicted")
    }
  }

  private struct Report: Encodable {
    let model: String
    let file: String
    let device: String
    let loss: Double
    let bitsPerCharacter: Double
    let perplexity: Double
    let count: Int
  }
}
