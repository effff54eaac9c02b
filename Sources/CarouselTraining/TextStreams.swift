import CarouselFormats
import CarouselModel

/// A text cut into N contiguous streams that are read side by side, T tokens at a time.
///
/// The token of byte p is an input, that of byte p + 1 its target. Stream n begins at p = n·S, or, where a
/// part of the text is read, further apart; window w holds for stream n the inputs from w·T behind that on. A network that carries its state from window to
/// window therefore reads each stream as one text.
public struct TextStreams: Sendable {
  /// What becomes of the targets that do not fill N streams of whole windows.
  public enum Remainder: Sendable {
    /// They are left out: every target of every window counts.
    case dropped
    /// Streams and windows are filled up with targets of −1, so that each token but the first is a
    /// target exactly once.
    case padded
  }

  /// One step of truncated backpropagation: inputs and targets, each `[T, N]`.
  public struct Window: Equatable, Sendable {
    /// The tokens that the network reads, `[T, N]`.
    public var inputs: [Int32]
    /// The tokens that it has to predict, `[T, N]`; −1 where there is none.
    public var targets: [Int32]
  }

  /// The whole text.
  public let text: TextContent
  /// The vocabulary, which knows each of its bytes.
  public let vocabulary: ByteVocabulary
  /// T, the tokens of a window in each stream.
  public let sequenceLength: Int
  /// N, the number of streams.
  public let batchSize: Int
  /// S, the targets of a stream.
  public let streamLength: Int
  /// The bytes from the beginning of one stream to that of the next: S where the whole text is read.
  public let streamStride: Int
  /// The windows that walk all streams once.
  public let windowCount: Int

  /// Cuts a text, or a part of one; the bytes become tokens where a window is taken.
  ///
  /// With a dropped remainder a text shorter than one window has `windowCount` 0. With a `limit` below the
  /// number of targets at most so many of them are read, rounded up to whole streams: all streams are as
  /// long, and spread evenly over the text.
  public init(
    _ text: TextContent, vocabulary: ByteVocabulary, batchSize: Int, sequenceLength: Int,
    remainder: Remainder, limit: Int? = nil
  ) throws(CarouselError) {
    guard batchSize > 0, sequenceLength > 0 else {
      throw CarouselError(
        .usage,
        "a text cannot be cut into \(batchSize) streams of windows of \(sequenceLength) bytes")
    }
    let targets = max(text.count - 1, 0)
    let read = min(max(limit ?? targets, 1), targets)
    self.text = text
    self.vocabulary = vocabulary
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    switch remainder {
    case .dropped:
      windowCount = read / batchSize / sequenceLength
      streamLength = read / batchSize
    case .padded:
      streamLength = (read + batchSize - 1) / batchSize
      windowCount = (streamLength + sequenceLength - 1) / sequenceLength
    }
    streamStride = read < targets ? max(targets / batchSize, streamLength) : streamLength
  }

  /// The same of bytes in memory.
  public init(
    _ text: ArraySlice<UInt8>, vocabulary: ByteVocabulary, batchSize: Int, sequenceLength: Int,
    remainder: Remainder, limit: Int? = nil
  ) throws(CarouselError) {
    try self.init(
      TextContent(text), vocabulary: vocabulary, batchSize: batchSize,
      sequenceLength: sequenceLength, remainder: remainder, limit: limit)
  }

  /// Window `index`, at least 0 and below `windowCount`; throws where there is no such window, and where
  /// the vocabulary lacks a byte.
  public func window(_ index: Int) throws(CarouselError) -> Window {
    try window(index, streams: 0..<batchSize)
  }

  /// The same of some streams alone, `[T, streams.count]`.
  func window(_ index: Int, streams: Range<Int>) throws(CarouselError) -> Window {
    guard (0..<windowCount).contains(index) else {
      throw CarouselError(.usage, "window \(index) is not one of the \(windowCount) of the text")
    }
    let width = streams.count
    var window = Window(
      inputs: [Int32](repeating: 0, count: sequenceLength * width),
      targets: [Int32](repeating: -1, count: sequenceLength * width))
    let steps = min(sequenceLength, streamLength - index * sequenceLength)
    for (place, stream) in streams.enumerated() {
      let first = stream * streamStride + index * sequenceLength
      // One byte more than there are inputs: the last target. The last stream may have ended before.
      let end = min(first + steps + 1, text.count)
      guard end - first > 1 else { continue }
      let range = first..<end
      try text.withBytes(range) { bytes throws(CarouselError) in
        var token = try token(bytes[0], first)
        for step in 0..<range.count - 1 {
          window.inputs[step * width + place] = token
          token = try self.token(bytes[step + 1], first + step + 1)
          window.targets[step * width + place] = token
        }
      }
    }
    return window
  }

  private func token(_ byte: UInt8, _ position: Int) throws(CarouselError) -> Int32 {
    guard let token = vocabulary.token(byte) else {
      throw CarouselError(
        .badData, "the vocabulary lacks the byte \(byte) at offset \(position) of the text")
    }
    return token
  }
}
