import CarouselFormats
import CarouselModel

/// Where examples are held out from.
public enum HeldOut: Hashable, Sendable, Codable {
  /// This share of the training file: drawn for classes and tags, at the end of texts and, for forecasts, of time.
  case share(Double)
  /// A file of its own.
  case file(String)

  /// Throws a usage error where a share is none, or both together leave nothing to learn from.
  static func validate(validation: HeldOut, test: HeldOut?) throws(CarouselError) {
    for (name, part) in [("validation", validation), ("test", test)] {
      guard case .share(let share) = part, !(share >= 0 && share < 1) else { continue }
      throw CarouselError(
        .usage, "the \(name) share must be at least 0 and below 1, but is \(share)")
    }
    if case .share(let validation) = validation, case .share(let test) = test,
      validation + test >= 1
    {
      throw CarouselError(
        .usage,
        "the validation and the test share must be below 1 together, but are \(validation) and \(test)"
      )
    }
  }
}

/// How the outputs of a sequence's steps become one.
public enum Pooling: String, Hashable, Sendable, Codable, CaseIterable {
  /// Those of the last valid step.
  case last
  /// Their mean over the valid steps.
  case mean
}

/// What a forecast minimizes.
public enum ForecastLoss: Hashable, Sendable, Codable {
  /// Squared errors, for the mean.
  case squared
  /// Absolute errors, for the median.
  case absolute
  /// Squared below 1 (in scaled units), absolute above (Huber 1964).
  case huber
  /// The pinball loss of each of these quantiles (Koenker & Bassett 1978).
  case quantile([Double])
  /// −log N(y; μ, σ²), with both predicted.
  case gaussian

  /// The outputs for each number that is predicted.
  var outputCount: Int {
    switch self {
    case .squared, .absolute, .huber: 1
    case .quantile(let levels): levels.count
    case .gaussian: 2
    }
  }
}

/// Which files a network is trained on, how they are read, and what is asked of it.
public struct DataSettings: Hashable, Sendable, Codable {
  /// The training file, and of images the file of their labels.
  public var file: String, labels: String?
  /// What is held out while training, and what the trained model is tested on.
  public var validation = HeldOut.share(0.1), test: HeldOut?
  /// The labels of images in files of their own.
  public var validationLabels: String?, testLabels: String?
  /// Which columns of a table hold what.
  public var columns = SequenceColumns()
  /// What stands for missing numbers.
  public var missing = MissingValues.error

  /// All classes or tags, in the order of the outputs; nil takes those that the data have.
  public var classes: [String]?
  /// Classes: whether each weighs as much as any other, how much of a target goes to all classes, and how
  /// steps become one.
  public var balancesClasses = false, labelSmoothing = 0.0, pooling = Pooling.last

  /// Forecasts: the columns to predict and those read beside them.
  public var targets: [String] = [], covariates: [String] = []
  /// W, the steps that are read; H, those that are predicted; S, the steps of a season.
  public var window = 32, horizon = 1, season = 1
  /// What a forecast minimizes.
  public var loss = ForecastLoss.squared

  /// Tags: the column of the words; nil takes the one that is left.
  public var word: String?

  /// Names the training file.
  public init(file: String) { self.file = file }

  /// Throws a usage error where settings make no sense.
  public func validate() throws(CarouselError) {
    try HeldOut.validate(validation: validation, test: test)
    if let classes {
      guard classes.count >= 2, Set(classes).count == classes.count,
        classes.allSatisfy({ !$0.isEmpty })
      else {
        throw CarouselError(
          .usage,
          "--classes needs at least 2 names, each once, but is \(classes.joined(separator: ","))")
      }
    }
    guard labelSmoothing >= 0, labelSmoothing < 1 else {
      throw CarouselError(
        .usage, "label smoothing must be at least 0 and below 1, but is \(labelSmoothing)")
    }
    for (name, value) in [("window", window), ("horizon", horizon), ("season", season)] {
      guard 1...TrainingSettings.maximumSize ~= value else {
        throw CarouselError(
          .usage,
          "the \(name) must be at least 1 and at most \(TrainingSettings.maximumSize), but is \(value)"
        )
      }
    }
    guard window >= season else {
      throw CarouselError(
        .usage,
        "the window must hold a season, but is \(window) steps where the season is \(season)")
    }
    if case .quantile(let levels) = loss {
      let rising = zip(levels, levels.dropFirst()).allSatisfy { $0 < $1 }
      guard !levels.isEmpty, levels.count <= 99, levels.allSatisfy({ $0 > 0 && $0 < 1 }), rising
      else {
        throw CarouselError(
          .usage,
          "quantiles must be between 0 and 1 and rise, but are "
            + levels.map { "\($0)" }.joined(separator: ", "))
      }
    }
  }
}

extension DataSettings {
  /// Throws a usage error where an option of `carousel train` means nothing for the files that others name.
  package func requireUse(by task: TrainingTask) throws(CarouselError) {
    func refuse(_ reason: String, _ options: KeyValuePairs<String, Bool>) throws(CarouselError) {
      guard let option = options.first(where: \.value)?.key else { return }
      throw CarouselError(.usage, "\(file): \(option) \(reason)")
    }
    let names: KeyValuePairs = [
      "--id": columns.id != nil, "--label": columns.label != nil, "--word": word != nil,
      "--time": columns.time != nil, "--no-header": !columns.hasHeader,
    ]
    if task == .tag, columns.id == nil {
      try refuse("is for a table, in which --id tells sequences apart", names)
    }
    guard task == .classify else { return }
    if try SequenceSet.Format(of: file) != .table {
      try refuse("is for a table, which this is not", names)
    } else if columns.id == nil {
      try refuse(
        "orders the rows of each --id, which was not given", ["--time": columns.time != nil])
    }
    for (option, labels, path) in [
      ("--labels", labels, file), ("--validation-labels", validationLabels, validation.file),
      ("--test-labels", testLabels, test?.file),
    ] where labels != nil {
      guard let path else {
        let part = option.replacing("-labels", with: "")
        throw CarouselError(
          .usage, "\(option) names the labels of a file of \(part), which names none")
      }
      try SequenceSet.Format.requireImages(path, for: option)
    }
  }
}
