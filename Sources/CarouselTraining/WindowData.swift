import CarouselModel

/// One step's worth of data.
struct TrainingBatch {
  let input: NetworkInput
  let targets: NetworkTargets
  /// Whether sequences begin, so that the states before are zeros.
  let begins: Bool
}

/// What a network is trained on: batches that are a function of how many steps were taken before.
protocol WindowData: Sendable {
  /// The steps of each sequence in a batch.
  var sequenceLength: Int { get }
  /// The sequences of an update.
  var batchSize: Int { get }
  /// The training steps of an epoch.
  var epochSteps: Int { get }
  /// Some sequences of the update `step`, counted from 0.
  func batch(_ step: Int, sequences: Range<Int>) throws -> TrainingBatch
}

extension WindowData {
  /// All sequences of an update.
  func batch(_ step: Int) throws -> TrainingBatch { try batch(step, sequences: 0..<batchSize) }
}

extension TextStreams: WindowData {
  var epochSteps: Int { windowCount }

  func batch(_ step: Int, sequences: Range<Int>) throws -> TrainingBatch {
    let index = step % windowCount
    let window = try window(index, streams: sequences)
    return TrainingBatch(
      input: .tokens(window.inputs), targets: .classes(window.targets), begins: index == 0)
  }
}

/// Measures a network as its parameters are now.
protocol TrainingEvaluator {
  /// The passes that an evaluation is.
  var passCount: Int { get }
  /// The loss, with other metrics where the task has them; nil where `shouldStop`, which is asked before
  /// each pass, became true on the way.
  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics?
}

extension TextEvaluator: TrainingEvaluator {
  func measure(shouldStop: () throws -> Bool) throws -> TaskMetrics? {
    try evaluate(shouldStop: shouldStop).map { TaskMetrics(loss: $0.loss) }
  }
}
