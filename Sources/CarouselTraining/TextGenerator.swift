import CarouselFormats
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
    pass = try NetworkPass(network, sequenceLength: 1, batchSize: 1, purpose: .outputs)
  }

  /// Reads `prompt` from a zero state on and hands `length` bytes that follow it to `body`, one by
  /// one.
  ///
  /// An empty prompt stands for the end of a line, or, where the vocabulary has no newline, for its
  /// first byte. Byte i is drawn with number i of the stream `RandomStream.sampling` of `seed`. With
  /// `wholeCharacters` no byte is drawn that UTF-8 does not allow there, or whose character would not
  /// be complete; there are fewer than `length` bytes where the vocabulary has none for the last ones.
  ///
  /// Throws where the vocabulary lacks a byte of the prompt, and `checkFailed` where a logit is not
  /// finite.
  public func generate(
    prompt: [UInt8], length: Int, sampler: TokenSampler, seed: UInt64,
    wholeCharacters: Bool = false,
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
    var characters = UTF8Scanner()
    for index in 0..<length {
      var logits = try pass.network.backend.read(pass.logits, count: vocabulary.count)
      try check(logits, afterBytes: index)
      if wholeCharacters {
        for (token, byte) in vocabulary.bytes.enumerated()
        where !characters.canTake(byte, within: length - index) {
          logits[token] = -.infinity
        }
        guard logits.contains(where: \.isFinite) else { return }
      }
      let token = try sampler.token(logits: logits, uniform: random.uniform(index))
      let byte = vocabulary.bytes[Int(token)]
      if wholeCharacters { characters.accept(byte) }
      try body(byte)
      if index < length - 1 { try pass.forward(tokens: [token]) }
    }
  }

  private func check(_ logits: [Double], afterBytes count: Int) throws(CarouselError) {
    guard let token = logits.firstIndex(where: { !$0.isFinite }) else { return }
    throw CarouselError(
      .checkFailed,
      "expected finite logits, but after \(count) written bytes the network gave \(logits[token]) for "
        + "the byte \(ByteVocabulary.name(of: vocabulary.bytes[token]))")
  }
}
