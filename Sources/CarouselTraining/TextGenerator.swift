import CarouselModel

/// Writes text with a network, byte by byte.
public final class TextGenerator<B: Backend> {
  private let vocabulary: ByteVocabulary
  private let pass: NetworkPass<B>

  /// Allocates activations for one sequence.
  public init(_ network: Network<B>, vocabulary: ByteVocabulary) throws {
    guard network.configuration.vocabularySize == vocabulary.count else {
      throw CarouselError(
        .usage, "the network does not read the \(vocabulary.count) bytes of the vocabulary")
    }
    self.vocabulary = vocabulary
    pass = try NetworkPass(network, steps: 1, batchSize: 1, training: false)
  }

  /// Reads `prompt` from a zero state on and hands `length` bytes that follow it to `body`, one by
  /// one.
  ///
  /// An empty prompt stands for the end of a line, or, where the vocabulary has no newline, for its
  /// first byte. Byte i is drawn with number i of the stream `RandomStream.sampling` of `seed`. Throws
  /// where the vocabulary lacks a byte of the prompt.
  public func generate(
    prompt: [UInt8], length: Int, sampler: TokenSampler, seed: UInt64,
    body: (UInt8) throws -> Void
  ) throws {
    guard length >= 0 else {
      throw CarouselError(.usage, "the length must be at least 0, but is \(length)")
    }
    let start = vocabulary.token(UInt8(ascii: "\n")) ?? 0
    let read = try prompt.isEmpty ? [start] : vocabulary.encode(prompt, source: "the prompt")
    let random = Philox(seed: seed, stream: RandomStream.sampling)
    try pass.resetStates()
    for token in read { try pass.forward(tokens: [token]) }
    for index in 0..<length {
      let logits = try pass.network.backend.read(pass.logits, count: vocabulary.count)
      let token = sampler.token(logits: logits, uniform: random.uniform(index))
      try body(vocabulary.bytes[Int(token)])
      if index < length - 1 { try pass.forward(tokens: [token]) }
    }
  }
}
