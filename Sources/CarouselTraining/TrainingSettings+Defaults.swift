import CarouselModel

extension TrainingSettings {
  /// How `carousel train` trains where nothing else is asked for: within minutes on two cores these
  /// settings learn the task.
  ///
  /// An LSTM's forget gate begins at a bias of 1 (Jozefowicz et al. 2015), for `copy` of 3. docs/experiments.md has the
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
      // A symbol waits 60 steps, of which a gate that begins at sigmoid(1) keeps 10⁻⁸, at sigmoid(3) 0.05.
      result.recurrent.options.forgetBias = 3
      result.schedule.peak = 0.01
      result.schedule.decaySteps = 4000
      result.clipNorm = nil
    }
    return result
  }
}
