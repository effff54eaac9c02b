import ArgumentParser
import Carousel
import Foundation

/// `carousel generate`: text that a model writes.
struct Generate: PagedCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes text with a trained model.",
    discussion: """
      The bytes that follow the prompt go to standard output as they are drawn, without the prompt. \
      A model of a text in UTF-8 writes whole characters, unless --raw is given. The same model, options and seed on the same device give the same bytes.
      """)

  static let basics = [
    "prompt", "length", "temperature", "top-k", "top-p", "seed", "override", "device", "json",
    "help-all",
  ]
  static let defaults = DeviceOptions.helpDefaults.merging([
    "seed": "\(SeedOptions.standard)"
  ]) { $1 }

  @Argument(help: "A run's folder, whose best checkpoint is taken, or a checkpoint.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "What the text follows; an empty prompt stands for the end of a line.", valueName: "text"))
  var prompt = ""

  @Option(help: ArgumentHelp("The bytes to write.", valueName: "count"))
  var length = 500

  @Option(
    help: ArgumentHelp("Divides the logits; 0 takes the most probable byte.", valueName: "number"))
  var temperature = 1.0

  @Option(help: ArgumentHelp("Draw from this many most probable bytes.", valueName: "count"))
  var topK: Int?

  @Option(
    help: ArgumentHelp(
      "Draw from the fewest most probable bytes that together reach this probability.",
      valueName: "probability"))
  var topP: Double?

  @Flag(help: "Draw any byte at any place, also where it is no character of UTF-8.")
  var raw = false

  @OptionGroup var seed: SeedOptions
  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var device: DeviceOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard length >= 0 else {
      throw ValidationError("--length must be at least 0, but is \(length)")
    }
  }

  func run() throws {
    let sampler = try TokenSampler(temperature: temperature, topK: topK, topP: topP)
    device.loadDrivers()
    let checkpoint = try Checkpoint(at: model)
    let (vocabulary, read) = (try checkpoint.vocabulary, prompt.systemBytes)
    let known = vocabulary.known(in: read)
    // Of a prompt that is all unknown nothing is left to follow.
    if known.bytes.isEmpty { try vocabulary.check(read, source: "--prompt") }
    known.note(source: "--prompt")
    try generate(checkpoint, known.bytes, sampler, on: device.makeBackend())
  }

  private func generate<B: Backend>(
    _ checkpoint: Checkpoint, _ read: [UInt8], _ sampler: TokenSampler, on backend: B
  ) throws {
    let generator = try TextGenerator(
      checkpoint.makeNetwork(backend: backend, overrides: overrides.values(for: checkpoint)),
      vocabulary: checkpoint.vocabulary)
    var bytes: [UInt8] = []
    var count = 0
    try generator.generate(
      prompt: read, length: length, sampler: sampler, seed: seed.seed,
      wholeCharacters: !raw && checkpoint.writesUTF8
    ) { byte in
      count += 1
      let count = count
      Progress.show(Status("byte", count, of: length))
      if output.json { bytes.append(byte) } else { try Output.write([byte]) }
    }
    if output.json {
      try Output.write(
        json: Report(
          model: checkpoint.path, device: backend.name,
          prompt: String(decoding: prompt.systemBytes, as: UTF8.self),
          text: String(decoding: bytes, as: UTF8.self), length: length, seed: seed.seed))
    } else if isatty(STDOUT_FILENO) == 1 {
      try Output.write("\n")
    }
  }

  private struct Report: Encodable {
    let model: String
    let device: String
    let prompt: String
    let text: String
    let length: Int
    let seed: UInt64
  }
}

extension ByteVocabulary.KnownText {
  /// Says what was left out, where something was.
  func note(source: String) {
    guard let firstUnknown else { return }
    Output.note(
      "carousel: \(source): "
        + (leftOut == 1
          ? "1 byte that the model does not know is left out, "
          : "\(leftOut) bytes that the model does not know are left out, the first ") + firstUnknown
    )
  }
}
