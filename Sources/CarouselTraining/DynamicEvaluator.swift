import CarouselFormats
import CarouselModel

/// Predicts every byte of a text but the first from those before it, and learns from them as it goes on.
///
/// This is dynamic evaluation (Mikolov et al. 2010; Krause et al. 2018). The text is read in order, T bytes at a time.
/// Of each window the loss is counted first; then the parameters take one step of Adam down its gradient, without
/// dropout. So no byte is predicted by a network that has seen it: the result is what a compressor would need that
/// learns from what it has written, as bzip2 does. The network keeps the parameters that it ended with.
///
/// It costs a training pass over one sequence, where a `TextEvaluator` reads up to 64 streams side by side.
public final class DynamicEvaluator<B: Backend> {
  private let network: Network<B>
  private let streams: TextStreams
  private let pass: TrainingPass<B>
  private let optimizer: OptimizerState<B>
  private let learningRate: Double

  /// T, the bytes after which the network learns.
  public static var sequenceLength: Int { 20 }

  /// Prepares to read a text of at least 2 bytes, each known to the vocabulary, and allocates activations.
  ///
  /// Throws where the text is shorter, the learning rate is not a number above 0, or the device has no room.
  public init(
    _ network: Network<B>, text: TextContent, vocabulary: ByteVocabulary, learningRate: Double
  ) throws {
    guard learningRate > 0, learningRate.isFinite else {
      throw CarouselError(
        .usage, "the learning rate must be a number above 0, but is \(learningRate)")
    }
    try TextEvaluation.requireLength(of: text)
    (self.network, self.learningRate) = (network, learningRate)
    streams = try TextStreams(
      text, vocabulary: vocabulary, batchSize: 1,
      sequenceLength: min(Self.sequenceLength, text.count - 1), remainder: .padded)
    pass = try TrainingPass(network.model, sequenceLength: streams.sequenceLength, batchSize: 1)
    optimizer = try OptimizerState(OptimizerSettings().optimizer, store: network.parameters)
  }

  /// The passes that an evaluation is.
  public var passCount: Int { streams.windowCount }

  /// Reads the text.
  ///
  /// `shouldStop` is asked before each pass; once it says true, the result is nil.
  public func evaluate(shouldStop: () throws -> Bool = { false }) throws -> TextEvaluation? {
    try pass.states.reset()
    var sum = 0.0
    var count = 0
    for index in 0..<streams.windowCount {
      if try shouldStop() { return nil }
      let window = try streams.window(index)
      let counted = window.targets.count { $0 >= 0 }
      try pass.queueGradients(
        network.configuration.tensors(
          .tokens(window.inputs), .classes(window.targets), streams.sequenceLength, 1),
        count: Double(counted))
      try optimizer.queueStep(index + 1, learningRate: learningRate, clipNorm: 1)
      sum += try pass.readLoss() * Double(counted)
      count += counted
    }
    return TextEvaluation(loss: sum / Double(count), count: count)
  }
}
