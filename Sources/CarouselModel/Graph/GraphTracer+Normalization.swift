// Normalisation: each kind brings what it normalises together into rows.
extension GraphTracer {
  /// Each row of x, all its axes but the first; the columns that count have a weight of 1.
  ///
  /// `statistics` holds means and 1/deviations, `[2, rows]`.
  private func normalizedRows(
    _ x: Traced, weights: Traced?, epsilon: Double
  ) throws(CarouselError) -> (y: Traced, statistics: Traced) {
    let rows = x.shape[0]
    let width = rows == 0 ? 0 : x.shape.count / rows
    let y = result(x.type, x.shape, from: [x])
    var statistics = result(x.type, [2, rows], from: [x])
    statistics.needsGradient = false
    emit(
      .normalize(
        storage(x), weights: weights.map(storage), into: storage(y),
        statistics: storage(statistics), rows: rows, width: width, epsilon: epsilon))
    let kept = statistics
    whenBackward(y) { tracer, g in
      let gradient = tracer.result(.float32, x.shape, from: [])
      tracer.emit(
        .normalizeBackward(
          y: tracer.storage(y), statistics: tracer.storage(kept),
          weights: weights.map(tracer.storage), gradY: tracer.storage(g),
          into: tracer.storage(gradient), rows: rows, width: width))
      try tracer.addGradient(gradient, to: x)
    }
    return (y, kept)
  }

  /// `x·scale + bias`, either of which may be absent.
  private func scaled(
    _ x: Traced, _ scale: Traced?, _ bias: Traced?
  ) throws(CarouselError) -> Traced {
    let y = try scale.map { scale throws(CarouselError) in try binary(.multiply, x, scale) } ?? x
    guard let bias else { return y }
    return try binary(.add, y, bias)
  }

  /// y, mean and 1/deviation; the latter two without gradients.
  func layerNormalization(
    _ x: Traced, _ scale: Traced?, _ bias: Traced?, axis: Int, epsilon: Double
  ) throws(CarouselError) -> [Traced] {
    let outer = Array(x.shape.dimensions[..<axis])
    let inner = Array(x.shape.dimensions[axis...])
    let rows = outer.reduce(1, *)
    let (normalized, statistics) = try normalizedRows(
      alias(x, [rows, inner.reduce(1, *)]), weights: nil, epsilon: epsilon)
    let y = try scaled(alias(normalized, x.shape), scale, bias)
    let shape = Shape(outer + inner.map { _ in 1 })
    let mean = try alias(sliced(statistics, axis: 0, start: 0, count: 1), shape)
    let rstd = try alias(sliced(statistics, axis: 0, start: 1, count: 1), shape)
    return [y, mean, rstd]
  }

  func groupNormalization(
    _ x: Traced, _ scale: Traced?, _ bias: Traced?, groups: Int?, epsilon: Double
  ) throws(CarouselError) -> Traced {
    guard x.shape.rank >= 2, x.shape[1].isMultiple(of: groups ?? 1), (groups ?? 1) > 0 else {
      throw failure(
        "\(groups ?? 1) groups do not divide the channels of a tensor of shape \(x.shape)")
    }
    let rows = x.shape[0] * (groups ?? x.shape[1])
    let (normalized, _) = try normalizedRows(
      alias(x, [rows, rows == 0 ? 0 : x.shape.count / rows]), weights: nil, epsilon: epsilon)
    let y = try alias(normalized, x.shape)
    return try scaled(
      y, scale.map { scale throws(CarouselError) in try channels(scale, beside: y) },
      bias.map { bias throws(CarouselError) in try channels(bias, beside: y) })
  }

