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
