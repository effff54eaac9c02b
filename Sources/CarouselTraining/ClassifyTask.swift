import CarouselFormats
import CarouselModel

/// `classify`: the class of a sequence.
enum ClassifyTask: ExampleTask {
  static func parts(
    _ settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts {
    var settings = settings
    if settings.columns.label == nil, try SequenceSet.Format(of: settings.file) == .table {
      settings.columns.label = try ExampleParts.labelColumn(
        settings, among: ["label", "class", "target"])
    }
    return try SequenceStream.canStream(settings.file, above: mostInMemory)
      ? try ExampleParts(streamingClasses: settings, seed: seed, mostInMemory: mostInMemory)
      : try ExampleParts(classify: settings, seed: seed, mostInMemory: mostInMemory)
  }

  static var defaults: TrainingSettings {
    var result = defaults()
    // On JapaneseVowels as good as an LSTM (0.981 and 0.984 against 0.981 and 0.976, seeds 1 and 2), with
    // fewer parameters.
    result.recurrent.cell = .gru
    result.recurrent.options.forgetBias = nil
    return result
  }

  static func adapt(_ settings: inout TrainingSettings, to examples: TrainingExamples) {
    // Few examples are soon known by heart: with 0.3 two seeds of JapaneseVowels came to 0.981 and 0.984 instead
    // of 0.981 and 0.970, and two of BasicMotions to 1.00.
    if examples.count < 2048 { settings.recurrent.options.recurrentDropout = 0.3 }
  }

  static func validate(_ description: DataDescription) throws(CarouselError) {
    try description.requireClasses(ofWords: false)
  }

  static func summary(_ examples: TrainingExamples) -> String {
    "\(examples.count) sequences of \(counted(examples.description.channels.count, "channel"))"
  }

  static func addOptions(of data: DataSettings, to options: inout ResolvedOptions) {
    options.addClasses(data)
    options.add("missing", data.missing.rawValue)
    options.add("labels", data.labels)
    options.add("validation-labels", data.validationLabels)
    options.add("test-labels", data.testLabels)
    options.add("pooling", data.pooling.rawValue)
  }

  static func evaluate<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool
  ) throws -> (metrics: TaskMetrics, count: Int)? {
    if file.labels != nil { try SequenceSet.Format.requireImages(file.path, for: "--labels") }
    let chunks = try SetChunks<SequenceSet>(
      file, model.description, requiresLabels: true, mostInMemory: model.mostInMemory)
    return try model.measure(file, chunks, ranks, shouldStop) {
      try ClassExamples($0, model.description)
    }
  }

  static func predict<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool, _ body: (ExamplePrediction) throws -> Void
  ) throws {
    let classes = model.description.classes ?? []
    let chunks = try SetChunks<SequenceSet>(
      file, model.description, requiresLabels: false, mostInMemory: model.mostInMemory)
    try model.forEachOutput(file, chunks, ranks, shouldStop) {
      try ClassExamples($0, model.description, knowsLabels: false)
    } _: { set, _, outputs, sequence, example in
      let logits = outputs.row(sequence: sequence)
      try body(
        .class(
          id: set.ids.isEmpty ? nil : set.ids[example], name: classes[logits.indexOfLargest],
          probabilities: CrossEntropy.probabilities(logits)))
    }
  }
}

extension ExampleParts {
  /// Sequences with classes.
  init(
    classify settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) {
    let set = try SequenceSet(
      contentsOf: settings.file, columns: settings.columns, labels: settings.labels,
      missing: settings.missing)
    // A label beyond --classes is refused before anything is divided.
    if let classes = settings.classes {
      var known = DataDescription(settings: settings)
      (known.channels, known.classes) = (set.channels, classes)
      _ = try ClassExamples(set, known)
    }
    let parts = try Self.split(
      count: set.count, keys: set.labels, validation: settings.validation, test: settings.test,
      seed: seed, place: set.place)
    let training = set.selecting(parts.training)
    var description = DataDescription(settings: settings, seed: seed)
    try description.learn(from: training, classes: nil)
    var hash = DataHash()
    set.add(to: &hash)
    self.training = try ClassExamples(
      training, description, weights: description.classWeights(training.labels),
      smoothing: settings.labelSmoothing)
    func examples(
      _ heldOut: HeldOut?, _ labels: String?, _ indices: [Int], _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return indices.isEmpty ? nil : try ClassExamples(set.selecting(indices), description)
      }
      return try Self.examples(
        in: path, labels: labels, description, mostInMemory: mostInMemory, &hash)
    }
    validation = try examples(
      settings.validation, settings.validationLabels, parts.validation, &hash)
    test = try examples(settings.test, settings.testLabels, parts.test, &hash)
    description.hash = hash.text
    self.description = description
  }

  /// The column of the classes, where it is not named: one that is usually called so.
  static func labelColumn(
    _ settings: DataSettings, among names: [String]
  ) throws(CarouselError) -> String {
    let columns = try TableReader(settings.file, hasHeader: settings.columns.hasHeader).columns
    for name in names {
      if let column = columns.first(where: { $0.lowercased() == name }) { return column }
    }
    throw CarouselError(
      .usage,
      "\(settings.file): expected --label with the column of the classes, one of "
        + columns.suffix(8).joined(separator: ", "))
  }
}

extension DataDescription {
  /// Learns channels, classes, scales and the longest length from sequences to learn from.
  ///
  /// `classes` are those that the file names; those of the settings win over them.
  mutating func learn(
    from set: SequenceSet, classes named: [String]?
  ) throws(CarouselError) {
    channels = set.channels
    let found = settings.classes ?? ExampleParts.ordered(Set(named ?? set.labels))
    classes = found
    guard found.count >= 2 else {
      throw CarouselError(
        .badData,
        "\(set.source): expected sequences of at least 2 classes, found '\(found.first ?? "")' alone"
      )
    }
    (mean, scale) = set.moments
    longest = (0..<set.count).reduce(1) { max($0, set.length($1)) }
  }

