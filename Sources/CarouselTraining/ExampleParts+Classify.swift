import CarouselFormats
import CarouselModel

extension ExampleParts {
  /// Sequences of classes.
  init(classify settings: DataSettings, seed: UInt64) throws(CarouselError) {
    var settings = settings
    if settings.columns.label == nil, try SequenceSet.Format(of: settings.file) == .table {
      settings.columns.label = try Self.labelColumn(settings, among: ["label", "class", "target"])
    }
    let set = try Self.read(settings.file, settings.labels, settings, channels: nil)
    let parts = try Self.split(
      count: set.count, keys: set.labels, validation: settings.validation, test: settings.test,
      seed: seed, place: set.place)
    let training = set.selecting(parts.training)
    var description = DataDescription(settings: settings, seed: seed)
    description.channels = set.channels
    description.classes = Self.ordered(Set(training.labels))
    let classes = description.classes ?? []
    guard classes.count >= 2 else {
      throw CarouselError(
        .badData,
        "\(set.source): expected sequences of at least 2 classes, found '\(classes.first ?? "")' alone"
      )
    }
    (description.mean, description.scale) = training.moments
    description.longest = (0..<training.count).reduce(1) { max($0, training.length($1)) }
    var hash = DataHash()
    set.add(to: &hash)
    var counts: [String: Int] = [:]
    for label in training.labels { counts[label, default: 0] += 1 }
    self.training = try ClassExamples(
      training, description,
      weights: settings.balancesClasses
        ? Self.balanced(classes.map { counts[$0] ?? 0 }) : nil,
      smoothing: settings.labelSmoothing)
    func examples(
      _ heldOut: HeldOut?, _ labels: String?, _ indices: [Int], _ hash: inout DataHash
    ) throws(CarouselError) -> ClassExamples? {
      guard let path = heldOut?.file else {
        return indices.isEmpty ? nil : try ClassExamples(set.selecting(indices), description)
      }
      let other = try Self.read(path, labels, settings, channels: description.channels)
      other.add(to: &hash)
      return try ClassExamples(other, description)
    }
    validation = try examples(
      settings.validation, settings.validationLabels, parts.validation, &hash)
    test = try examples(settings.test, settings.testLabels, parts.test, &hash)
    description.hash = hash.text
    self.description = description
  }

  private static func read(
    _ path: String, _ labels: String?, _ settings: DataSettings, channels: [String]?
  ) throws(CarouselError) -> SequenceSet {
    try SequenceSet(
      contentsOf: path, columns: settings.columns, labels: labels, channels: channels,
      missing: settings.missing)
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
