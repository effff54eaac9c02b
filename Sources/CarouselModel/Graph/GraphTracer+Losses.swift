// Losses: each makes the gradient of its predictions on the way.
extension GraphTracer {
  /// The mean loss of the rows that count, a scalar.
  func loss(_ loss: GraphLoss, _ inputs: [Traced?]) throws(CarouselError) -> Traced {
    guard inputs.count >= 2, let predictions = inputs[0], let targets = inputs[1] else {
      throw failure("a loss needs predictions and targets")
    }
    let others = inputs.dropFirst(2).map(\.self)
    func other(_ index: Int) -> Traced? { index < others.count ? others[index] : nil }
    let width = predictions.shape.dimensions.last ?? 1
    let rows = width == 0 ? 0 : predictions.shape.count / width
    guard predictions.shape.rank >= 1, rows > 0 else {
      throw failure("a loss needs predictions of a row at least, but they are \(predictions.shape)")
    }
    let y = result(.float32, [], from: [predictions])
    let gradient = y.needsGradient ? result(.float32, predictions.shape, from: []) : nil
    let sizes = (p: storage(predictions), gradient: gradient.map(storage), y: storage(y))
    switch loss {
    case .crossEntropy(let smoothing):
      guard targets.shape.count == rows else {
        throw failure("\(targets.shape.count) targets do not fit predictions \(predictions.shape)")
      }
      let weights = other(0)
      let known = weights?.constant?.values
      guard weights == nil || known?.count == width else {
        throw failure("the weights of classes have to be a constant [\(width)]")
      }
      let scale = try meanScale(from: targets) { targets in
        targets.reduce(0) { sum, target in
          guard target >= 0, target < Double(width) else { return sum }
          return sum + (known?[Int(target)] ?? 1)
        }
      }
      emit(
        .crossEntropy(
          logits: sizes.p, targets: try indexBuffer(targets), weights: weights.map(storage),
          smoothing: smoothing, gradient: sizes.gradient, loss: sizes.y, rows: rows,
          classes: width, scale: scale))
    case .regression(let kind):
      try kind.validate()
      let predicted = kind.predictionsPerTarget
      guard targets.shape.count * predicted == predictions.shape.count,
        width.isMultiple(of: predicted)
      else {
        throw failure(
          "targets of shape \(targets.shape) do not fit predictions of shape \(predictions.shape)")
      }
      let mask = other(0)
      guard mask == nil || mask?.shape.count == rows else {
        throw failure("a mask of shape \(mask?.shape ?? []) does not fit \(rows) rows")
      }
      let perRow = Double(width / predicted)
      let all = mask ?? constant(GraphTensor(Tensor([rows], [Double](repeating: 1, count: rows))))
      let scale = try meanScale(from: all) { mask in Double(mask.count { $0 != 0 }) * perRow }
      emit(
        .regression(
          kind, predictions: sizes.p, targets: storage(targets),
          counted: try mask.map { mask throws(CarouselError) in try indexBuffer(mask) },
          gradient: sizes.gradient, loss: sizes.y, rows: rows, width: width / predicted,
          scale: scale))
    case .ctc(let blank):
      guard predictions.shape.rank == 3, targets.shape.rank == 2, let lengths = other(0),
        let labelLengths = other(1), targets.shape[0] == predictions.shape[1],
        lengths.shape == [predictions.shape[1]], labelLengths.shape == lengths.shape
      else {
        throw failure(
          "CTC needs logits [T, N, V], labels [N, S], lengths [N] and label lengths [N]")
      }
      let sequences = predictions.shape[1]
      let weights = try hostResult(.float32, [sequences], from: [labelLengths]) { values in
        values[0].map { 1 / (Double(sequences) * max($0, 1)) }
      }
      emit(
        .ctc(
          logits: sizes.p, labels: try indexBuffer(targets), lengths: try indexBuffer(lengths),
          labelLengths: try indexBuffer(labelLengths), weights: storage(weights),
          gradient: sizes.gradient, loss: sizes.y, sequenceLength: predictions.shape[0],
          batchSize: sequences, classes: width, maximumLabels: targets.shape[1], blank: blank))
    }
    whenBackward(y) { tracer, g in
      guard let gradient else { return }
      let isOne = g.constant?.values == [1]
      try tracer.addGradient(
        isOne ? gradient : tracer.elementwise(.binary(.multiply), [gradient, g], type: .float32),
        to: predictions)
    }
    return y
  }

  /// The host value of a mean: what its sum is multiplied by, 0 where nothing counts, and how much counts.
  private func meanScale(
    from values: Traced, _ weight: @escaping @Sendable ([Double]) -> Double
  ) throws(CarouselError) -> Int {
    try hostValue(
      hostResult(.float32, [2], from: [values]) { values in
        let counted = weight(values[0])
        return [counted > 0 ? 1 / counted : 0, counted]
      })
  }
}