  /// The weight of each class where each is to weigh as much as any other, by the labels to learn from.
  func classWeights(_ labels: some Sequence<String>) -> [Double]? {
    guard settings.balancesClasses else { return nil }
    var counts: [String: Int] = [:]
    for label in labels { counts[label, default: 0] += 1 }
    return ExampleParts.balanced((classes ?? []).map { counts[$0] ?? 0 })
  }
}

extension SequenceSet {
  /// The mean of each channel and its standard deviation, 1 where a channel never changes; of all channels together
  /// where they have one scale.
  var moments: (mean: [Double], scale: [Double]) {
    let width = channels.count
    func mean(_ term: (Double, Int) -> Double) -> [Double] {
      var sums = [Double](repeating: 0, count: width)
      for (index, value) in values.enumerated() {
        sums[index % width] += term(Double(value), index % width)
      }
      let rows = Double(max(values.count / max(width, 1), 1))
      guard hasOneScale else { return sums.map { $0 / rows } }
      let all = sums.reduce(0, +) / rows / Double(width)
      return [Double](repeating: all, count: width)
    }
    let center = mean { value, _ in value }
    let squares = mean { value, channel in (value - center[channel]) * (value - center[channel]) }
    return (center, squares.map { $0 > 1e-24 ? $0.squareRoot() : 1 })
  }

  /// Adds everything that training depends on.
  func add(to hash: inout DataHash) {
    for value in values { hash.add(UInt64(value.bitPattern)) }
    for start in starts { hash.add(UInt64(start)) }
    hash.add(labels)
  }
}

extension ExampleParts {
  /// Sequences with classes of a file that is too large to be read: each is read when it is trained on.
  ///
  /// Classes, scales and the lengths of passes are learnt from some thousand sequences of the training part.
  init(
    streamingClasses settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) {
    let stream = try SequenceStream(
      settings.file, columns: settings.columns, labels: settings.labels, missing: settings.missing)
    let parts = try FileBlocks.parts(of: stream.records, settings, seed: seed)
    var description = DataDescription(settings: settings, seed: seed)
    (description.channels, description.classes) = (stream.channels, settings.classes)
    // Those of --classes alone, before anything is learnt.
    let given = description
    let places = try parts.training.sample()
    let sample = try stream.set(places) { sequence throws(CarouselError) in
      if given.classes != nil { _ = try ClassExamples(sequence, given) }
    }
    try parts.training.check(places, ids: sample.ids, sample.length)
    description.sampleSize = sample.count
    try description.learn(from: sample, classes: stream.classes)
    var hash = DataHash()
    hash.add(UInt64(stream.records.range.upperBound))
    sample.add(to: &hash)
    let known = description
    func examples(
      _ part: FileBlocks, most: Int, weights: [Double]? = nil, smoothing: Double = 0
    ) throws(CarouselError) -> StreamedExamples {
      try StreamedExamples(
        part, most: most, of: stream, like: sample, known, weights: weights, smoothing: smoothing)
    }
    func heldOut(
      _ heldOut: HeldOut?, _ labels: String?, _ part: FileBlocks, _ hash: inout DataHash
    ) throws(CarouselError) -> (any ExampleSource)? {
      guard let path = heldOut?.file else {
        return part.blocks.isEmpty
          ? nil : try examples(part, most: StreamedExamples.most.heldOut)
      }
      return try Self.examples(
        in: path, labels: labels, known, mostInMemory: mostInMemory, &hash)
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

  /// The sequences of a file of its own; one with more than `mostInMemory` bytes stays where it is.
  static func examples(
    in path: String, labels: String?, _ description: DataDescription, mostInMemory: Int,
    _ hash: inout DataHash
  ) throws(CarouselError) -> any ExampleSource {
    let settings = description.settings
    guard try SequenceStream.canStream(path, above: mostInMemory) else {
      let set = try SequenceSet(
        contentsOf: path, columns: settings.columns, labels: labels,
        channels: description.channels, missing: settings.missing)
      set.add(to: &hash)
      return try ClassExamples(set, description)
    }
    let stream = try SequenceStream(
      path, columns: settings.columns, labels: labels, channels: description.channels,
      missing: settings.missing)
    let whole = FileBlocks(whole: stream.records)
    let places = try whole.sample()
    let sample = try stream.set(places) { sequence throws(CarouselError) in
      _ = try ClassExamples(sequence, description)
    }
    try whole.check(places, ids: sample.ids, sample.length)
    hash.add(UInt64(stream.records.range.upperBound))
    sample.add(to: &hash)
    return try StreamedExamples(
      whole, most: StreamedExamples.most.heldOut, of: stream, like: sample, description)
  }
}

extension StreamedExamples {
  /// Takes at most `most` sequences with classes of a part of a file; `sample` are some of its sequences.
  fileprivate init(
    _ part: FileBlocks, most: Int, of stream: SequenceStream, like sample: SequenceSet,
    _ description: DataDescription, weights: [Double]? = nil, smoothing: Double = 0
  ) throws(CarouselError) {
    @Sendable func read(_ set: SequenceSet) throws(CarouselError) -> ClassExamples {
      try ClassExamples(set, description, weights: weights, smoothing: smoothing)
    }
    self.init(
      part, most: most, seed: description.seed, sample: (0..<sample.count).map(sample.length),
      haveOneLength: stream.haveOneLength, like: try read(sample.selecting([]))
    ) { records throws(CarouselError) in
      try read(stream.set(records) { sequence throws(CarouselError) in _ = try read(sequence) })
    }
  }
}
