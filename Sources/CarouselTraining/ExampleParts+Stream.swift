import CarouselFormats
import CarouselModel

extension ExampleParts {
  /// The parts of a forecast's data; a file with more than `mostInMemory` bytes stays where it is.
  static func forecast(
    _ settings: DataSettings, seed: UInt64 = 1, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts {
    let isLarge = try SeriesStream.byteCount(of: settings.file) > mostInMemory
    guard isLarge else { return try ExampleParts(forecast: settings) }
    return settings.columns.id == nil
      ? try ExampleParts(streaming: settings)
      : try ExampleParts(streamingSeries: settings, seed: seed)
  }

  /// The same of one series in a file that is too large to be read: stretches of it, spread evenly, are read when
  /// they are needed.
  ///
  /// The parts are shares of the file's bytes. Scales, and what MASE divides by, are learnt from 2,000 stretches
  /// of the training part.
  init(streaming settings: DataSettings) throws(CarouselError) {
    var settings = settings
    let needed = settings.window + settings.horizon
    let all = try SeriesStream(
      table: settings.file, targets: settings.targets, covariates: settings.covariates,
      time: settings.columns.time, hasHeader: settings.columns.hasHeader, missing: settings.missing,
      rows: needed)
    settings.targets = all.targets
    let (test, heldOut) = (settings.test.share, HeldOut?.some(settings.validation).share)
    let streams = (
      training: all.part(0..<1 - test - heldOut, count: 1 << 18),
      validation: all.part(1 - test - heldOut..<1 - test, count: 10_000),
      test: all.part(1 - test..<1, count: 10_000)
    )
    for (name, stream, share) in [
      ("training", streams.training, 1.0), ("validation", streams.validation, heldOut),
      ("test", streams.test, test),
    ] where share > 0 && stream.count == 0 {
      throw CarouselError(
        .badData,
        "\(settings.file): expected at least \(needed) steps in the \(name) part, a window of "
          + "\(settings.window) and a horizon of \(settings.horizon), found fewer")
    }
    let places = min(streams.training.count, 2000)
    var set = SeriesSet(empty: all.source, targets: all.targets, covariates: all.covariates)
    let none = set
    for place in 0..<places {
      set.append(try streams.training.stretch(place * streams.training.count / places))
    }
    var description = DataDescription(settings: settings)
    description.channels = all.targets + all.covariates
    description.longest = settings.window
    let naive = all.targets.indices.map { target in
      let errors = set.values.flatMap { stretch in
        (settings.season..<needed).map {
          abs(
            stretch[$0 * set.width + target]
              - stretch[($0 - settings.season) * set.width + target])
        }
      }
      return errors.reduce(0, +) / Double(max(errors.count, 1))
    }
    description.learnScales(ofStretches: set, hasSeveralSeries: false)
    var hash = DataHash()
    hash.add(UInt64(try SeriesStream.byteCount(of: settings.file)))
    for value in set.values.joined() { hash.add(value.bitPattern) }
    let like = ForecastExamples(none, [], description, naiveErrors: [])
    func examples(_ stream: SeriesStream) -> StreamedForecast {
      StreamedForecast(count: stream.count, like: like, naiveErrors: naive) {
        example, _ throws(CarouselError) in
        try stream.stretch(example)
      }
    }
    func part(
      _ part: HeldOut?, _ stream: SeriesStream, _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = part?.file else { return part.share > 0 ? examples(stream) : nil }
      let other = try SeriesSet(path, settings)
      other.add(to: &hash)
      return try ForecastExamples(whole: other, description)
    }
    training = examples(streams.training)
    validation = try part(settings.validation, streams.validation, &hash)
    self.test = try part(settings.test, streams.test, &hash)
    description.hash = "stretches-" + hash.text
    self.description = description
  }
}

extension DataDescription {
  /// Learns scales from stretches of the training part, each a window and its horizon.
  mutating func learnScales(ofStretches set: SeriesSet, hasSeveralSeries: Bool) {
    learnScales(
      of: set,
      set.values.indices.map { ForecastExamples.Window(series: $0, last: settings.window - 1) },
      covariate: { channel in
        set.values.flatMap { stretch in
          stride(from: channel, to: stretch.count, by: set.width).map { stretch[$0] }
        }
      }, [], hasSeveralSeries: hasSeveralSeries)
  }
}

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

extension ExampleParts {
  /// Windows of many series in a file that is too large to be read: each is found by its place, and read when it is
  /// needed.
  ///
  /// Each series is divided by time as one that is in memory. Scales are learnt from 2,000 windows of the training
  /// part, and MASE divides by the mean difference over a season within each window.
  init(streamingSeries settings: DataSettings, seed: UInt64) throws(CarouselError) {
    var settings = settings
    let stream = try SeriesStream(
      table: settings.file, targets: settings.targets, covariates: settings.covariates,
      id: settings.columns.id, time: settings.columns.time, hasHeader: settings.columns.hasHeader,
      missing: settings.missing, rows: settings.window + settings.horizon)
    settings.targets = stream.targets
    let known = settings
    let (test, heldOut) = (settings.test.share, HeldOut?.some(settings.validation).share)
    /// What an example reads, where its place in the file is a share of its bytes.
    @Sendable func stretch(_ part: SeriesPart, _ place: Double) throws(CarouselError) -> [Double] {
      try stream.stretch(at: place, window: known.window) { part.steps(of: $0, known) }
    }
    var set = SeriesSet(
      empty: stream.source, targets: stream.targets, covariates: stream.covariates)
    let none = set
    let sampled = min(Int(stream.rowCount), 2000)
    for place in 0..<sampled {
      set.append(try stretch(.training, Double(place) / Double(sampled)))
    }
    var description = DataDescription(settings: settings, seed: seed)
    description.channels = stream.targets + stream.covariates
    description.longest = settings.window
    description.sampleSize = sampled
    description.learnScales(ofStretches: set, hasSeveralSeries: true)
    var hash = DataHash()
    hash.add(UInt64(try SeriesStream.byteCount(of: settings.file)))
    for value in set.values.joined() { hash.add(value.bitPattern) }
    let like = ForecastExamples(none, [], description, naiveErrors: [])
    func examples(_ part: SeriesPart, share: Double, most: Int) -> StreamedForecast {
      let count = max(1, min(most, Int(stream.rowCount * share)))
      return StreamedForecast(count: count, like: like, naiveErrors: nil) {
        example, epoch throws(CarouselError) in
        let random = Philox(seed: seed, stream: RandomStream.places(epoch: epoch))
        return try stretch(part, (Double(example) + random.uniform(example)) / Double(count))
      }
    }
    func part(
      _ part: SeriesPart, _ heldOut: HeldOut?, _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return heldOut.share > 0
          ? examples(part, share: heldOut.share, most: StreamedExamples.most.heldOut) : nil
      }
      let other = try SeriesSet(path, known)
      other.add(to: &hash)
      return try ForecastExamples(whole: other, description)
    }
    training = examples(
      .training, share: 1 - test - heldOut, most: StreamedExamples.most.training)
    validation = try part(.validation, settings.validation, &hash)
    self.test = try part(.test, settings.test, &hash)
    description.hash = "stretches-" + hash.text
    self.description = description
  }
}

