import CarouselModel
import Foundation

extension ReferenceBackend {
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
}
