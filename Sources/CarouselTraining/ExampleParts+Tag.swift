import CarouselFormats
import CarouselModel

extension ExampleParts {
  /// Sequences of words with tags.
  init(tag settings: DataSettings, seed: UInt64) throws(CarouselError) {
    var settings = settings
    if settings.columns.id != nil, settings.columns.label == nil {
      settings.columns.label = try Self.labelColumn(settings, among: ["tag", "label", "class"])
    }
    let set = try TaggedSet(settings.file, settings)
    let parts = try Self.split(
      count: set.count, keys: [], validation: settings.validation, test: settings.test, seed: seed,
      place: { "\(set.source): line \(set.lines[$0])" })
    let training = set.selecting(parts.training)
    var description = DataDescription(settings: settings, seed: seed)
    var counts: [String: Int] = [:]
    var words: [String] = []
    for word in training.words.joined() {
      if counts.updateValue((counts[word] ?? 0) + 1, forKey: word) == nil { words.append(word) }
    }
    description.words = words
    let tags = Self.ordered(Set(training.tags.joined()))
    description.classes = tags
    guard tags.count >= 2 else {
      throw CarouselError(
        .badData, "\(set.source): expected at least 2 tags, found '\(tags.first ?? "")' alone")
    }
    description.longest = training.words.reduce(1) { max($0, $1.count) }
    var hash = DataHash()
    set.add(to: &hash)
    let rare = Set(
      words.indices.filter { counts[words[$0]] == 1 }.map { Int32($0 + 1) })
    var tagCounts: [String: Int] = [:]
    for tag in training.tags.joined() { tagCounts[tag, default: 0] += 1 }
    self.training = try TagExamples(
      training, description, rare: rare,
      weights: settings.balancesClasses ? Self.balanced(tags.map { tagCounts[$0] ?? 0 }) : nil,
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
