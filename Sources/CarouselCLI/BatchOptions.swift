import ArgumentParser
import Carousel

/// `--sequence-length`, `--batch-size` and `--lengths`: a batch of sequences, of any lengths.
struct BatchOptions: ParsableArguments {
  @OptionGroup var work: WorkOptions

  @Option(
    help: ArgumentHelp(
      "The length of each sequence, 0 to T, such as 3,0,5 (default: T for all).",
      valueName: "count,…"))
  var lengths: Lengths?

  /// Whether none was given.
  var isEmpty: Bool { work.isEmpty && lengths == nil }

  /// What was given, or the defaults, checked; lengths are nil where all sequences have T steps.
  func batch(
    sequenceLength defaultLength: Int, batchSize defaultBatchSize: Int
  ) throws -> (sequenceLength: Int, batchSize: Int, lengths: [Int]?) {
    let (sequenceLength, batchSize) = try work.sizes(
      sequenceLength: defaultLength, batchSize: lengths?.values.count ?? defaultBatchSize)
    try lengths?.check(sequenceLength: sequenceLength, batchSize: batchSize)
    return (sequenceLength, batchSize, lengths?.values)
  }
}

/// `--lengths`: the length of each sequence.
struct Lengths: ExpressibleByArgument {
  let values: [Int]

  init?(argument: String) {
    let words = argument.split(separator: ",", omittingEmptySubsequences: false)
    values = words.compactMap { Int($0) }
    guard values.count == words.count else { return nil }
  }

  /// Throws where the lengths are not those of N sequences of at most T steps.
  func check(sequenceLength: Int, batchSize: Int) throws(CarouselError) {
    guard values.count == batchSize else {
      throw CarouselError(
        .usage,
        "--lengths has \(values.count) lengths, but the batch has \(batchSize) sequences")
    }
    if let wrong = values.first(where: { !(0...sequenceLength ~= $0) }) {
      throw CarouselError(
        .usage,
        "--lengths must be between 0 and \(sequenceLength), the sequence length, but one is \(wrong)"
      )
    }
  }
}
