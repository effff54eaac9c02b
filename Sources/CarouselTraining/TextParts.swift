import CarouselFormats
import CarouselModel

/// A text cut into what a network is trained on and what is held out.
struct TextParts {
  /// The first part, as streams.
  let training: TextStreams
  /// The last part; nil where nothing is held out.
  let heldOut: TextContent?
  /// The bytes of a character in either part; nil where the text is not UTF-8.
  let bytesPerCharacter: (training: Double?, heldOut: Double?)

  /// Throws where a part is too short.
  init(
    _ text: TrainingText, settings: TrainingSettings, vocabulary: ByteVocabulary
  ) throws(CarouselError) {
    let count = text.content.count
    let heldOutCount = text.heldOutCount(share: settings.validation)
    let trainingCount = count - heldOutCount
    let window = Shape.count(of: [settings.updateSize, settings.sequenceLength])
    guard let window, window < trainingCount else {
      let needed = window.map { "at least \($0 + 1)" } ?? "more"
      throw CarouselError(
        .badData,
        "\(text.name): a batch size of \(settings.updateSize) times \(settings.sequenceLength) steps needs "
          + "\(needed) bytes to train on, found \(trainingCount) of \(count) bytes, "
          + "\(heldOutCount) of them held out")
    }
    guard settings.validation == 0 || heldOutCount >= 2 else {
      throw CarouselError(
        .badData,
        "\(text.name): a validation share of \(settings.validation) needs at least 2 bytes to "
          + "hold out, found \(heldOutCount) of \(count) bytes")
    }
    training = try TextStreams(
      text.content.part(0..<trainingCount), vocabulary: vocabulary, batchSize: settings.updateSize,
      sequenceLength: settings.sequenceLength, remainder: .dropped)
    heldOut = settings.validation == 0 ? nil : text.content.part(trainingCount..<count)
    bytesPerCharacter = (
      text.bytesPerCharacter(in: 0..<trainingCount),
      text.bytesPerCharacter(in: trainingCount..<count)
    )
  }
}
