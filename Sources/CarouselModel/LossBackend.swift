/// The losses that a backend offers beside the plain ones of `Backend`.
///
/// Each writes one number, and where wanted the gradient of its predictions, in a fixed order of sums. Rows
/// that do not count have a gradient of 0, whatever they hold.
public protocol LossBackend: AnyObject {
  /// An array of elements of the backend's type in its memory, released with its last owner.
  associatedtype Buffer: BackendBuffer
  /// An array of Int32 in the backend's memory.
  associatedtype IndexBuffer: BackendIndexBuffer

  /// Cross-entropy with weights of classes and smoothed labels.
  ///
  /// With p = softmax(logits[m]) and a = (1 − ε)·w[t]·onehot(t) + ε/V·w for the target t of row m:
  /// `loss[0] = scale · Σₘ Σᵥ −a[v]·log p[v]` over the rows with a target ≥ 0, and
  /// `gradLogits = scale · (p·Σᵥ a[v] − a)`. PyTorch's mean divides by `Σₘ w[tₘ]`, which is the caller's
  /// `scale`.
  ///
  /// - Parameters:
  ///   - logits: `[M, V]`.
  ///   - targets: `[M]`; a negative one leaves its row out.
  ///   - classWeights: w `[V]`, none negative; nil means ones.
  ///   - smoothing: ε, from 0 to 1 (Szegedy et al. 2016).
  ///   - gradLogits: receives the gradient where wanted; may be `logits`.
  ///   - loss: receives one number.
  ///   - rows: M.
  ///   - classes: V.
  ///   - scale: what the sum is multiplied with.
  /// - Throws: where a target is not below V, or the device fails.
  func crossEntropy(
    logits: Buffer, targets: IndexBuffer, classWeights: Buffer?, smoothing: Double,
    gradLogits: Buffer?, loss: Buffer, rows: Int, classes: Int, scale: Double) throws

  /// How far predictions are from targets: `loss[0] = scale · Σₘ Σₒ ℓ` over the rows that count, with the
  /// ℓ of `kind`.
  ///
  /// - Parameters:
  ///   - kind: the equation.
  ///   - predictions: `[M, O·P]` with P = `kind.predictionsPerTarget`, those of one target side by side.
  ///   - targets: `[M, O]`; what rows that do not count hold does not matter.
  ///   - counted: `[M]`, 0 where a row does not count; nil counts all.
  ///   - gradPredictions: receives the gradient where wanted; may be `predictions`.
  ///   - loss: receives one number.
  ///   - rows: M.
  ///   - width: O.
  ///   - scale: what the sum is multiplied with.
  /// - Throws: where `kind` has a number out of range, or the device fails.
  func regressionLoss(
    _ kind: RegressionLoss, predictions: Buffer, targets: Buffer, counted: IndexBuffer?,
    gradPredictions: Buffer?, loss: Buffer, rows: Int, width: Int, scale: Double) throws

  /// Connectionist temporal classification: `loss[0] = Σₙ weights[n] · −log P(labels of n)`, P being the sum
  /// over all ways to stretch the labels over the steps with blanks between (Graves et al. 2006).
  ///
  /// The gradient is that of the logits, softmax included. A sequence whose labels do not fit into its
  /// steps has a loss of infinity and a gradient of NaN, as in PyTorch, or with `work.dropsImpossible` 0 and
  /// 0.
  ///
  /// - Parameters:
  ///   - work: sizes, labels and lengths.
  ///   - logits: `[T, N, V]`; past a sequence's length they do not matter, and have a gradient of 0.
  ///   - weights: `[N]`.
  ///   - gradLogits: receives the gradient where wanted; not `logits`.
  ///   - loss: receives one number.
  /// - Throws: where a label or a length is out of range, or the device fails.
  func connectionistTemporalClassification(
    _ work: CTCWork<IndexBuffer>, logits: Buffer, weights: Buffer, gradLogits: Buffer?,
    loss: Buffer) throws
}

/// The sizes and labels of one call of CTC.
public struct CTCWork<IndexBuffer> {
  /// T, N and V.
  public var sequenceLength: Int, batchSize: Int, classes: Int
  /// S, the room for labels of a sequence.
  public var maximumLabels: Int
  /// The class that stands for no label.
  public var blank: Int
  /// The labels `[N, S]`, none of them the blank; past a sequence's `labelLengths` they do not matter.
  public var labels: IndexBuffer
  /// The steps of each sequence `[N]`, from 0 to T, and its labels `[N]`, from 0 to S.
  public var lengths: IndexBuffer, labelLengths: IndexBuffer
  /// Whether a sequence whose labels do not fit into its steps is left out.
  public var dropsImpossible: Bool

  /// Gathers the work.
  public init(
    sequenceLength: Int, batchSize: Int, classes: Int, maximumLabels: Int, blank: Int = 0,
    labels: IndexBuffer, lengths: IndexBuffer, labelLengths: IndexBuffer,
    dropsImpossible: Bool = false
  ) {
    self.sequenceLength = sequenceLength
    self.batchSize = batchSize
    self.classes = classes
    self.maximumLabels = maximumLabels
    self.blank = blank
    self.labels = labels
    self.lengths = lengths
    self.labelLengths = labelLengths
    self.dropsImpossible = dropsImpossible
  }
}

extension RegressionLoss {
  /// Throws a usage error where a number is out of range.
  public func validate() throws(CarouselError) {
    switch self {
    case .squared, .absolute, .gaussian: return
    case .boundedGaussian(let bound):
      guard bound > 0, bound <= 40 else {
        throw CarouselError(
          .usage,
          "the bound of a deviation's logarithm must be above 0 and at most 40, but is \(bound)")
      }
    case .huber(let delta):
      guard delta > 0, delta.isFinite else {
        throw CarouselError(
          .usage, "the delta of the Huber loss must be above 0 and finite, but is \(delta)")
      }
    case .quantile(let levels):
      guard !levels.isEmpty, levels.allSatisfy({ $0 > 0 && $0 < 1 }) else {
        throw CarouselError(
          .usage, "quantiles must be between 0 and 1, at least one of them, but are \(levels)")
      }
    }
  }
}

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
