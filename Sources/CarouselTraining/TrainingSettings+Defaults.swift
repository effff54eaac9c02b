import CarouselModel

extension TrainingSettings {
  /// How `carousel train` trains where nothing else is asked for: within minutes on two cores these
  /// settings learn the task.
  ///
  /// An LSTM's forget gate begins at a bias of 1 (Jozefowicz et al. 2015), for `copy` of 5. docs/textbook.md has the
  /// commands behind the numbers, and what they printed.
  public static func defaults(for task: TrainingTask) -> TrainingSettings {
    func settings(inputSize: Int, hiddenSize: Int, maxEpochs: Int) -> TrainingSettings {
      TrainingSettings(
        recurrent: RecurrentConfiguration(
          inputSize: inputSize, hiddenSize: hiddenSize,
          options: CellOptions(forgetBias: CellOptions.customaryForgetBias)),
        bounds: TrainingBounds(maxEpochs: maxEpochs))
    }
    var result: TrainingSettings
    switch task {
    case .text:
      result = settings(inputSize: 64, hiddenSize: 256, maxEpochs: 10)
    case .adding:
      result = settings(inputSize: 2, hiddenSize: 128, maxEpochs: 5)
      (result.sequenceLength, result.batchSize) = (200, 32)
      result.schedule.decay = .constant
      result.schedule.peak = 0.01
    case .copy:
      result = settings(inputSize: 16, hiddenSize: 128, maxEpochs: 15)
      (result.sequenceLength, result.batchSize) = (50, 32)
      // A symbol waits 60 steps, of which a gate that begins at sigmoid(1) keeps 10⁻⁸, at sigmoid(3) 0.05 and at
      // sigmoid(5) 0.67. With 3, and without clipping, some seeds never begin to learn.
      result.recurrent.options.forgetBias = 5
      result.schedule.peak = 0.01
      result.schedule.decaySteps = 4000
    case .classify, .forecast, .tag:
      result = settings(
        inputSize: task == .tag ? 64 : 1, hiddenSize: task == .forecast ? 64 : 128, maxEpochs: 10)
      (result.batchSize, result.validation) = (32, 0)
      if task == .tag { result.recurrent.direction = .bidirectional }
      // On JapaneseVowels as good as an LSTM (0.981 and 0.984 against 0.981 and 0.976, seeds 1 and 2), with
      // fewer parameters.
      if task == .classify {
        result.recurrent.cell = .gru
        result.recurrent.options.forgetBias = nil
      }
      result.schedule = LearningRateSchedule(.cosine, peak: 0.003, warmupSteps: 100)
    }
    return result
  }

  /// The same for examples of one's own: batches, epochs and evaluations follow their number.
  ///
  /// A run is some 2,500 training steps long, at least 10 and at most 150 epochs.
  public static func defaults(for examples: TrainingExamples) -> TrainingSettings {
    var result = defaults(for: examples.task)
    result.batchSize = examples.count >= 2048 ? 64 : examples.count >= 512 ? 32 : 16
    if examples.description.words == nil {
      result.recurrent.inputSize = examples.description.channels.count
    }
    result.sequenceLength = examples.description.longest
    // Few examples are soon known by heart: with 0.3 two seeds of JapaneseVowels rose from 0.981 and 0.970 to
    // 0.981 and 0.984, and two of BasicMotions to 1.00.
    if examples.task == .classify, examples.count < 2048 {
      result.recurrent.options.recurrentDropout = 0.3
    }
    result.follow(examples.count)
    return result
  }

  /// Sets what follows the number of examples, once the size of a batch is known.
  public mutating func follow(_ count: Int) {
    let epochSteps = (count + updateSize - 1) / updateSize
    let epochs = min(max((2500 + epochSteps - 1) / epochSteps, 10), 150)
    bounds = TrainingBounds(maxEpochs: epochs)
    schedule.warmupSteps = min(100, epochs * epochSteps / 10)
    // Whole epochs, but not more often than every 20 steps.
    evaluateEvery = epochSteps * ((20 + epochSteps - 1) / epochSteps)
    logEvery = min(100, evaluateEvery)
  }
}