  /// The batch's own statistics in a training pass, the running ones elsewhere.
  func batchNormalization(
    _ x: Traced, scale: Traced?, bias: Traced?, mean: Traced, variance: Traced, lengths: Traced?,
    axis: Int, epsilon: Double, momentum: Double, isFrozen: Bool
  ) throws(CarouselError) -> Traced {
    func beside(_ value: Traced?) throws(CarouselError) -> Traced? {
      guard let value else { return nil }
      return try channels(value, beside: x, axis: axis)
    }
    guard training, !isFrozen else {
      let deviation = try unary(.squareRoot, unary(.affine(scale: 1, shift: epsilon), variance))
      let rstd = try unary(.reciprocal, deviation)
      let factor = try scale.map { scale throws(CarouselError) in try binary(.multiply, scale, rstd)
      }
      let centred = try binary(.subtract, x, channels(mean, beside: x, axis: axis))
      return try scaled(centred, beside(factor ?? rstd), beside(bias))
    }
    let weights = try lengths.map { lengths throws(CarouselError) in
      guard axis == 2, x.shape.rank == 3 else {
        throw failure("lengths need an input [T, N, C], but it has the shape \(x.shape)")
      }
      return try timeMask(lengths, sequenceLength: x.shape[0], batchSize: x.shape[1])
    }
    let moved = try moveAxis(x, from: axis, to: 0)
    let (normalized, statistics) = try normalizedRows(moved, weights: weights, epsilon: epsilon)
    try updateStatistics(
      mean, variance, from: statistics, weights: weights,
      count: x.shape.count / max(x.shape[axis], 1),
      momentum: momentum, epsilon: epsilon)
    let y = try moveAxis(normalized, from: 0, to: axis)
    return try scaled(y, beside(scale), beside(bias))
  }

  /// `running += momentum·(batch − running)`; the variance is the unbiased one, as in PyTorch.
  private func updateStatistics(
    _ mean: Traced, _ variance: Traced, from statistics: Traced, weights: Traced?, count: Int,
    momentum: Double, epsilon: Double
  ) throws(CarouselError) {
    let channels = statistics.shape[1]
    func quiet(_ x: Traced) -> Traced {
      var x = x
      x.needsGradient = false
      return x
    }
    let batchMean = try alias(sliced(statistics, axis: 0, start: 0, count: 1), [channels])
    let rstd = try alias(sliced(statistics, axis: 0, start: 1, count: 1), [channels])
    let all =
      try weights.map { weights throws(CarouselError) in
        try reduced(.sum, alias(weights, [weights.shape.count]), axes: [0])
      } ?? constant(Double(count))
    // n/(n − 1), and nothing to correct where there is but one.
    let fewer = try clip(binary(.subtract, all, constant(1)), constant(1), nil)
    let squared = try unary(.reciprocal, binary(.multiply, rstd, rstd))
    let biased = try unary(.affine(scale: 1, shift: -epsilon), squared)
    let batchVariance = try binary(.multiply, biased, binary(.divide, all, fewer))
    for (running, batch) in [(quiet(mean), batchMean), (quiet(variance), batchVariance)] {
      let change = try unary(.affine(scale: momentum, shift: 0), binary(.subtract, batch, running))
      let updated = try alias(binary(.add, running, change), [channels])
      statisticsUpdates.append(
        .copy(
          storage(updated), StridedView(updated.shape), to: storage(running),
          StridedView(updated.shape), accumulates: false))
    }
  }

  func dropout(_ x: Traced, probability: Double) throws(CarouselError) -> Traced {
    guard probability >= 0, probability < 1 else {
      throw failure("dropout must be at least 0 and below 1, but is \(probability)")
    }
    guard training, probability > 0, !x.isOnHost else { return x }
    let stream = dropoutCount
    dropoutCount += 1
    let y = result(x.type, x.shape, from: [x])
    emit(.dropout(storage(x), into: storage(y), count: x.shape.count, probability, stream: stream))
    whenBackward(y) { tracer, g in
      let gradient = tracer.result(.float32, x.shape, from: [])
      tracer.emit(
        .dropout(
          tracer.storage(g), into: tracer.storage(gradient), count: x.shape.count, probability,
          stream: stream))
      try tracer.addGradient(gradient, to: x)
    }
    return y
  }
}
