import Carousel
import Foundation

/// `--tensorboard`: what a run comes to, as events that TensorBoard shows.
///
/// Scalars are the lines of metrics, histograms the weights at each evaluation, texts the options of the run
/// and, of a text, a sample at each evaluation. A run that is resumed adds a file to the folder.
final class TrainEventLog {
  private let file: EventFile
  private let weights: () throws -> [(name: String, tensor: Tensor)]
  private let sample: () throws -> String?

  /// Begins a file in a folder after so many steps; throws `writeFailed` where that is not possible.
  private init(
    in folder: String, configuration: String?, step: Int,
    weights: @escaping () throws -> [(name: String, tensor: Tensor)],
    sample: @escaping () throws -> String?
  ) throws {
    file = try EventFile(in: folder)
    (self.weights, self.sample) = (weights, sample)
    // Four blanks make a block of code in Markdown.
    let lines = configuration?.split(separator: "\n").map { "    \($0)" } ?? []
    try file.add(text: lines.joined(separator: "\n"), to: "options", step: step)
  }

  /// Begins the log of a network's run.
  convenience init<B: Backend>(in folder: String, _ trainer: Trainer<B>) throws {
    try self.init(
      in: folder, configuration: trainer.configuration, step: trainer.position.step,
      weights: { try trainer.withEvaluatedWeights(trainer.network.parameters.tensors) },
      sample: { try trainer.sample() })
  }

  /// Begins the log of a graph's run.
  convenience init<B: Backend>(in folder: String, _ trainer: GraphTrainer<B>) throws {
    try self.init(
      in: folder, configuration: trainer.configuration, step: trainer.position.step,
      weights: { try trainer.withEvaluatedWeights(trainer.model.parameters.tensors) },
      sample: { nil })
  }

  /// Takes note of an event.
  func hear(_ event: TrainingEvent) throws {
    switch event {
    case .logged(let line, _): try add(line)
    case .evaluated(let line, _):
      try add(line)
      for (name, tensor) in try weights() {
        try file.add(histogramOf: tensor.values, to: "weights/\(name)", step: line.step)
      }
      if let sample = try sample() {
        try file.add(text: sample, to: "sample", step: line.step)
      }
    case .stepped, .evaluating, .saved, .ranks, .warned: break
    }
  }

  private func add(_ line: TrainingMetrics) throws {
    for (tag, value) in line.scalars { try file.add(value, to: tag, step: line.step) }
  }
}

extension TrainingMetrics {
  /// The numbers of the line under TensorBoard's tags, whose part before the slash groups them.
  var scalars: [(tag: String, value: Double)] {
    let all: [(tag: String, value: Double?)] = [
      ("loss/training", trainingLoss), ("loss/validation", validationLoss),
      ("optimizer/learning rate", learningRate), ("optimizer/gradient norm", gradientNorm),
      ("rate/bytes per second", bytesPerSecond),
      ("rate/sequences per second", sequencesPerSecond),
      ("validation/bits per byte", bitsPerByte),
      ("validation/bits per character", bitsPerCharacter), ("validation/accuracy", accuracy),
      ("validation/macro F1", macroF1), ("validation/span F1", spanF1), ("validation/MAE", mae),
      ("validation/RMSE", rmse), ("validation/MASE", mase), ("validation/sMAPE", smape),
      ("validation/coverage", coverage),
    ]
    return all.compactMap { tag, value in value.map { (tag, $0) } }
  }
}

extension Trainer {
  /// What the network writes of itself, with the weights that evaluations measure; nil of other tasks than
  /// text.
  func sample(length: Int = 200) throws -> String? {
    guard task == .text else { return nil }
    return try withEvaluatedWeights {
      var bytes: [UInt8] = []
      try TextGenerator(network, vocabulary: vocabulary).generate(
        prompt: [], length: length, sampler: TokenSampler(temperature: 0.8), seed: settings.seed
      ) { bytes.append($0) }
      return String(decoding: bytes, as: UTF8.self)
    }
  }
}
