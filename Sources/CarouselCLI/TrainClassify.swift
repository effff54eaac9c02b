import ArgumentParser
import Carousel

/// `carousel train classify`: the class of a sequence.
struct TrainClassify: PagedCommand {
  static let configuration = CommandConfiguration(
    commandName: "classify",
    abstract: "Trains a network to tell the class of a sequence.",
    discussion: """
      The data are a .ts file of the UCR and UEA archives; a CSV file with a header, a sequence a row \
      (--label names the column of the classes, all others are its steps) or a step a row (--id, \
      --label and --time name columns, all others are its channels); or IDX images, a row a step, \
      packed by gzip or not, with their labels in --labels. A share of every class, or the file of \
      --validation, is held out; the model that is best there is kept and, with --test, tested. Numbers \
      are scaled as the training part asks for, by 'predict' and 'evaluate' too. Of a file above 256 MiB \
      sequences are read when they are trained on, and a sample says which classes there are, unless \
      --classes does.
      """)

  static let basics =
    ["label", "classes", "id", "time", "labels", "missing"] + TrainExampleOptions.basics
  static var defaults: [String: String] {
    TrainingSettings.defaults(for: .classify).exampleHelpDefaults
  }

  @OptionGroup var examples: TrainExampleOptions

  @Option(help: ArgumentHelp("Of a table, the column of the classes.", valueName: "column"))
  var label: String?

  @Option(
    help: ArgumentHelp(
      "All classes, in the order of the outputs; without it those of the data.",
      valueName: "name,…"))
  var classes: NameList?

  @Option(
    help: ArgumentHelp(
      "Of images, the file of their labels; without it, the one that is named like theirs.",
      valueName: "file"))
  var labels: String?

  @Option(help: ArgumentHelp("The labels of --validation's images.", valueName: "file"))
  var validationLabels: String?

  @Option(help: ArgumentHelp("The labels of --test's images.", valueName: "file"))
  var testLabels: String?

  @OptionGroup var numbers: MissingOptions
  @OptionGroup(title: "Optimization") var targets: ClassOptions

  @Option(
    help: ArgumentHelp(
      "Which outputs tell the class: those of the last step, or the mean over all."))
  var pooling: Pooling?

  func run() throws {
    let isPlain =
      label == nil && classes == nil && labels == nil && validationLabels == nil
      && testLabels == nil
      && numbers.missing == nil && pooling == nil && targets.isEmpty
    try examples.run(.classify, isPlain: isPlain) { data in
      (data.columns.label, data.classes) = (label, classes?.names)
      (data.labels, data.validationLabels, data.testLabels) = (labels, validationLabels, testLabels)
      data.missing = numbers.missing ?? .error
      let recurrent = examples.common.recurrent.stack
      let isForward = !recurrent.bidirectional && recurrent.direction ?? .forward == .forward
      data.pooling = pooling ?? (isForward ? .last : .mean)
      targets.apply(to: &data)
    }
  }
}

/// How classes and tags are learnt.
struct ClassOptions: ParsableArguments {
  /// Whether all classes weigh alike.
  enum Weights: String, CaseIterable, ExpressibleByArgument {
    case none, balanced
  }

  @Option(
    help: ArgumentHelp(
      "What an example weighs: none the same, balanced so that every class weighs the same."))
  var classWeights: Weights?

  @Option(
    help: ArgumentHelp(
      "The share of a target that goes to all classes alike.", valueName: "share"))
  var labelSmoothing: Double?

  /// Whether neither was given.
  var isEmpty: Bool { classWeights == nil && labelSmoothing == nil }

  func apply(to data: inout DataSettings) {
    data.balancesClasses = classWeights == .balanced
    data.labelSmoothing = labelSmoothing ?? 0
  }
}

extension TrainingSettings {
  /// The defaults of a task on one's own data, some of which follow the number of examples.
  var exampleHelpDefaults: [String: String] {
    let bySize = "by the number of examples"
    return helpDefaults.merging([
      "batch-size": "16, 32 or 64 \(bySize)", "max-epochs": "10 to 150 \(bySize)",
      "evaluate-every": "an epoch, or 20 steps", "warmup-steps": "at most 100",
      "validation": "0.1", "missing": MissingValues.error.rawValue, "class-weights": "none",
      "label-smoothing": "0", "pooling": "last where the direction is forward, else mean",
      "input-size": "", "sequence-length": "", "validation-bytes": "",
    ]) { $1 }
  }
}
