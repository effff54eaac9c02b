import CarouselFormats
import CarouselModel

/// `forecast`: the next numbers of a series.
enum ForecastTask: ExampleTask {
  static func parts(
    _ settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) -> ExampleParts {
    let isLarge = try SeriesStream.byteCount(of: settings.file) > mostInMemory
    guard isLarge else { return try ExampleParts(forecast: settings) }
    return settings.columns.id == nil
      ? try ExampleParts(streaming: settings)
      : try ExampleParts(streamingSeries: settings, seed: seed)
  }

  static var defaults: TrainingSettings { defaults(hiddenSize: 64) }

  static func validate(_ description: DataDescription) throws(CarouselError) {
    let settings = description.settings
    guard let forecast = description.forecast else {
      throw CarouselError(.badData, "expected the scales of a forecast, found none")
    }
    try description.require(
      forecast.base != .seasonWithGrowth || settings.window > settings.season,
      "a window longer than the season, over which its growth is measured")
    let (scales, channels) = (forecast.targetScale, description.channels)
    try description.require(
      !scales.isEmpty && scales.count <= channels.count
        && scales.allSatisfy { $0.isFinite && $0 > 0 },
      "a scale above 0 for each target of the forecast")
    try description.require(
      settings.targets.count == scales.count
        && settings.targets.count + settings.covariates.count == channels.count,
      "the names of the targets and covariates among the channels")
  }

  static func summary(_ examples: TrainingExamples) -> String { "\(examples.count) windows" }

  static func addOptions(of data: DataSettings, to options: inout ResolvedOptions) {
    options.add("missing", data.missing.rawValue)
    options.add("target", data.targets)
    options.add("covariates", data.covariates)
    options.add("window", data.window)
    options.add("horizon", data.horizon)
    options.add("season", data.season)
    options.add("loss", data.loss.words)
  }

  static func evaluate<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool
  ) throws -> (metrics: TaskMetrics, count: Int)? {
    let set = try SeriesSet(file.path, file.settings(model.description.settings))
    return try model.measure(file, SetChunks(set), ranks, shouldStop) {
      try ForecastExamples(whole: $0, model.description)
    }
  }

  static func predict<B: Backend>(
    _ model: ExampleModel<B>, _ file: ExampleFile, _ ranks: any Communicator,
    shouldStop: () throws -> Bool, _ body: (ExamplePrediction) throws -> Void
  ) throws {
    let set = try SeriesSet(file.path, file.settings(model.description.settings))
    let examples = try ForecastExamples(endsOf: set, model.description)
    try model.forEachOutput(file, SetChunks(set), ranks, shouldStop) { _ in
      examples
    } _: { set, _, outputs, _, example in
      try body(
        .numbers(
          id: set.ids[example].isEmpty ? nil : set.ids[example],
          examples.predictions(outputs, example)))
    }
  }
}

