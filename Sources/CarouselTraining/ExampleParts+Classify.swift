import CarouselFormats
import CarouselModel

extension ExampleParts {
  /// Sequences of classes.
  init(classify settings: DataSettings, seed: UInt64) throws(CarouselError) {
    let set = try SequenceSet(
      contentsOf: settings.file, columns: settings.columns, labels: settings.labels,
      missing: settings.missing)
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
    ) throws(CarouselError) -> ClassExamples? {
      guard let path = heldOut?.file else {
        return indices.isEmpty ? nil : try ClassExamples(set.selecting(indices), description)
      }
      return try Self.classes(of: path, labels: labels, description, &hash)
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
  /// `classes` are those that the file names; those of the settings go before them.
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
  /// The mean of each channel and its standard deviation, 1 where a channel never changes.
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
