/// How far predictions p are from targets t, element by element.
public enum RegressionLoss: Hashable, Sendable, Codable {
  /// `(p − t)²`
  case squared
  /// `|p − t|`
  case absolute
  /// `(p − t)²/2` within `delta` of the target, else `delta·(|p − t| − delta/2)` (PyTorch's HuberLoss).
  case huber(delta: Double)
  /// The pinball loss `max(q·(t − p), (q − 1)·(t − p))` for each level q: predictions `[M, O·Q]`, the
  /// levels of one target side by side (Koenker & Bassett 1978).
  case quantile([Double])
  /// The negative log-likelihood of a normal distribution, `(log v + (t − μ)²/v)/2` with `v = e^s`, without
  /// the constant log(2π)/2: predictions `[M, 2·O]`, μ and s of one target side by side.
  case gaussian
  /// The same of `v = e^(2·s)`, s being the logarithm of the deviation, kept within ±`bound` where no gradient
  /// moves it further, and with the constant log(2π)/2.
  case boundedGaussian(bound: Double)

  /// How many predictions there are for each target.
  public var predictionsPerTarget: Int {
    switch self {
    case .squared, .absolute, .huber: 1
    case .quantile(let levels): levels.count
    case .gaussian, .boundedGaussian: 2
    }
  }
}