extension ExampleParts {
  /// Windows of series: those whose targets end first are learnt from, later ones are held out, the last
  /// are the test.
  init(forecast settings: DataSettings) throws(CarouselError) {
    var settings = settings
    let set = try SeriesSet(settings.file, settings)
    settings.targets = set.targets
    var windows: (training: [Window], validation: [Window], test: [Window]) = ([], [], [])
    var trainingEnds: [Int] = []
    for series in 0..<set.count {
      let length = set.length(series)
      let needed = settings.window + settings.horizon
      guard length >= needed else {
        throw CarouselError(
          .badData,
          "\(set.place(series)): expected at least \(needed) steps, a window of \(settings.window) and a "
            + "horizon of \(settings.horizon), found \(length)")
      }
      let testStart = length - (settings.test?.count(of: length) ?? 0)
      let validationStart = testStart - settings.validation.count(of: length)
      trainingEnds.append(validationStart)
      windows.training += Window.all(series, from: 0, to: validationStart, settings)
      windows.validation += Window.all(series, from: validationStart, to: testStart, settings)
      windows.test += Window.all(series, from: testStart, to: length, settings)
    }
    func require(_ windows: [Window], _ heldOut: HeldOut?, _ name: String) throws(CarouselError) {
      guard case .share(let share) = heldOut, share > 0, windows.isEmpty else { return }
      throw CarouselError(
        .badData,
        "\(set.source): expected at least \(settings.horizon) steps in the \(name) part, but the share of "
          + "\(share) is fewer")
    }
    try require(windows.validation, settings.validation, "validation")
    try require(windows.test, settings.test, "test")
    guard !windows.training.isEmpty else {
      throw CarouselError(
        .badData,
        "\(set.source): expected at least \(settings.window + settings.horizon) steps in the training part, "
          + "a window of \(settings.window) and a horizon of \(settings.horizon), found "
          + "\(trainingEnds.max() ?? 0)")
    }
    var description = DataDescription(settings: settings)
    description.channels = set.targets + set.covariates
    description.longest = settings.window
    let naive = set.naiveErrors(ends: trainingEnds, season: settings.season)
    let step = max(1, windows.training.count / 2000)
    description.learnScales(
      of: set, stride(from: 0, to: windows.training.count, by: step).map { windows.training[$0] },
      covariate: { channel in
        (0..<set.count).flatMap { series in
          (0..<trainingEnds[series]).map { set.values[series][$0 * set.width + channel] }
        }
      }, naive, hasSeveralSeries: set.count > 1)
    var hash = DataHash()
    set.add(to: &hash)
    func examples(_ windows: [Window]) -> ForecastExamples {
      ForecastExamples(set, windows, description, naiveErrors: naive)
    }
    training = examples(windows.training)
    func heldOut(
      _ part: HeldOut?, _ windows: [Window], _ hash: inout DataHash
    ) throws(CarouselError) -> ForecastExamples? {
      guard let path = part?.file else { return windows.isEmpty ? nil : examples(windows) }
      let other = try SeriesSet(path, settings)
      other.add(to: &hash)
      return try ForecastExamples(whole: other, description)
    }
    validation = try heldOut(settings.validation, windows.validation, &hash)
    test = try heldOut(settings.test, windows.test, &hash)
    description.hash = hash.text
    self.description = description
  }

  private typealias Window = ForecastExamples.Window
}

extension HeldOut {
  /// How many of the last steps of a series are held out; 0 where they have a file of their own.
  func count(of length: Int) -> Int {
    guard case .share(let share) = self else { return 0 }
    return Int((Double(length) * share).rounded())
  }
}

extension ForecastExamples.Window {
  /// The windows of a series whose H targets all lie in `from..<end`; what they read may lie before.
  static func all(_ series: Int, from: Int, to end: Int, _ settings: DataSettings) -> [Self] {
    let first = max(from, settings.window)
    guard end - first >= settings.horizon else { return [] }
    return (first...end - settings.horizon).map {
      ForecastExamples.Window(series: series, last: $0 - 1)
    }
  }
}

extension ForecastExamples {
  init(
    _ set: SeriesSet, _ windows: [Window], _ description: DataDescription, naiveErrors: [[Double]]
  ) {
    self.init(
      set: set, windows: windows, settings: description.settings,
      scaling: description.forecast ?? ForecastScaling(), mean: description.mean,
      scale: description.scale, naiveErrors: naiveErrors)
  }

  /// All windows of a file of its own; throws where a series is too short for one.
  init(whole set: SeriesSet, _ description: DataDescription) throws(CarouselError) {
    let settings = description.settings
    var windows: [Window] = []
    for series in 0..<set.count {
      let length = set.length(series)
      guard length >= settings.window + settings.horizon else {
        throw CarouselError(
          .badData,
          "\(set.place(series)): expected at least \(settings.window + settings.horizon) steps, a window of "
            + "\(settings.window) and a horizon of \(settings.horizon), found \(length)")
      }
      windows += Window.all(series, from: 0, to: length, settings)
    }
    let ends = (0..<set.count).map { set.length($0) }
    self.init(
      set, windows, description, naiveErrors: set.naiveErrors(ends: ends, season: settings.season))
  }
}

