import CarouselModel

extension ReferenceBackend {
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
