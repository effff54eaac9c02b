import CarouselFormats
import CarouselModel

/// `tag`: a tag for each word of a sequence.
enum TagTask: ExampleTask {
  static func parts(
    _ settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts {
    var settings = settings
    if settings.columns.id != nil, settings.columns.label == nil {
      settings.columns.label = try ExampleParts.labelColumn(
        settings, among: ["tag", "label", "class"])
    }
    return try SequenceStream.canStream(settings.file, above: mostInMemory)
      ? try ExampleParts(streamingTags: settings, seed: seed, mostInMemory: mostInMemory)
      : try ExampleParts(tag: settings, seed: seed, mostInMemory: mostInMemory)
  }

  static var defaults: TrainingSettings {
    var result = defaults(inputSize: 64)
    result.recurrent.direction = .bidirectional
    return result
  }

  static func validate(_ description: DataDescription) throws(CarouselError) {
    try description.requireClasses(ofWords: true)
  }

  static func summary(_ examples: TrainingExamples) -> String {
    "\(examples.count) sequences of \(examples.description.words?.count ?? 0) words"
  }

  static func addOptions(of data: DataSettings, to options: inout ResolvedOptions) {
    options.addClasses(data)
    options.add("word", data.word)
  }

  static func evaluate<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool
  ) throws -> (metrics: TaskMetrics, count: Int)? {
    let chunks = try SetChunks<TaggedSet>(
      file, model.description, requiresTags: true, mostInMemory: model.mostInMemory)
    let numbers = TagNumbers(model.description)
    return try model.measure(file, chunks, ranks, shouldStop) { try TagExamples($0, numbers) }
  }

  static func predict<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool, _ body: (ExamplePrediction) throws -> Void
  ) throws {
    let classes = model.description.classes ?? []
    let chunks = try SetChunks<TaggedSet>(
      file, model.description, requiresTags: false, mostInMemory: model.mostInMemory)
    let numbers = TagNumbers(model.description)
    try model.forEachOutput(file, chunks, ranks, shouldStop) {
      try TagExamples($0, numbers, knowsTags: false)
    } _: { set, first, outputs, sequence, example in
      let words = set.words[example]
      let tags = words.indices.map { step in
        let logits = outputs.row(step: step, sequence: sequence)
        return (
          words[step], classes[logits.indexOfLargest], CrossEntropy.probabilities(logits)
        )
      }
      try body(
        .tags(
          id: set.ids.isEmpty ? nil : set.ids[example], sequence: first + example + 1,
          words: tags))
    }
  }
}

extension ExampleParts {
  /// Sequences of words with tags.
  init(tag settings: DataSettings, seed: UInt64, mostInMemory: Int) throws(CarouselError) {
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
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return indices.isEmpty ? nil : try TagExamples(set.selecting(indices), description)
      }
      return try Self.tags(in: path, description, mostInMemory: mostInMemory, &hash)
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

extension ExampleParts {
  /// Sequences of words with tags of a file that is too large to be read: each is read when it is trained on.
  ///
  /// Words, tags and the lengths of passes are learnt from some thousand sequences of the training part.
  init(
    streamingTags settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) {
    let stream = try TaggedStream(
      settings.file, columns: settings.columns, word: settings.word)
    let parts = try FileBlocks.parts(of: stream.records, settings, seed: seed)
    var description = DataDescription(settings: settings, seed: seed)
    description.classes = settings.classes
    // Those of --classes alone, before anything is learnt.
    let given = TagNumbers(description)
    let places = try parts.training.sample(most: 20_000, bytes: 1 << 23)
    let sample = try stream.set(places) { sequence throws(CarouselError) in
      if settings.classes != nil { _ = try TagExamples(sequence, given) }
    }
    try parts.training.check(places, ids: sample.ids) { sample.words[$0].count }
    description.sampleSize = sample.count
    let rare = try description.learn(from: sample)
    var hash = DataHash()
    hash.add(UInt64(stream.records.range.upperBound))
    sample.add(to: &hash)
    let known = description
    func heldOut(
      _ heldOut: HeldOut?, _ part: FileBlocks, _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return part.blocks.isEmpty
          ? nil
          : try StreamedExamples(
            part, most: StreamedExamples.most.heldOut, of: stream, like: sample, known)
      }
      return try Self.tags(in: path, known, mostInMemory: mostInMemory, &hash)
    }
    training = try StreamedExamples(
      parts.training, most: StreamedExamples.most.training, of: stream, like: sample, known,
      rare: rare, weights: description.classWeights(sample.tags.joined()))
    validation = try heldOut(settings.validation, parts.validation, &hash)
    test = try heldOut(settings.test, parts.test, &hash)
    description.hash = "sample-" + hash.text
    self.description = description
  }

  /// The sequences of a file of its own; one with more than `mostInMemory` bytes stays where it is.
  private static func tags(
    in path: String, _ description: DataDescription, mostInMemory: Int, _ hash: inout DataHash
  ) throws(CarouselError) -> any ExampleSource {
    let settings = description.settings
    guard try SequenceStream.canStream(path, above: mostInMemory) else {
      let set = try TaggedSet(path, settings)
      set.add(to: &hash)
      return try TagExamples(set, description)
    }
    let stream = try TaggedStream(path, columns: settings.columns, word: settings.word)
    let (whole, numbers) = (FileBlocks(whole: stream.records), TagNumbers(description))
    let places = try whole.sample()
    let sample = try stream.set(places) { sequence throws(CarouselError) in
      _ = try TagExamples(sequence, numbers)
    }
    try whole.check(places, ids: sample.ids) { sample.words[$0].count }
    hash.add(UInt64(stream.records.range.upperBound))
    sample.add(to: &hash)
    return try StreamedExamples(
      whole, most: StreamedExamples.most.heldOut, of: stream, like: sample, description)
  }
}

extension StreamedExamples {
  /// Takes at most `most` sequences with tags of a part of a file; `sample` are some of its sequences.
  ///
  /// Where `rare` words are given the examples are those to learn from.
  fileprivate init(
    _ part: FileBlocks, most: Int, of stream: TaggedStream, like sample: TaggedSet,
    _ description: DataDescription, rare: Set<Int32>? = nil, weights: [Double]? = nil
  ) throws(CarouselError) {
    let numbers = TagNumbers(description)
    let smoothing = rare == nil ? 0 : description.settings.labelSmoothing
    @Sendable func read(_ set: TaggedSet) throws(CarouselError) -> TagExamples {
      try TagExamples(set, numbers, rare: rare ?? [], weights: weights, smoothing: smoothing)
    }
    self.init(
      part, most: most, seed: description.seed, sample: sample.words.map(\.count),
      haveOneLength: false, like: try read(sample.selecting([]))
    ) { records throws(CarouselError) in
      try read(stream.set(records) { sequence throws(CarouselError) in _ = try read(sequence) })
    }
  }
}