extension DataDescription {
  /// Learns on windows of the training part what windows are scaled by and what predictions are added to;
  /// `covariate` gives the numbers of a channel there.
  mutating func learnScales(
    of set: SeriesSet, _ windows: [ForecastExamples.Window], covariate: (Int) -> [Double],
    _ naive: [[Double]], hasSeveralSeries: Bool
  ) {
    let (targets, width) = (set.targets.count, set.width)
    mean = [Double](repeating: 0, count: width)
    scale = [Double](repeating: 1, count: width)
    for channel in targets..<width {
      let values = covariate(channel)
      mean[channel] = values.reduce(0, +) / Double(values.count)
      scale[channel] = Self.rootMeanSquare(values.map { $0 - mean[channel] })
    }
    var forecast = ForecastScaling()
    forecast.targetScale = [Double](repeating: 1, count: targets)
    forecast.scalesWindows = hasSeveralSeries
    self.forecast = forecast
    let draft = ForecastExamples(set, windows, self, naiveErrors: naive)
    func differences(_ target: Int, _ base: ForecastScaling.Base) -> [Double] {
      windows.flatMap { window in
        (1...settings.horizon).map { ahead in
          let truth = draft.value(window, target, at: window.last + ahead)
          return (truth - draft.base(window, target, ahead: ahead, base))
            / draft.windowScale(window, target)
        }
      }
    }
    func error(_ base: ForecastScaling.Base) -> Double {
      (0..<targets).reduce(0) { sum, target in
        sum + differences(target, base).reduce(0) { $0 + abs($1) }
          / Self.rootMeanSquare(differences(target, .last))
      }
    }
    if settings.season > 1, error(.season) < error(.last) {
      forecast.base = .season
      if settings.window > settings.season, error(.seasonWithGrowth) < error(.season) {
        forecast.base = .seasonWithGrowth
      }
    }
    for target in 0..<targets {
      forecast.targetScale[target] = Self.rootMeanSquare(differences(target, forecast.base))
      scale[target] = Self.rootMeanSquare(
        windows.flatMap { window in
          (window.last - settings.window + 1...window.last).map { step in
            (draft.value(window, target, at: step) - draft.value(window, target, at: window.last))
              / draft.windowScale(window, target)
          }
        })
    }
    self.forecast = forecast
  }

  /// The root of the mean square; 1 where all are 0.
  private static func rootMeanSquare(_ values: [Double]) -> Double {
    let mean = values.reduce(0) { $0 + $1 * $1 } / Double(max(values.count, 1))
    return mean > 1e-300 ? mean.squareRoot() : 1
  }
}

extension SeriesSet {
  /// The number of series.
  var count: Int { values.count }

  /// Reads a file as settings say.
  init(_ path: String, _ settings: DataSettings) throws(CarouselError) {
    try self.init(
      table: path, targets: settings.targets, covariates: settings.covariates,
      id: settings.columns.id, time: settings.columns.time,
      hasHeader: settings.columns.hasHeader, missing: settings.missing)
  }

  /// Where a series stands, for the beginning of a sentence.
  func place(_ series: Int) -> String {
    ids[series].isEmpty ? source : "\(source): id '\(ids[series])'"
  }

  /// For each series and target the mean absolute difference from the step a season before, over the first `ends`
  /// steps: what MASE divides by.
  func naiveErrors(ends: [Int], season: Int) -> [[Double]] {
    (0..<count).map { series in
      targets.indices.map { target in
        let steps = season..<max(ends[series], season)
        let sum = steps.reduce(0.0) { sum, step in
          sum
            + abs(
              values[series][step * width + target]
                - values[series][(step - season) * width + target])
        }
        return steps.isEmpty ? 0 : sum / Double(steps.count)
      }
    }
  }

  /// Adds everything that training depends on.
  func add(to hash: inout DataHash) {
    for series in values {
      for value in series { hash.add(value.bitPattern) }
      hash.add(0)
    }
    hash.add(ids)
  }
}
