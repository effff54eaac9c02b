import CarouselFormats
import CarouselModel

/// Windows of series that stay in a large file, each read with its horizon when it is trained on.
struct StreamedForecast: ExampleSource {
  let count: Int
  /// Examples without a window, scaled and judged in the same way.
  let like: ForecastExamples
  /// What MASE divides by, for each target; nil takes that of each window.
  let naiveErrors: [Double]?
  /// The numbers of an example: those of the window, and of what follows it.
  let stretch: @Sendable (_ example: Int, _ epoch: Int) throws(CarouselError) -> [Double]

  func length(_ index: Int) -> Int { like.settings.window }
  var haveOneLength: Bool { true }
  var ragged: (lengths: [Int], pool: Int)? { nil }
  var timePooling: TimePooling? { like.timePooling }
  var graphLoss: GraphLoss { like.graphLoss }
  var weights: [Double]? { nil }
  func makeTally() -> any ExampleTally { like.makeTally() }

  func read(_ examples: [Int], epoch: Int) throws(CarouselError) -> ExampleSelection {
    let settings = like.settings
    var set = like.set
    for example in examples { set.append(try stretch(example, epoch)) }
    let naive =
      naiveErrors.map { [[Double]](repeating: $0, count: examples.count) }
      ?? set.naiveErrors(
        ends: [Int](repeating: settings.window, count: examples.count), season: settings.season)
    let windows = examples.indices.map {
      ForecastExamples.Window(series: $0, last: settings.window - 1)
    }
    let source = ForecastExamples(
      set: set, windows: windows, settings: settings, scaling: like.scaling, mean: like.mean,
      scale: like.scale, naiveErrors: naive)
    return ExampleSelection(source: source, indices: Array(examples.indices))
  }
}

extension ExampleParts {
  /// The parts of one series in a file that is too large to be read: stretches of it, spread evenly, are read when
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
    let test = length - (settings.test?.count(of: length) ?? 0)
    let validation = test - settings.validation.count(of: length)
    return switch self {
    case .training: 0..<validation
    case .validation: validation..<test
    case .test: test..<length
    }
  }
}
