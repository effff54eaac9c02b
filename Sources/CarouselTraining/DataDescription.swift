import CarouselFormats
import CarouselModel

/// What a model knows of the data that it was trained on: all that new data need to be read alike.
public struct DataDescription: Hashable, Sendable, Codable {
  /// How the files were read.
  public var settings: DataSettings
  /// What drew the examples that are held out.
  public var seed: UInt64 = 1
  /// The names of the numbers of a step; none where words are read.
  public var channels: [String] = []
  /// What each channel is reduced by and divided by before the network reads it, from the training part.
  public var mean: [Double] = [], scale: [Double] = []
  /// The classes, or the tags, in the order of the outputs.
  public var classes: [String]?
  /// The words behind the tokens from 1 on; token 0 is any other.
  public var words: [String]?
  /// How a forecast is scaled.
  public var forecast: ForecastScaling?
  /// The length of the longest sequence in the training part.
  public var longest = 1
  /// The sequences that all this was learnt from, where the file is too large to be read before.
  public var sampleSize: Int?
  /// The hash of the training and validation parts, 64 bits as hexadecimal digits.
  public var hash = ""

  /// Describes data that are read by `settings`.
  public init(settings: DataSettings, seed: UInt64 = 1) {
    (self.settings, self.seed) = (settings, seed)
  }

  /// The network around recurrent layers that the data need.
  public func network(_ recurrent: RecurrentConfiguration) -> NetworkConfiguration {
    var recurrent = recurrent
    if words == nil { recurrent.inputSize = channels.count }
    return NetworkConfiguration(
      vocabularySize: words.map { $0.count + 1 }, recurrent: recurrent, outputSize: outputSize)
  }

  /// The end of a sentence about a class or a tag that is not known.
  func refusal(of name: String, _ what: String) -> String {
    var (expected, hint) = ("a \(what) seen in training", "")
    if settings.classes != nil {
      expected = "one of --classes"
    } else if let sampleSize {
      expected = "a \(what) of the sample of \(sampleSize) sequences that was read before"
      hint = "; --classes names all"
    }
    return "expected \(expected), found '\(name)'" + suggestion(for: name, among: classes ?? [])
      + hint
  }

  private var outputSize: Int {
    if let forecast {
      return settings.horizon * forecast.targetScale.count * settings.loss.outputCount
    }
    return classes?.count ?? 0
  }

  /// Throws where the parts of a description that was read from a file do not fit each other.
  func validate(for task: TrainingTask) throws(CarouselError) {
    try settings.validate()
    let numbers = mean + scale
    try require(
      mean.count == channels.count && scale.count == channels.count
        && numbers.allSatisfy(\.isFinite) && scale.allSatisfy { $0 > 0 },
      "a finite mean and a scale above 0 for each of \(channels.count) channels")
    try require(
      1...TrainingSettings.maximumSize ~= longest, "a longest sequence of at least 1 step")
    guard let task = task.exampleTask else {
      throw CarouselError(
        .badData, "expected no description of data for the task \(task.rawValue)")
    }
    try task.validate(self)
  }

  /// Throws where something is not so.
  func require(_ isTrue: Bool, _ expected: String) throws(CarouselError) {
    guard isTrue else { throw CarouselError(.badData, "expected \(expected)") }
  }

  /// Throws where the names of classes and words are not what a task needs that has classes.
  func requireClasses(ofWords: Bool) throws(CarouselError) {
    try require(!(classes ?? []).isEmpty, "the classes of the task")
    try require(Set(classes ?? []).count == classes?.count, "a name of its own for each class")
    try require(
      (words != nil) == ofWords && channels.isEmpty == ofWords,
      "channels of numbers for classify, words for tag")
    try require(Set(words ?? []).count == words?.count ?? 0, "each word once")
  }
}

/// The hash FNV-1a of whole words, 64 bits.
struct DataHash {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// Takes a word.
  mutating func add(_ word: UInt64) { state = (state ^ word) &* 0x100_0000_01B3 }

  /// Takes texts.
  mutating func add(_ texts: [String]) {
    for text in texts {
      for byte in text.utf8 { add(UInt64(byte)) }
      add(0xFFFF)
    }
  }

  /// The hash as hexadecimal digits.
  var text: String { String(state, radix: 16) }
}
