extension Backend {
  package func checkCrossEntropy(
    logits: Buffer, targets: IndexBuffer, classWeights: Buffer?, smoothing: Double,
    gradLogits: Buffer?, loss: Buffer, rows: Int, classes: Int
  ) throws(CarouselError) {
    try checkSoftmaxCrossEntropy(
      logits: logits, targets: targets, gradLogits: gradLogits, loss: loss, rows: rows,
      classes: classes)
    try check(classWeights, "classWeights", classes)
    guard smoothing >= 0, smoothing <= 1 else {
      throw CarouselError(
        .usage, "label smoothing must be at least 0 and at most 1, but is \(smoothing)")
    }
  }

  package func checkRegression(
    _ kind: RegressionLoss, predictions: Buffer, targets: Buffer, counted: IndexBuffer?,
    gradPredictions: Buffer?, loss: Buffer, rows: Int, width: Int
  ) throws(CarouselError) {
    try kind.validate()
    let (predicted, overflow) = width.multipliedReportingOverflow(by: kind.predictionsPerTarget)
    try check(predictions, "predictions", rows, overflow ? .max : predicted)
    try check(targets, "targets", rows, width)
    try check(gradPredictions, "gradPredictions", rows, overflow ? .max : predicted)
    try check(loss, "loss", 1)
    if let counted { try check(counted, count: rows) }
  }

  package func checkCTC(
    _ work: CTCWork<IndexBuffer>, logits: Buffer, weights: Buffer, gradLogits: Buffer?,
    loss: Buffer
  ) throws(CarouselError) {
    let (T, N, V, S) = (work.sequenceLength, work.batchSize, work.classes, work.maximumLabels)
    try checkSizes(sequenceLength: T, batchSize: N, width: max(V, 2 * S + 1))
    guard V >= 1, 0..<V ~= work.blank else {
      throw CarouselError(
        .usage, "the blank must be one of the \(V) classes, but is class \(work.blank)")
    }
    try check(logits, "logits", T * N, V)
    try check(gradLogits, "gradLogits", T * N, V)
    try check(weights, "weights", N)
    try check(loss, "loss", 1)
    try check(work.lengths, "length", count: N, in: 0..<T + 1)
    try check(work.labelLengths, "number of labels", count: N, in: 0..<S + 1)
    try check(work.labels, count: N * S)
    let (labels, counts) = (work.labels.values, work.labelLengths.values)
    for n in 0..<N {
      for s in 0..<Int(counts[n]) {
        let label = Int(labels[n * S + s])
        guard 0..<V ~= label, label != work.blank else {
          throw CarouselError(
            .badData,
            "label \(s) of sequence \(n) must be a class below \(V) and not the blank \(work.blank), "
              + "but is \(label)")
        }
      }
    }
  }
}
