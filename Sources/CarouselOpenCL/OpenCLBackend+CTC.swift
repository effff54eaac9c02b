import CarouselModel
import OpenCLDriver

// The twin of ctc.cl.
extension OpenCLBackend {
  /// Four launches and the sum of the sequences' losses; memory for T·N·(V + 4·S + 2) numbers.
  ///
  /// A work-group computes α of one sequence, another its β: time ∝ T·S/lanes.
  public func connectionistTemporalClassification(
    _ work: CTCWork<IndexBuffer>, logits: Buffer, weights: Buffer, gradLogits: Buffer?, loss: Buffer
  ) throws {
    try checkCTC(work, logits: logits, weights: weights, gradLogits: gradLogits, loss: loss)
    let (T, N, V) = (work.sequenceLength, work.batchSize, work.classes)
    let (rows, states) = (T * N, T * N * (2 * work.maximumLabels + 1))
    let lanes = launcher.parameters.lanes
    let logProbabilities = try launcher.scratch(count: rows * V)
    let stateValues = try launcher.scratch(count: 2 * states)
    let losses = try launcher.scratch(count: N)
    func kernel(_ name: String) throws -> Kernel {
      try launcher.kernel(name, in: ["ops/ctc.cl"])
    }
    try launcher.launch(
      kernel("ctc_log_softmax"), global: [lanes, rows], local: [lanes, 1],
      flops: 20 * Double(rows * V), bytes: 8 * Double(rows * V),
      ["logits": .buffer(logits), "log_p": .buffer(logProbabilities), "V": .int(V)])
    try launcher.launch(
      kernel("ctc_states"), global: [lanes, N, gradLogits == nil ? 1 : 2], local: [lanes, 1, 1],
      flops: 80 * Double(states), bytes: 8 * Double(states),
      [
        "log_p": .buffer(logProbabilities), "labels": .buffer(work.labels.memory),
        "lengths": .buffer(work.lengths.memory),
        "label_lengths": .buffer(work.labelLengths.memory), "states": .buffer(stateValues),
        "losses": .buffer(losses), "T": .int(T), "N": .int(N), "V": .int(V),
        "S": .int(work.maximumLabels), "blank": .int(work.blank),
      ])
    if let gradLogits {
      try launcher.launch(
        kernel("ctc_gradient"), global: [rows], flops: 20 * Double(rows * V + 2 * states),
        bytes: 8 * Double(rows * V + states),
        [
          "log_p": .buffer(logProbabilities), "states": .buffer(stateValues),
          "losses": .buffer(losses), "weights": .buffer(weights),
          "labels": .buffer(work.labels.memory), "lengths": .buffer(work.lengths.memory),
          "label_lengths": .buffer(work.labelLengths.memory), "grad_logits": .buffer(gradLogits),
          "T": .int(T), "N": .int(N), "V": .int(V), "S": .int(work.maximumLabels),
          "blank": .int(work.blank), "drops": .int(work.dropsImpossible),
        ])
    }
    try launcher.launch(
      kernel("ctc_weigh"), global: [N], bytes: 12 * Double(N),
      [
        "losses": .buffer(losses), "weights": .buffer(weights),
        "drops": .int(work.dropsImpossible),
      ])
    try sum(losses, count: N, squares: false, scale: 1, root: false, into: loss)
  }
}
