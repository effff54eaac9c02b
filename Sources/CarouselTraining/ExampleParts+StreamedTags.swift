import CarouselFormats
import CarouselModel

extension ExampleParts {
  /// The parts of sequences of words with tags; a file with more than `mostInMemory` bytes stays where it is.
  static func tag(
    _ settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts {
    var settings = settings
    if settings.columns.id != nil, settings.columns.label == nil {
      settings.columns.label = try labelColumn(settings, among: ["tag", "label", "class"])
    }
    return try SequenceStream.canStream(settings.file, above: mostInMemory)
      ? try ExampleParts(streamingTags: settings, seed: seed)
      : try ExampleParts(tag: settings, seed: seed)
  }

  /// Sequences of words with tags of a file that is too large to be read: each is read when it is trained on.
  ///
  /// Words, tags and the lengths of passes are learnt from some thousand sequences of the training part.
  init(streamingTags settings: DataSettings, seed: UInt64) throws(CarouselError) {
    let stream = try TaggedStream(
      settings.file, columns: settings.columns, word: settings.word)
    let parts = try FileBlocks.parts(of: stream.records, settings, seed: seed)
    var description = DataDescription(settings: settings, seed: seed)
    description.classes = settings.classes
    let named = TagNumbers(description)
    let places = try parts.training.sample(most: 20_000, bytes: 1 << 23)
    let sample = try stream.set(places) { sequence throws(CarouselError) in
      if settings.classes != nil { _ = try TagExamples(sequence, named) }
    }
    try parts.training.requireLengths(places) { sample.words[$0].count }
    try parts.training.requireOneBehindAnother(places, ids: sample.ids)
    description.sampleSize = sample.count
    let rare = try description.learn(from: sample)
    var hash = DataHash()
    hash.add(UInt64(stream.records.range.upperBound))
    sample.add(to: &hash)
    let numbers = TagNumbers(description)
    func examples(
      _ part: FileBlocks, most: Int, rare: Set<Int32> = [], weights: [Double]? = nil,
      smoothing: Double = 0
    ) throws(CarouselError) -> StreamedExamples {
      @Sendable func examples(_ set: TaggedSet) throws(CarouselError) -> TagExamples {
        try TagExamples(
          set, numbers, rare: rare, weights: weights, smoothing: smoothing)
      }
      return StreamedExamples(
        part, most: most, seed: seed, sample: sample.words.map(\.count), haveOneLength: false,
        like: try examples(sample.selecting([]))
      ) { records throws(CarouselError) in
        try examples(
          stream.set(records) { sequence throws(CarouselError) in _ = try examples(sequence) })
      }
    }
    func heldOut(
      _ heldOut: HeldOut?, _ part: FileBlocks, _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return part.blocks.isEmpty
          ? nil : try examples(part, most: StreamedExamples.most.heldOut)
      }
      let other = try TaggedSet(path, settings)
      other.add(to: &hash)
      return try TagExamples(other, description)
    }
    training = try examples(
      parts.training, most: StreamedExamples.most.training, rare: rare,
      weights: description.classWeights(sample.tags.joined()),
      smoothing: settings.labelSmoothing)
    validation = try heldOut(settings.validation, parts.validation, &hash)
    test = try heldOut(settings.test, parts.test, &hash)
    description.hash = "sample-" + hash.text
    self.description = description
  }
}
