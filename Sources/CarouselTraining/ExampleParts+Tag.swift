import CarouselFormats
import CarouselModel

extension ExampleParts {
  /// Sequences of words with tags.
  init(tag settings: DataSettings, seed: UInt64) throws(CarouselError) {
    let set = try TaggedSet(settings.file, settings)
    let parts = try Self.split(
      count: set.count, keys: [], validation: settings.validation, test: settings.test, seed: seed,
      place: { "\(set.source): line \(set.lines[$0])" })
    let training = set.selecting(parts.training)
    var description = DataDescription(settings: settings, seed: seed)
    let rare = try description.learn(from: training)
    var hash = DataHash()
    set.add(to: &hash)
    self.training = try TagExamples(
      training, description, rare: rare,
      weights: description.classWeights(training.tags.joined()),
      smoothing: settings.labelSmoothing)
    func examples(
      _ heldOut: HeldOut?, _ indices: [Int], _ hash: inout DataHash
    ) throws(CarouselError) -> TagExamples? {
      guard let path = heldOut?.file else {
        return indices.isEmpty ? nil : try TagExamples(set.selecting(indices), description)
      }
      let other = try TaggedSet(path, settings)
      other.add(to: &hash)
      return try TagExamples(other, description)
    }
    validation = try examples(settings.validation, parts.validation, &hash)
    test = try examples(settings.test, parts.test, &hash)
    description.hash = hash.text
    self.description = description
  }
}

extension DataDescription {
  /// Learns words, tags and the longest length from sequences to learn from; returns the tokens of the words that
  /// occur once.
  mutating func learn(from set: TaggedSet) throws(CarouselError) -> Set<Int32> {
    var counts: [String: Int] = [:]
    var words: [String] = []
    for word in set.words.joined() {
      if counts.updateValue((counts[word] ?? 0) + 1, forKey: word) == nil { words.append(word) }
    }
    self.words = words
    let tags = settings.classes ?? ExampleParts.ordered(Set(set.tags.joined()))
    classes = tags
    guard tags.count >= 2 else {
      throw CarouselError(
        .badData, "\(set.source): expected at least 2 tags, found '\(tags.first ?? "")' alone")
    }
    longest = set.words.reduce(1) { max($0, $1.count) }
    return Set(words.indices.filter { counts[words[$0]] == 1 }.map { Int32($0 + 1) })
  }
}

extension TaggedSet {
  /// Reads a file as settings say: a table where they name a column of ids.
  init(_ path: String, _ settings: DataSettings, requiresTags: Bool = true) throws(CarouselError) {
    if settings.columns.id == nil {
      try self.init(columns: path, requiresTags: requiresTags)
    } else {
      try self.init(
        table: path, columns: settings.columns, word: settings.word, requiresTags: requiresTags)
    }
  }

  /// Adds everything that training depends on.
  func add(to hash: inout DataHash) {
    for (words, tags) in zip(words, tags) {
      hash.add(words)
      hash.add(tags)
      hash.add(0)
    }
  }
}
