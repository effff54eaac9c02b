import CarouselFormats
import CarouselModel

/// One's own data, read and cut into parts that share no sequence, or, of forecasts, no time.
public struct TrainingExamples: Sendable {
  /// What is trained, one of the tasks that read examples.
  public let task: TrainingTask
  /// What a model remembers of the data.
  public let description: DataDescription
  let training: any ExampleSource
  let validation: (any ExampleSource)?, test: (any ExampleSource)?

  /// The examples to learn from.
  public var count: Int { training.count }
  /// The examples that are held out.
  public var validationCount: Int { validation?.count ?? 0 }
  /// The examples of the test.
  public var testCount: Int { test?.count ?? 0 }

  /// How many there are, in a few words.
  package var summary: String {
    (task.exampleTask?.summary(self) ?? counted(count, "example"))
      + (description.classes.map { ", \($0.count) classes" } ?? "")
      + ", \(validationCount == 0 ? "none" : "\(validationCount)") held out"
      + (testCount > 0 ? ", \(testCount) to test" : "")
  }

  /// Reads the files that settings name; `seed` draws what is held out.
  ///
  /// Throws `badData` with file, line and column where a file is not what it should be, where a class has
  /// too few examples to be held out, and where one of another file was not seen in training.
  public init(
    _ task: TrainingTask, settings: DataSettings, seed: UInt64
  ) throws(CarouselError) {
    try self.init(task, settings: settings, seed: seed, mostInMemory: TrainingText.mostInMemory)
  }

  /// The same; a file with more than `mostInMemory` bytes stays where it is, see `StreamedExamples`.
  init(
    _ task: TrainingTask, settings: DataSettings, seed: UInt64, mostInMemory: Int
  ) throws(CarouselError) {
    try settings.validate()
    self.task = task
    guard let kind = task.exampleTask else {
      throw CarouselError(.usage, "the task \(task.rawValue) reads no examples")
    }
    let parts = try kind.parts(settings, seed: seed, mostInMemory: mostInMemory)
    description = parts.description
    (training, validation, test) = (parts.training, parts.validation, parts.test)
  }

  /// The data of a run that is resumed; throws where they are no longer what they were.
  public init(resuming checkpoint: Checkpoint) throws(CarouselError) {
    try self.init(resuming: checkpoint, mostInMemory: TrainingText.mostInMemory)
  }

  init(resuming checkpoint: Checkpoint, mostInMemory: Int) throws(CarouselError) {
    let known = checkpoint.description
    guard let data = known.data else {
      throw CarouselError(
        .badData,
        "\(checkpoint.path): expected a run on one's own data, found one of 'train \(known.task.rawValue)'"
      )
    }
    try self.init(
      known.task, settings: data.settings, seed: data.seed, mostInMemory: mostInMemory)
    guard description == data else {
      throw CarouselError(
        .badData,
        "\(data.settings.file): expected the data that '\(checkpoint.path)' was trained on, with the hash "
          + "\(data.hash), found others with the hash \(description.hash); --from begins a new run from its "
          + "weights with any data")
    }
  }
}

/// The parts of data, and what a model remembers of them.
struct ExampleParts {
  var description: DataDescription
  let training: any ExampleSource
  let validation: (any ExampleSource)?, test: (any ExampleSource)?

  /// Cuts sequences with labels into those to learn from and those held out, the same share of each class.
  ///
  /// `keys` are the classes; empty draws from all alike. Returns indices in rising order.
  static func split(
    count: Int, keys: [String], validation: HeldOut, test: HeldOut?, seed: UInt64,
    place: (Int) -> String
  ) throws(CarouselError) -> (training: [Int], validation: [Int], test: [Int]) {
    var groups: [String: [Int]] = [:]
    for index in 0..<count { groups[keys.isEmpty ? "" : keys[index], default: []].append(index) }
    var parts: (training: [Int], validation: [Int], test: [Int]) = ([], [], [])
    for (number, key) in groups.keys.sorted().enumerated() {
      var group = groups[key] ?? []
      group.shuffle(by: Philox(seed: seed, stream: RandomStream.split(number)), from: 0)
      var sizes = [0, 0]
      for (index, heldOut) in [test, validation].enumerated() {
        guard case .share(let share) = heldOut, share > 0 else { continue }
        sizes[index] = max(1, Int((Double(group.count) * share).rounded()))
      }
      guard sizes[0] + sizes[1] < group.count else {
        throw CarouselError(
          .badData,
          keys.isEmpty
            ? "\(place(group[0])): expected more sequences than are held out, found \(group.count)"
            : "\(place(group[0])): expected at least \(sizes[0] + sizes[1] + 1) examples of the class "
              + "'\(key)', since a share of each class is held out, found \(group.count); --validation 0 "
              + "holds out none")
      }
      parts.test += group[..<sizes[0]]
      parts.validation += group[sizes[0]..<sizes[0] + sizes[1]]
      parts.training += group[(sizes[0] + sizes[1])...]
    }
    return (parts.training.sorted(), parts.validation.sorted(), parts.test.sorted())
  }

  /// Names in the order of their numbers where all are numbers, else of their letters.
  static func ordered(_ names: Set<String>) -> [String] {
    names.allSatisfy { Double($0) != nil }
      ? names.sorted { (Double($0) ?? 0, $0) < (Double($1) ?? 0, $1) } : names.sorted()
  }

  /// The weights that let each class weigh as much as any other: n / (K·n_c).
  static func balanced(_ counts: [Int]) -> [Double] {
    let all = Double(counts.reduce(0, +))
    return counts.map { all / Double(counts.count * max($0, 1)) }
  }
}

extension HeldOut {
  /// The file, where it is one.
  var file: String? {
    guard case .file(let path) = self else { return nil }
    return path
  }
}
