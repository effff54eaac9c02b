import CarouselModel
import Foundation

// Graves et al. 2006, in logarithms. The labels l of a sequence with a blank before, between and behind them
// are 2·L + 1 states; α[t, s] is the logarithm of the probability of being in state s after step t with the
// labels so far, β[t, s] of those to come, both with the probability of step t itself:
//
//     α[t, s] = log p[t, l(s)] + log(e^α[t−1, s] + e^α[t−1, s−1] + e^α[t−1, s−2])
//
// where s − 2 is allowed for a label that differs from the one before it. The share of the paths that are in
// state s at step t is e^(α + β − log p[t, l(s)] − log P), and the gradient of the logits is p minus the
// shares of the states of each class.

extension ReferenceBackend {
  /// Connectionist temporal classification; see `LossBackend`.
  public func connectionistTemporalClassification(
    _ work: CTCWork<IndexBuffer>, logits: Buffer, weights: Buffer, gradLogits: Buffer?, loss: Buffer
  ) throws {
    try checkCTC(work, logits: logits, weights: weights, gradLogits: gradLogits, loss: loss)
    let (N, V) = (work.batchSize, work.classes)
    let logits = logits.matrix(work.sequenceLength * N, V)
    let gradients = gradLogits?.matrix(work.sequenceLength * N, V)
    gradients?.fill(with: 0)
    var total = 0.0
    for n in 0..<N {
      let steps = Int(work.lengths.values[n])
      let first = n * work.maximumLabels
      let labels = work.labels.values[first..<first + Int(work.labelLengths.values[n])]
      let sequence = CTCSequence(
        logProbabilities: (0..<steps).map { logSoftmax(logits[$0 * N + n], count: V) },
        labels: labels.map(Int.init), blank: work.blank)
      let weight = weights.vector(N)[n]
      if work.dropsImpossible, sequence.logProbability == -.infinity { continue }
      total -= weight * sequence.logProbability
      guard let gradients else { continue }
      for t in 0..<steps {
        for (v, gradient) in sequence.gradient(step: t).enumerated() {
          gradients[t * N + n][v] = weight * gradient
        }
      }
    }
    loss.vector(1)[0] = total
  }

  private func logSoftmax(_ row: UnsafeMutablePointer<Double>, count: Int) -> [Double] {
    let logits = Array(UnsafeBufferPointer(start: row, count: count))
    let normalizer = logSumExp(logits)
    return logits.map { $0 - normalizer }
  }
}

/// One sequence: α and β of all its states.
private struct CTCSequence {
  /// log p, `[T][V]`.
  let logProbabilities: [[Double]]
  /// The class of each state.
  let states: [Int]
  let alpha: [[Double]], beta: [[Double]]
  /// log P.
  let logProbability: Double

  init(logProbabilities: [[Double]], labels: [Int], blank: Int) {
    let states = [blank] + labels.flatMap { [$0, blank] }
    let (T, S) = (logProbabilities.count, states.count)
    func mayJump(to s: Int) -> Bool { states[s] != blank && s >= 2 && states[s] != states[s - 2] }
    var alpha = [[Double]](repeating: [Double](repeating: -.infinity, count: S), count: T)
    var beta = alpha
    for t in 0..<T {
      for s in 0..<S {
        let before: Double
        if t == 0 {
          before = s < 2 ? 0 : -.infinity
        } else {
          before = logSumExp(
            [
              alpha[t - 1][s], s >= 1 ? alpha[t - 1][s - 1] : -.infinity,
              mayJump(to: s) ? alpha[t - 1][s - 2] : -.infinity,
            ])
        }
        alpha[t][s] = before + logProbabilities[t][states[s]]
      }
    }
    for t in (0..<T).reversed() {
      for s in 0..<S {
        let behind: Double
        if t == T - 1 {
          behind = s >= S - 2 ? 0 : -.infinity
        } else {
          behind = logSumExp(
            [
              beta[t + 1][s], s + 1 < S ? beta[t + 1][s + 1] : -.infinity,
              s + 2 < S && mayJump(to: s + 2) ? beta[t + 1][s + 2] : -.infinity,
            ])
        }
        beta[t][s] = behind + logProbabilities[t][states[s]]
      }
    }
    self.logProbabilities = logProbabilities
    self.states = states
    self.alpha = alpha
    self.beta = beta
    if let last = alpha.last {
      logProbability = logSumExp(Array(last.suffix(2)))
    } else {
      // No step: no label either, or it is impossible.
      logProbability = labels.isEmpty ? 0 : -.infinity
    }
  }

  /// The gradient of −log P with respect to the logits of step t.
  func gradient(step t: Int) -> [Double] {
    var result = logProbabilities[t].map { exp($0) }
    for (s, state) in states.enumerated() {
      let joint = alpha[t][s] + beta[t][s]
      if joint == -.infinity, logProbability > -.infinity { continue }
      result[state] -= exp(joint - logProbabilities[t][state] - logProbability)
    }
    return result
  }
}

/// `log Σ eˣ`, −∞ where all are.
private func logSumExp(_ values: [Double]) -> Double {
  var largest = -Double.infinity
  for value in values where !(value <= largest) { largest = value }
  guard largest > -.infinity else { return largest }
  var sum = 0.0
  for value in values { sum += exp(value - largest) }
  return largest + log(sum)
}
