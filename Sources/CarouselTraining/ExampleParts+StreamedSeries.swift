import CarouselFormats
import CarouselModel

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
