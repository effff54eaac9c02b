import CarouselModel
import Foundation

extension ReferenceBackend {
  /// Cross-entropy with weights of classes and smoothed labels; see `LossBackend`.
  ///
  /// With the row's largest logit z*, `−log p[v] = log Σ exp(z − z*) + (z* − z[v])`.
  public func crossEntropy(
    logits: Buffer, targets: IndexBuffer, classWeights: Buffer?, smoothing: Double,
    gradLogits: Buffer?, loss: Buffer, rows: Int, classes: Int, scale: Double
  ) throws {
    try checkCrossEntropy(
      logits: logits, targets: targets, classWeights: classWeights, smoothing: smoothing,
      gradLogits: gradLogits, loss: loss, rows: rows, classes: classes)
    let logits = logits.matrix(rows, classes)
    let gradLogits = gradLogits?.matrix(rows, classes)
    let weights = classWeights.map { Array($0.first(classes)) }
    var sum = 0.0
    for m in 0..<rows {
      let target = Int(targets.values[m])
      guard target >= 0 else {
        gradLogits?[m].update(repeating: 0, count: classes)
        continue
      }
      let row = Array(UnsafeBufferPointer(start: logits[m], count: classes))
      var largest = row[0]
      for z in row where z > largest { largest = z }
      var partition = 0.0
      for z in row { partition += exp(z - largest) }
      let wanted = (0..<classes).map { v in
        ((v == target ? 1 - smoothing : 0) + smoothing / Double(classes)) * (weights?[v] ?? 1)
      }
      var all = 0.0
      for v in 0..<classes {
        all += wanted[v]
        // A class that is not wanted at all takes no part, though its logit be −∞.
        if wanted[v] != 0 || row[v].isNaN {
          sum += wanted[v] * (log(partition) + (largest - row[v]))
        }
      }
      guard let grad = gradLogits?[m] else { continue }
      for v in 0..<classes {
        grad[v] = scale * (all * exp(row[v] - largest) / partition - wanted[v])
      }
    }
    loss.vector(1)[0] = scale * sum
  }

  /// How far predictions are from targets; see `RegressionLoss` for the equations.
  public func regressionLoss(
    _ kind: RegressionLoss, predictions: Buffer, targets: Buffer, counted: IndexBuffer?,
    gradPredictions: Buffer?, loss: Buffer, rows: Int, width: Int, scale: Double
  ) throws {
    try checkRegression(
      kind, predictions: predictions, targets: targets, counted: counted,
      gradPredictions: gradPredictions, loss: loss, rows: rows, width: width)
    let perTarget = kind.predictionsPerTarget
    let predictions = predictions.matrix(rows, width * perTarget)
    let targets = targets.matrix(rows, width)
    let gradients = gradPredictions?.matrix(rows, width * perTarget)
    var sum = 0.0
    for m in 0..<rows {
      if let counted, counted.values[m] == 0 {
        gradients?[m].update(repeating: 0, count: width * perTarget)
        continue
      }
      for o in 0..<width {
        let result = kind.lossAndGradient(
          (0..<perTarget).map { predictions[m][o * perTarget + $0] }, target: targets[m][o])
        sum += result.loss
        for (index, gradient) in result.gradient.enumerated() {
          gradients?[m][o * perTarget + index] = scale * gradient
        }
      }
    }
    loss.vector(1)[0] = scale * sum
  }

  /// Softmax over each row of `logits [M, V]` and cross-entropy with `targets [M]`; see `Backend`.
  ///
  /// With the row's largest logit z* the loss of a row is `z* + log Σ exp(z − z*) − z[target]`, so
  /// that no exponential overflows.
  public func softmaxCrossEntropy(
    logits: Buffer, targets: IndexBuffer, gradLogits: Buffer?, loss: Buffer, rows: Int,
    classes: Int, scale: Double
  ) throws {
    try checkSoftmaxCrossEntropy(
      logits: logits, targets: targets, gradLogits: gradLogits, loss: loss, rows: rows,
      classes: classes)
    let logits = logits.matrix(rows, classes)
    let targets = targets.values
    let gradLogits = gradLogits?.matrix(rows, classes)
    var sum = 0.0
    for m in 0..<rows {
      let target = Int(targets[m])
      let row = logits[m]
      guard target >= 0 else {
        gradLogits?[m].update(repeating: 0, count: classes)
        continue
      }
      var largest = row[0]
      for v in 1..<classes where row[v] > largest { largest = row[v] }
      var partition = 0.0
      for v in 0..<classes { partition += exp(row[v] - largest) }
      sum += largest + log(partition) - row[target]
      guard let grad = gradLogits?[m] else { continue }
      for v in 0..<classes {
        let softmax = exp(row[v] - largest) / partition
        grad[v] = scale * (v == target ? softmax - 1 : softmax)
      }
    }
    loss.vector(1)[0] = scale * sum
  }

  /// The squared error of the rows that count; see `Backend`.
  public func squaredError(
    predictions: Buffer, targets: Buffer, counted: IndexBuffer, gradPredictions: Buffer?,
    loss: Buffer, rows: Int, width: Int, scale: Double
  ) throws {
    try checkSquaredError(
      predictions: predictions, targets: targets, counted: counted,
      gradPredictions: gradPredictions, loss: loss, rows: rows, width: width)
    let predictions = predictions.matrix(rows, width)
    let targets = targets.matrix(rows, width)
    let counted = counted.values
    let gradPredictions = gradPredictions?.matrix(rows, width)
    var sum = 0.0
    for m in 0..<rows {
      for o in 0..<width {
        let error = counted[m] == 0 ? 0 : predictions[m][o] - targets[m][o]
        sum += error * error
        gradPredictions?[m][o] = 2 * scale * error
      }
    }
    loss.vector(1)[0] = scale * sum
  }
}

extension RegressionLoss {
  /// The loss of one target and its gradient with respect to the target's predictions.
  fileprivate func lossAndGradient(
    _ predictions: [Double], target: Double
  ) -> (loss: Double, gradient: [Double]) {
    let error = predictions[0] - target
    switch self {
    case .squared: return (error * error, [2 * error])
    case .absolute: return (error.magnitude, [error > 0 ? 1 : error < 0 ? -1 : error])
    case .huber(let delta):
      if error.magnitude > delta {
        return (delta * (error.magnitude - delta / 2), [error < 0 ? -delta : delta])
      }
      return (error * error / 2, [error])
    case .quantile(let levels):
      var loss = 0.0
      let gradient = zip(levels, predictions).map { level, prediction in
        let missing = target - prediction
        loss += missing > 0 ? level * missing : (level - 1) * missing
        return missing > 0 ? -level : missing < 0 ? 1 - level : missing
      }
      return (loss, gradient)
    case .gaussian:
      let precision = exp(-predictions[1])
      let squared = error * error * precision
      return ((predictions[1] + squared) / 2, [error * precision, (1 - squared) / 2])
    case .boundedGaussian(let bound):
      let s = predictions[1]
      let kept = s < -bound ? -bound : s > bound ? bound : s
      let z = error * exp(-kept)
      // log √(2π)
      let loss = kept + z * z / 2 + 0.9189385332046727
      return (loss, [z * exp(-kept), s.magnitude < bound ? 1 - z * z : 0])
    }
  }
}

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
