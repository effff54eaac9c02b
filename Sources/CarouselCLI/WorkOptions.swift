import ArgumentParser
import Carousel

/// `--sequence-length` and `--batch-size`: how much work a pass is.
struct WorkOptions: ParsableArguments {
  /// Other names of options, which the parser takes as well.
  static let aliases = ["--steps"]

  @Option(
    name: [.customLong("sequence-length"), .customLong("steps")],
    help: ArgumentHelp("T, the time steps of a sequence.", valueName: "count"))
  var sequenceLength: Int?

  @Option(help: ArgumentHelp("N, the sequences of a batch.", valueName: "count"))
  var batchSize: Int?

  /// Whether neither was given.
  var isEmpty: Bool { sequenceLength == nil && batchSize == nil }

  /// What was given, or the defaults, checked.
  func sizes(
    sequenceLength defaultLength: Int, batchSize defaultBatchSize: Int
  ) throws -> (sequenceLength: Int, batchSize: Int) {
    (
      try atLeastOne(sequenceLength ?? defaultLength, "--sequence-length"),
      try atLeastOne(batchSize ?? defaultBatchSize, "--batch-size")
    )
  }
}

/// The value of an option that counts something, checked to be between 1 and `maximum`.
///
/// Beyond 2²⁰ a product of sizes may not fit an Int; no device has the memory for it either.
func atLeastOne(_ value: Int, _ option: String, maximum: Int = 1 << 20) throws -> Int {
  guard (1...maximum).contains(value) else {
    throw CarouselError(
      .usage, "\(option) must be between 1 and \(maximum), but is \(value)")
  }
  return value
}