/// What is learnt from of each series, and what is held out of it.
private enum SeriesPart {
  case training, validation, test

  /// The steps, or the bytes, of a series of so many.
  func steps(of length: Int, _ settings: DataSettings) -> Range<Int> {
    let test = length - settings.test.count(of: length)
    let validation = test - HeldOut?.some(settings.validation).count(of: length)
    return switch self {
    case .training: 0..<validation
    case .validation: validation..<test
    case .test: test..<length
    }
  }
}

extension ExampleParts {
  /// The parts of sequences with classes; a file with more than `mostInMemory` bytes stays where it is.
  static func classify(
    _ settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts {
    var settings = settings
    if settings.columns.label == nil, try SequenceSet.Format(of: settings.file) == .table {
      settings.columns.label = try labelColumn(settings, among: ["label", "class", "target"])
    }
    return try SequenceStream.canStream(settings.file, above: mostInMemory)
      ? try ExampleParts(streamingClasses: settings, seed: seed)
      : try ExampleParts(classify: settings, seed: seed)
  }

  /// Sequences with classes of a file that is too large to be read: each is read when it is trained on.
  ///
  /// Classes, scales and the lengths of passes are learnt from some thousand sequences of the training part.
  init(streamingClasses settings: DataSettings, seed: UInt64) throws(CarouselError) {
    let stream = try SequenceStream(
      settings.file, columns: settings.columns, labels: settings.labels, missing: settings.missing)
    let parts = try FileBlocks.parts(of: stream.records, settings, seed: seed)
    var description = DataDescription(settings: settings, seed: seed)
    (description.channels, description.classes) = (stream.channels, settings.classes)
    let named = description
    let places = try parts.training.sample()
    let sample = try stream.set(places) { sequence throws(CarouselError) in
      if named.classes != nil { _ = try ClassExamples(sequence, named) }
    }
    try parts.training.requireLengths(places, sample.length)
    try parts.training.requireOneBehindAnother(places, ids: sample.ids)
    description.sampleSize = sample.count
    try description.learn(from: sample, classes: stream.classes)
    var hash = DataHash()
    hash.add(UInt64(stream.records.range.upperBound))
    sample.add(to: &hash)
    let known = description
    func examples(
      _ part: FileBlocks, most: Int, weights: [Double]? = nil, smoothing: Double = 0
    ) throws(CarouselError) -> StreamedExamples {
      let none = sample.selecting([])
      return StreamedExamples(
        part, most: most, seed: seed, sample: (0..<sample.count).map(sample.length),
        haveOneLength: stream.haveOneLength,
        like: try ClassExamples(none, known, weights: weights, smoothing: smoothing)
      ) { records throws(CarouselError) in
        let set = try stream.set(records) { sequence throws(CarouselError) in
          _ = try ClassExamples(sequence, known)
        }
        return try ClassExamples(set, known, weights: weights, smoothing: smoothing)
      }
    }
    func heldOut(
      _ heldOut: HeldOut?, _ labels: String?, _ part: FileBlocks, _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return part.blocks.isEmpty
          ? nil : try examples(part, most: StreamedExamples.most.heldOut)
      }
      return try Self.classes(of: path, labels: labels, known, &hash)
    }
    training = try examples(
      parts.training, most: StreamedExamples.most.training,
      weights: description.classWeights(sample.labels), smoothing: settings.labelSmoothing)
    validation = try heldOut(
      settings.validation, settings.validationLabels, parts.validation, &hash)
    test = try heldOut(settings.test, settings.testLabels, parts.test, &hash)
    description.hash = "sample-" + hash.text
    self.description = description
  }

  /// The sequences of a file of its own.
  static func classes(
    of path: String, labels: String?, _ description: DataDescription, _ hash: inout DataHash
  ) throws(CarouselError) -> ClassExamples {
    let settings = description.settings
    let set = try SequenceSet(
      contentsOf: path, columns: settings.columns, labels: labels, channels: description.channels,
      missing: settings.missing)
    set.add(to: &hash)
    return try ClassExamples(set, description)
  }
}
