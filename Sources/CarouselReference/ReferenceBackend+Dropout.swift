import CarouselModel

extension ReferenceBackend {
  /// `y[i] = x[i] / (1 − p)` where `random.uniform(i) ≥ p`, else 0; `y` may be `x`.
  ///
  /// Srivastava et al. 2014, scaled in training so that the expectation stays.
  public func dropout(
    _ x: Buffer, y: Buffer, count: Int, probability: Double, random: Philox
  ) throws {
    try checkDropout(x, y: y, count: count, probability: probability)
    let x = x.first(count)
    let y = y.first(count)
    for i in 0..<count {
      y[i] = random.uniform(i) >= probability ? x[i] / (1 - probability) : 0
    }
  }
}
