import CarouselModel

/// Reads the examples of batches.
///
/// Of a file that alone tells how long its sequences are, those of some batches are read at once, sorted by length
/// and cut into batches again, whose order is shuffled, so that little is computed past their ends.
final class BatchReader {
  private let examples: any ExampleSource
  private let batchSize: Int
  private let seed: UInt64
  /// The batches that were read at once.
  private var pool: Pool?

  private struct Pool {
    let epoch: Int, number: Int
    let source: any SequenceExamples
    let batches: [[Int]]
  }

  /// Reads batches of at most `batchSize` examples; the seed decides their order.
  init(_ examples: any ExampleSource, batchSize: Int, seed: UInt64) {
    (self.examples, self.batchSize, self.seed) = (examples, batchSize, seed)
  }

  /// Batch `index` of `count` in an epoch, and the length that all of its examples fit; `planned` says which examples
  /// a batch has, and their length where that is known.
  func batch(
    _ index: Int, of count: Int, epoch: Int,
    planned: (Int) -> (examples: [Int], sequenceLength: Int)
  ) throws(CarouselError) -> (chosen: ExampleSelection, length: Int) {
    guard let (lengths, size) = examples.ragged else {
      let (indices, length) = planned(index)
      return (try examples.read(indices, epoch: epoch), length)
    }
    let batches = min(max(size / batchSize, 1), BatchPlan.poolBatches)
    let number = index / batches
    let first = number * batches
    if pool?.number != number || pool?.epoch != epoch {
      pool = nil
      let indices = (first..<min(first + batches, count)).flatMap { planned($0).examples }
      pool = sorted(try examples.read(indices, epoch: epoch), epoch, number)
    }
    guard let pool else { preconditionFailure("no examples were read") }
    let indices = pool.batches[index - first]
    let longest = indices.reduce(1) { max($0, pool.source.length($1)) }
    return (
      ExampleSelection(source: pool.source, indices: indices),
      BatchPlan.length(longest, among: lengths)
    )
  }

  private func sorted(_ read: ExampleSelection, _ epoch: Int, _ number: Int) -> Pool {
    let source = read.source
    let sorted = read.indices.sorted { (source.length($0), $0) < (source.length($1), $1) }
    var batches = stride(from: 0, to: sorted.count, by: batchSize).map {
      Array(sorted[$0..<min($0 + batchSize, sorted.count)])
    }
    batches.shuffle(
      by: Philox(seed: seed, stream: RandomStream.pool(epoch: epoch, number)), from: 0)
    return Pool(epoch: epoch, number: number, source: source, batches: batches)
  }
}

extension RandomStream {
  /// The order of the batches that are read at once.
  static func pool(epoch: Int, _ number: Int) -> UInt64 {
    15 << 56 | UInt64(epoch) << 24 | UInt64(number)
  }
}
