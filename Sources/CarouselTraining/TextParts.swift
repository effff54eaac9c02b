import CarouselFormats
import CarouselModel

/// A text cut into what a network is trained on, what is held out, and what the best model is tested on.
struct TextParts {
  /// A text that measures a network.
  struct Measure {
    let content: TextContent
    /// The bytes of a character; nil where the text is not UTF-8.
    let bytesPerCharacter: Double?
  }

  /// What a run remembers of the text, and of those of their own.
  let identity: TrainingText.Identity, heldOut: HeldOutTexts.Identity?
  /// The first part, as streams.
  let training: TextStreams
  /// The bytes of a character in the first part; nil where the text is not UTF-8.
  let bytesPerCharacter: Double?
  /// The part behind it, or a text of its own; nil where nothing is held out.
  let validation: Measure?
  /// The last part, or a text of its own; nil where nothing is tested on.
  let test: Measure?

  /// Throws where a part is too short.
  init(
    _ text: TrainingText, _ heldOut: HeldOutTexts, settings: TrainingSettings,
    vocabulary: ByteVocabulary
  ) throws(CarouselError) {
    (identity, self.heldOut) = (text.identity, heldOut.identity)
    let count = text.content.count
    let shares = (
      validation: heldOut.validation == nil ? settings.validation : 0,
      test: heldOut.test == nil ? settings.test ?? 0 : 0
    )
    let testStart = count - text.count(share: shares.test)
    let trainingCount = testStart - text.count(share: shares.validation)
    let window = Shape.count(of: [settings.updateSize, settings.sequenceLength])
    guard let window, window < trainingCount else {
      let needed = window.map { "at least \($0 + 1)" } ?? "more"
      throw CarouselError(
        .badData,
        "\(text.name): a batch size of \(settings.updateSize) times \(settings.sequenceLength) steps needs "
          + "\(needed) bytes to train on, found \(trainingCount) of \(count) bytes, "
          + "\(count - trainingCount) of them held out")
    }
    validation = try Self.measure(
      text, trainingCount..<testStart, heldOut.validation, share: ("validation", shares.validation))
    test = try Self.measure(
      text, testStart..<count, heldOut.test, share: ("test", shares.test))
    training = try TextStreams(
      text.content.part(0..<trainingCount), vocabulary: vocabulary, batchSize: settings.updateSize,
      sequenceLength: settings.sequenceLength, remainder: .dropped)
    bytesPerCharacter = text.bytesPerCharacter(in: 0..<trainingCount)
  }

  private static func measure(
    _ text: TrainingText, _ part: Range<Int>, _ other: TrainingText?,
    share: (name: String, value: Double)
  ) throws(CarouselError) -> Measure? {
    if let other {
      return Measure(
        content: other.content,
        bytesPerCharacter: other.bytesPerCharacter(in: 0..<other.content.count))
    }
    guard share.value > 0 else { return nil }
    guard part.count >= 2 else {
      throw CarouselError(
        .badData,
        "\(text.name): a \(share.name) share of \(share.value) needs at least 2 bytes to "
          + "hold out, found \(part.count) of \(text.content.count) bytes")
    }
    return Measure(
      content: text.content.part(part), bytesPerCharacter: text.bytesPerCharacter(in: part))
  }
}
