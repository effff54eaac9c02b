import CarouselFormats
import CarouselModel

/// Texts of their own beside the one that is trained on; where one is nil, the settings say which share of the
/// training text takes its place.
public struct HeldOutTexts: Sendable {
  /// What a run remembers of them.
  public struct Identity: Hashable, Sendable, Codable {
    /// What evaluations measure.
    public var validation: TrainingText.Identity?
    /// What the best model is tested on.
    public var test: TrainingText.Identity?
  }

  /// What evaluations measure while the network is trained.
  public var validation: TrainingText?
  /// What the best model is tested on.
  public var test: TrainingText?

  /// Takes texts.
  public init(validation: TrainingText? = nil, test: TrainingText? = nil) {
    (self.validation, self.test) = (validation, test)
  }

  /// Those that are given.
  public var all: [TrainingText] { [validation, test].compactMap(\.self) }

  /// The bytes that occur in them and in the text that is trained on; all 256 where one stays in its files.
  public func vocabulary(with training: TrainingText) -> ByteVocabulary {
    all.reduce(training.vocabulary) { $0.union($1.vocabulary) }
  }

  /// What a run remembers of them; nil where there are none.
  var identity: Identity? {
    all.isEmpty ? nil : Identity(validation: validation?.identity, test: test?.identity)
  }

  /// Throws where these are not the texts that the run in a checkpoint is measured on.
  func require(_ known: Identity?, of checkpoint: Checkpoint) throws(CarouselError) {
    for (name, text, known) in [
      ("validation", validation, known?.validation), ("test", test, known?.test),
    ] {
      if let text {
        try text.require(known, of: checkpoint)
      } else if let known {
        throw CarouselError(
          .usage,
          "\(checkpoint.path): expected the \(name) text '\(known.files.joined(separator: ", "))' that "
            + "the run began with, found none")
      }
    }
  }
}

extension TrainingText {
  /// Throws where this is not the text that the run in a checkpoint began with.
  func require(_ known: Identity?, of checkpoint: Checkpoint) throws(CarouselError) {
    if let known, identity.byteCount == known.byteCount, identity.hash == known.hash { return }
    throw CarouselError(
      .badData,
      "\(name): expected the text that '\(checkpoint.path)' was trained on, "
        + (known.map { "\($0.byteCount) bytes with the hash \($0.hash)" } ?? "none")
        + ", found \(identity.byteCount) bytes with the hash \(identity.hash); --from begins a new "
        + "run from its weights with any text")
  }
}
