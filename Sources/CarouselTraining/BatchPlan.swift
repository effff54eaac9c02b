import CarouselModel

/// Which examples are read together: a function of the seed and of how many steps were taken before.
///
/// Each epoch has the examples in an order of its own. Within pools of some batches they are sorted by
/// length, so that little is computed past the ends of sequences, and the batches are shuffled again.
final class BatchPlan {
  /// N.
  let batchSize: Int
  /// The training steps of an epoch, of which the last may be a smaller batch.
  let epochSteps: Int
  private let lengths: [Int]
  private let seed: UInt64
  private let isRagged: Bool
  /// The lengths that passes are made for, rising.
  private let classes: [Int]
  private var epoch = -1
  private var order: [[Int]] = []

  /// The batches that are sorted together.
  static let poolBatches = 32

  /// Plans batches of examples with these lengths, of which there is at least one.
  init(lengths: [Int], batchSize: Int, seed: UInt64) {
    self.lengths = lengths
    self.batchSize = batchSize
    self.seed = seed
    epochSteps = (lengths.count + batchSize - 1) / batchSize
    classes = Self.classes(lengths)
    isRagged = classes.count > 1
  }

  /// The lengths to which those of batches are rounded up: the longest, and others a quarter apart, at
  /// most eight.
  static func classes(_ lengths: [Int]) -> [Int] {
    guard let longest = lengths.max(), let shortest = lengths.min() else { return [] }
    var classes = [max(longest, 1)]
    while classes.count < 8 {
      let next = classes[classes.count - 1] * 4 / 5
      guard next >= max(shortest, 1) else { break }
      classes.append(next)
    }
    return classes.reversed()
  }

  /// The examples of a training step, counted from 0, and the length that all of them fit.
  func batch(_ step: Int) -> (examples: [Int], sequenceLength: Int) {
    let (epoch, index) = step.quotientAndRemainder(dividingBy: epochSteps)
    if epoch != self.epoch {
      order = batches(epoch)
      self.epoch = epoch
    }
    return (order[index], sequenceLength(order[index]))
  }

  /// The length of the pass that a batch is computed by.
  func sequenceLength(_ examples: [Int]) -> Int {
    let longest = examples.reduce(1) { max($0, lengths[$1]) }
    return classes.first { $0 >= longest } ?? longest
  }

  private func batches(_ epoch: Int) -> [[Int]] {
    let random = Philox(seed: seed, stream: RandomStream.shuffle(epoch: epoch))
    var examples = Array(lengths.indices)
    examples.shuffle(by: random, from: 0)
    if isRagged {
      let pool = Self.poolBatches * batchSize
      for start in stride(from: 0, to: examples.count, by: pool) {
        let range = start..<min(start + pool, examples.count)
        let sorted = range.sorted { a, b in
          (lengths[examples[a]], a) < (lengths[examples[b]], b)
        }
        examples.replaceSubrange(range, with: sorted.map { examples[$0] })
      }
    }
    var batches = stride(from: 0, to: examples.count, by: batchSize).map { start in
      Array(examples[start..<min(start + batchSize, examples.count)])
    }
    batches.shuffle(by: random, from: examples.count)
    return batches
  }
}

extension Array {
  /// Fisher and Yates' shuffle with the words of a generator from `first` on.
  mutating func shuffle(by random: Philox, from first: Int) {
    for index in indices.dropFirst().reversed() {
      let word = UInt64(random.word(first + index))
      swapAt(index, Int((word * UInt64(index + 1)) >> 32))
    }
  }
}

extension RandomStream {
  /// The order of examples in an epoch.
  static func shuffle(epoch: Int) -> UInt64 { 11 << 56 | UInt64(epoch) }
  /// Which examples are held out, by what for.
  static func split(_ part: Int) -> UInt64 { 12 << 56 | UInt64(part) }
  /// Which rare words are read as unknown in a training step.
  static func rareWords(step: Int) -> UInt64 { 13 << 56 | UInt64(step) }
}
