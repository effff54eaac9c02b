import CarouselFormats
import CarouselModel
import Foundation

/// How well a network predicts a text.
public struct TextEvaluation: Hashable, Sendable {
  /// The mean cross-entropy in nats.
  public let loss: Double
  /// The bytes that were predicted: all but the first.
  public let count: Int

  /// exp(loss).
  public var perplexity: Double { exp(loss) }

  /// Throws where there is nothing to predict in a text.
  static func requireLength(of text: TextContent) throws(CarouselError) {
    guard text.count >= 2 else {
      throw CarouselError(
        .badData, "a text needs at least 2 bytes to be evaluated, but has \(text.count)")
    }
  }
}

/// Predicts every byte of a text but the first from those before it.
///
/// The text is cut into at most 64 streams of at least 1024 bytes, read side by side with their
/// states carried from window to window, each from a zero state on. So the result depends on the
/// text and the parameters alone, not on how the network was trained. With a limit each stream is its
/// first part alone, so that the bytes that are predicted are spread evenly over the text, always the same.
///
/// With V shards the streams are cut into V groups, each computed by itself; the last bits of the result follow V.
/// Several ranks share the groups, and each counts what all computed: their number decides no bit.
public final class TextEvaluator<B: Backend> {
  let streams: TextStreams
  /// The streams of the groups of this rank; none where there are fewer streams than groups.
  private let groups: [Range<Int>]
  /// A pass for each size of a group.
  private let passes: [Int: NetworkPass<B>]
  private let ranks: any Communicator

  /// The same of bytes in memory.
  public convenience init(
    _ network: Network<B>, text: ArraySlice<UInt8>, vocabulary: ByteVocabulary, limit: Int? = nil
  ) throws {
    try self.init(network, text: TextContent(text), vocabulary: vocabulary, limit: limit)
  }

  /// Cuts a text of at least 2 bytes, each known to the vocabulary, and allocates activations; with a
  /// `limit` about so many bytes are predicted at most.
  ///
  /// Throws a usage error too where the ranks cannot share the `shards` evenly.
  public init(
    _ network: Network<B>, text: TextContent, vocabulary: ByteVocabulary, limit: Int? = nil,
    shards: Int = 1, ranks: any Communicator = Alone()
  ) throws {
    try ranks.requireEvenShares(of: shards)
    try TextEvaluation.requireLength(of: text)
    let batchSize = min(max((text.count - 1) / 1024, 1), 64)
    streams = try TextStreams(
      text, vocabulary: vocabulary, batchSize: batchSize, sequenceLength: min(64, text.count - 1),
      remainder: .padded, limit: limit)
    self.ranks = ranks
    let each = shards / ranks.count
    groups = (ranks.rank * each..<(ranks.rank + 1) * each).map { group in
      group * batchSize / shards..<(group + 1) * batchSize / shards
    }
    var passes: [Int: NetworkPass<B>] = [:]
    for size in Set(groups.map(\.count)) where size > 0 {
      passes[size] = try NetworkPass(
        network, sequenceLength: streams.sequenceLength, batchSize: size, purpose: .loss)
    }
    self.passes = passes
  }

  /// The passes that an evaluation is, of each rank.
  public var passCount: Int { groups.count * streams.windowCount }

  /// Evaluates the network as its parameters are now; nil where `shouldStop` became true on the way.
  public func evaluate(shouldStop: () throws -> Bool = { false }) throws -> TextEvaluation? {
    // Of each group the sum of the losses, and the bytes that were predicted.
    var sums: [Double] = []
    for group in groups {
      guard let sum = try evaluate(group, shouldStop) else { return nil }
      sums += [sum.loss, Double(sum.count)]
    }
    let all = try ranks.gather(
      sums, counts: [Int](repeating: sums.count, count: ranks.count))
    let loss = stride(from: 0, to: all.count, by: 2).reduce(0) { $0 + all[$1] }
    let count = stride(from: 1, to: all.count, by: 2).reduce(0) { $0 + Int(all[$1]) }
    return TextEvaluation(loss: loss / Double(count), count: count)
  }

  /// Reads a group of streams to their ends; every rank asks `shouldStop` as often.
  private func evaluate(
    _ group: Range<Int>, _ shouldStop: () throws -> Bool
  ) throws -> (loss: Double, count: Int)? {
    let pass = passes[group.count]
    try pass?.resetStates()
    var sum = 0.0
    var count = 0
    for index in 0..<streams.windowCount {
      if try shouldStop() { return nil }
      guard let pass else { continue }
      let window = try streams.window(index, streams: group)
      let counted = window.targets.count { $0 >= 0 }
      // The last streams of a text may have ended: the loss is 0 then.
      sum += try pass.loss(tokens: window.inputs, targets: window.targets) * Double(counted)
      count += counted
    }
    return (sum, count)
  }
}
