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
}

/// Predicts every byte of a text but the first from those before it.
///
/// The text is cut into at most 64 streams of at least 1024 bytes, read side by side with their
/// states carried from window to window, each from a zero state on. So the result depends on the
/// text and the parameters alone, not on how the network was trained. With a limit each stream is its
/// first part alone, so that the bytes that are predicted are spread evenly over the text, always the same.
public final class TextEvaluator<B: Backend> {
  let streams: TextStreams
  private let pass: NetworkPass<B>

  /// The same of bytes in memory.
  public convenience init(
    _ network: Network<B>, text: ArraySlice<UInt8>, vocabulary: ByteVocabulary, limit: Int? = nil
  ) throws {
    try self.init(network, text: TextContent(text), vocabulary: vocabulary, limit: limit)
  }

  /// Cuts a text of at least 2 bytes, each known to the vocabulary, and allocates activations; with a
  /// `limit` about so many bytes are predicted at most.
  public init(
    _ network: Network<B>, text: TextContent, vocabulary: ByteVocabulary, limit: Int? = nil
  ) throws {
    guard text.count >= 2 else {
      throw CarouselError(
        .badData, "a text needs at least 2 bytes to be evaluated, but has \(text.count)")
    }
    let batchSize = min(max((text.count - 1) / 1024, 1), 64)
    streams = try TextStreams(
      text, vocabulary: vocabulary, batchSize: batchSize, sequenceLength: min(64, text.count - 1),
      remainder: .padded, limit: limit)
    pass = try NetworkPass(
      network, sequenceLength: streams.sequenceLength, batchSize: batchSize, training: false)
  }

  /// Evaluates the network as its parameters are now; nil where `shouldStop` became true on the way.
  public func evaluate(shouldStop: () throws -> Bool = { false }) throws -> TextEvaluation? {
    try pass.resetStates()
    var sum = 0.0
    var count = 0
    for index in 0..<streams.windowCount {
      if try shouldStop() { return nil }
      let window = try streams.window(index)
      let counted = window.targets.count { $0 >= 0 }
      try pass.forward(tokens: window.inputs)
      sum += try pass.loss(targets: window.targets) * Double(counted)
      count += counted
    }
    return TextEvaluation(loss: sum / Double(count), count: count)
  }
}
