import CarouselFormats
import CarouselModel

/// Examples that stay in a large file: each is a place of a part, and the sequence behind it is read when it is
/// trained on.
///
/// Places are spread evenly, each shifted at random within its stretch, in every epoch anew.
struct StreamedExamples: ExampleSource {
  let part: FileBlocks
  let count: Int
  let haveOneLength: Bool
  private let seed: UInt64
  /// The lengths of passes, rising, to the longest sequence that is known.
  private let lengths: [Int]
  /// Examples that are judged in the same way.
  private let like: any SequenceExamples
  /// Reads sequences.
  private let make: Make

  typealias Make = @Sendable ([RecordFile.Record]) throws(CarouselError) -> any SequenceExamples

  /// The bytes of the file that are read at once, about.
  private static let poolBytes = 0x1p24

  /// The most examples of an epoch, and of a part that is held out.
  static let most = (training: 1 << 18, heldOut: 10_000)

  /// Takes at most `most` sequences of a part.
  ///
  /// `sample` are the lengths of some; `like` are examples, or none, that are judged as those of `make`.
  init(
    _ part: FileBlocks, most: Int, seed: UInt64, sample: [Int], haveOneLength: Bool,
    like: any SequenceExamples, make: @escaping Make
  ) {
    (self.part, self.seed, self.haveOneLength) = (part, seed, haveOneLength)
    count = min(part.count, most)
    lengths = BatchPlan.classes(sample)
    (self.like, self.make) = (like, make)
  }

  func length(_ index: Int) -> Int { lengths.last ?? 1 }
  var ragged: (lengths: [Int], pool: Int)? {
    haveOneLength ? nil : (lengths, Int(Self.poolBytes / part.records.meanBytes))
  }
  var timePooling: TimePooling? { like.timePooling }
  var graphLoss: GraphLoss { like.graphLoss }
  var weights: [Double]? { like.weights }
  func makeTally() -> any ExampleTally { like.makeTally() }

  func read(_ examples: [Int], epoch: Int) throws(CarouselError) -> ExampleSelection {
    let random = Philox(seed: seed, stream: RandomStream.places(epoch: epoch))
    var records: [RecordFile.Record] = []
    for example in examples {
      records.append(
        try part.record(at: (Double(example) + random.uniform(example)) / Double(count)).record)
    }
    let source = try make(records)
    try part.requireLengths(records, source.length)
    return ExampleSelection(source: source, indices: Array(examples.indices))
  }
}

extension BatchPlan {
  /// The length of a pass for sequences of at most `longest` steps: one of `lengths`, which rise, or where they are
  /// all too short one that is a quarter longer, or a quarter of that.
  static func length(_ longest: Int, among lengths: [Int]) -> Int {
    if let known = lengths.first(where: { $0 >= longest }) { return known }
    var length = max(lengths.last ?? 1, 1)
    while length < longest { length += (length + 3) / 4 }
    return length
  }
}

extension RandomStream {
  /// Where the sequences of an epoch are read.
  static func places(epoch: Int) -> UInt64 { 14 << 56 | UInt64(epoch) }
}
