import CarouselModel
import CarouselTraining

/// A third of an experiment's trainings: all of them come as far before any goes on, so that a budget that is
/// too small leaves no row and no seed out, but cuts all trainings alike.
struct ExperimentRound {
  /// How many rounds there are.
  static let count = 3

  /// Which round it is, from 0 on.
  let index: Int

  /// The updates that a training of `total` has taken at the end of the round; a multiple of `multiple`, or all.
  func updates(of total: Int, multiple: Int = 1) -> Int {
    min((index + 1) * Self.length(total, multiple: multiple), total)
  }

  /// The updates of a round, but for the last one, which may be shorter.
  static func length(_ total: Int, multiple: Int = 1) -> Int {
    (total + count * multiple - 1) / (count * multiple) * multiple
  }
}

/// A case of an experiment that has a row of the table.
protocol ExperimentCase {
  /// The row.
  var row: ExperimentResult.Row { get set }
}

extension ExperimentContext {
  /// Measures every case with every seed, a third of the updates each, and all again from round to round.
  ///
  /// `begin` makes what is trained. `train` takes it to the end of the round and returns the row's numbers for
  /// this seed, which replace those of the round before once all cases have theirs. Returns the round that the
  /// rows' numbers are of: the last one that was completed, or the first.
  func measureInRounds<Case: ExperimentCase, Subject>(
    _ cases: inout [Case], begin beginning: (Case, _ seed: UInt64) throws -> Subject,
    train: (Case, Subject, _ seed: UInt64, ExperimentRound) throws -> [String: Double]
  ) throws -> ExperimentRound {
    let seeds = settings.allSeeds
    var subjects: [[Subject]] = seeds.map { _ in [] }
    var completed = ExperimentRound(index: 0)
    try measure(ExperimentRound.count * seeds.count * cases.count) {
      for round in (0..<ExperimentRound.count).map(ExperimentRound.init) {
        var found = cases.map { _ in [[String: Double]]() }
        for (place, seed) in seeds.enumerated() {
          for index in cases.indices {
            try begin("\(cases[index].row.name), seed \(seed)")
            if round.index == 0 { subjects[place].append(try beginning(cases[index], seed)) }
            let numbers = try train(cases[index], subjects[place][index], seed, round)
            if round.index == 0 { cases[index].row.add(numbers) }
            found[index].append(numbers)
            advance()
          }
        }
        for index in cases.indices { cases[index].row.replace(found[index]) }
        completed = round
      }
    }
    return completed
  }
}

extension ExperimentResult.Row {
  /// Adds what was measured with the next seed.
  mutating func add(_ numbers: [String: Double]) {
    for (key, value) in numbers { add(key, value) }
  }

  /// Sets what was measured with all seeds.
  mutating func replace(_ numbers: [[String: Double]]) {
    for key in Set(numbers.flatMap(\.keys)) { remove(key) }
    for seed in numbers { add(seed) }
  }
}

extension TrainingSettings {
  /// Between evaluations of a training that is evaluated at its end alone.
  static let never = 1 << 39

  /// Adam at a constant rate for an experiment's training.
  init(
    experiment recurrent: RecurrentConfiguration, sequenceLength: Int, batchSize: Int = 32,
    updates: Int, rate: Double = 0.01, seed: UInt64, evaluateEvery: Int = TrainingSettings.never
  ) {
    self.init(recurrent: recurrent, bounds: TrainingBounds(maxSteps: updates))
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    schedule = LearningRateSchedule(.constant, peak: rate)
    self.evaluateEvery = evaluateEvery
    self.seed = seed
  }
}

extension RecurrentConfiguration {
  /// Layers of an experiment; where the cell has one, the forget gate begins with a bias of 1.
  init(experiment cell: Cell, inputSize: Int, hiddenSize: Int, overrides: [String: Double] = [:]) {
    self.init(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize,
      options: CellOptions(
        overrides: overrides,
        forgetBias: cell.has(.forgetBias) ? CellOptions.customaryForgetBias : nil))
  }
}
