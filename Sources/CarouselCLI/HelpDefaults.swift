import Carousel

// What options are where they are absent, by their names, for the help: read from the very values that
// the commands take.

extension CellOptions {
  /// The defaults of the options that describe a cell.
  var helpDefaults: [String: String] {
    [
      "forget-bias": forgetBias.map(\.shortText) ?? "", "bias": bias.rawValue,
      "recurrence": recurrence.rawValue, "gru-reset": gruReset.rawValue,
      "recurrent-dropout": recurrentDropout.shortText, "zoneout": zoneoutHidden.shortText,
      "drop-connect": dropConnect.shortText,
    ]
  }
}

extension RecurrentConfiguration {
  /// The defaults of the options that describe layers.
  var helpDefaults: [String: String] {
    [
      "cell": cell.rawValue, "hidden-size": "\(hiddenSize)", "input-size": "\(inputSize)",
      "layers": "\(layers)", "direction": direction.rawValue, "merge": merge.rawValue,
      "dropout": dropout.shortText,
    ].merging(options.helpDefaults) { $1 }
  }

  /// Those, and of T, N and the seed.
  func helpDefaults(sequenceLength: Int, batchSize: Int) -> [String: String] {
    helpDefaults.merging([
      "sequence-length": "\(sequenceLength)", "batch-size": "\(batchSize)",
      "seed": "\(SeedOptions.standard)",
    ]) { $1 }.merging(DeviceOptions.helpDefaults) { $1 }
  }
}

extension TrainingSettings {
  /// The defaults of the options of `train`.
  var helpDefaults: [String: String] {
    recurrent.helpDefaults(sequenceLength: sequenceLength, batchSize: batchSize).merging([
      "embedding-size": "\(recurrent.inputSize)", "optimizer": optimizer.kind.rawValue,
      "weight-decay": optimizer.weightDecay.shortText, "momentum": optimizer.momentum.shortText,
      "learning-rate": schedule.peak.shortText, "schedule": schedule.decay.rawValue,
      "schedule-by": scheduleBy.rawValue, "warmup-steps": "\(schedule.warmupSteps)",
      "final-learning-rate": schedule.final.shortText, "decay-steps": "\(schedule.decaySteps)",
      "decay-factor": schedule.decayFactor.shortText, "clip-norm": (clipNorm ?? 0).shortText,
      "validation": validation.shortText, "evaluate-every": "\(evaluateEvery)",
      "log-every": "\(logEvery)", "save-every": (saveEvery ?? .standard).words,
      "validation-bytes": validationBytes.map(String.init) ?? "all",
      "max-epochs": bounds.maxEpochs.map { "\($0) where no bound is given" } ?? "",
    ]) { $1 }
  }
}

extension Double {
  /// The number without a point where it is whole.
  fileprivate var shortText: String {
    self == rounded() && abs(self) < 1e9 ? "\(Int(self))" : "\(self)"
  }
}
