import CarouselFormats
import CarouselModel

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
