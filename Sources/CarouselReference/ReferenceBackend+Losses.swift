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
