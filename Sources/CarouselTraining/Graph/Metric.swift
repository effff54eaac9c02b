import CarouselModel

/// What the outputs of a graph are worth, beside its loss: a sum over examples divided by a count.
///
/// ```swift
/// let metrics = [Metric.accuracy(of: "logits", against: "labels")]
/// ```
public struct Metric: Sendable {
  /// What a batch adds: `value` is the sum of all sums divided by that of all counts.
  public struct Part: Sendable {
    /// The sum over what counts, and how much counts.
    public var sum: Double, count: Double

    /// Gathers both.
    public init(sum: Double, count: Double) { (self.sum, self.count) = (sum, count) }
  }

  /// The name, which lines of metrics have it under.
  public let name: String
  /// The tensors of the graph that it reads: inputs, or what nodes make.
  public let tensors: [String]
  let measure: @Sendable ([String: GraphTensor]) throws -> Part

  /// Makes a metric of a function that is given the tensors of each batch by their names.
  public init(
    _ name: String, reading tensors: [String],
    measure: @escaping @Sendable ([String: GraphTensor]) throws -> Part
  ) {
    (self.name, self.tensors, self.measure) = (name, tensors, measure)
  }

  /// `accuracy`: the share of rows whose largest logit is that of their class.
  ///
  /// `logits` names logits `[…, V]`, `classes` their classes `[…]`, of which a negative one does not count.
  public static func accuracy(of logits: String, against classes: String) -> Metric {
    Metric("accuracy", reading: [logits, classes]) { tensors in
      guard let logits = tensors[logits], let classes = tensors[classes]?.values,
        let width = logits.shape.dimensions.last, logits.shape.count == classes.count * width
      else { throw misfit("accuracy", tensors) }
      let values = logits.values
      var part = Part(sum: 0, count: 0)
      for (row, target) in classes.enumerated() where target >= 0 {
        let row = Array(values[row * width..<(row + 1) * width])
        part.count += 1
        part.sum += Double(row.indexOfLargest) == target ? 1 : 0
      }
      return part
    }
  }

  /// `meanAbsoluteError`: `|p − t|` over all elements, in the unit of the data where `scale` is what the
  /// targets were divided by.
  public static func meanAbsoluteError(
    of predictions: String, against targets: String, scale: Double = 1
  ) -> Metric {
    Metric("meanAbsoluteError", reading: [predictions, targets]) { tensors in
      guard let p = tensors[predictions]?.values, let t = tensors[targets]?.values,
        p.count == t.count
      else { throw misfit("meanAbsoluteError", tensors) }
      let sum = zip(p, t).reduce(0) { $0 + abs($1.0 - $1.1) }
      return Part(sum: scale * sum, count: Double(p.count))
    }
  }

  /// `labelErrorRate`: the edit distances between the labels that are read and the true ones, divided by the
  /// number of true labels; see `LabelSequences`.
  ///
  /// The names are those of the inputs of the loss `ctc`: logits `[T, N, V]`, labels `[N, S]`, lengths and
  /// label lengths `[N]`.
  public static func labelErrorRate(
    of logits: String, against labels: String, lengths: String, labelLengths: String, blank: Int = 0
  ) -> Metric {
    Metric("labelErrorRate", reading: [logits, labels, lengths, labelLengths]) { tensors in
      guard let logits = tensors[logits], let truth = tensors[labels],
        let lengths = tensors[lengths]?.values, let counts = tensors[labelLengths]?.values,
        truth.shape.rank == 2, truth.shape[0] == counts.count,
        counts.allSatisfy({ 0...Double(truth.shape[1]) ~= $0 })
      else { throw misfit("labelErrorRate", tensors) }
      let read = try LabelSequences.bestPath(logits, lengths: lengths.map { Int($0) }, blank: blank)
      let (room, values) = (truth.shape[1], truth.values)
      var part = Part(sum: 0, count: 0)
      for (n, labels) in read.enumerated() {
        let own = values[n * room..<n * room + Int(counts[n])].map { Int($0) }
        part.sum += Double(LabelSequences.editDistance(labels, own))
        part.count += Double(own.count)
      }
      return part
    }
  }

  private static func misfit(_ name: String, _ tensors: [String: GraphTensor]) -> CarouselError {
    CarouselError(
      .badData,
      "the metric '\(name)' cannot be computed from tensors of the shapes "
        + tensors.sorted { $0.key < $1.key }.map { "'\($0.key)' \($0.value.shape)" }
        .joined(separator: ", "))
  }
}
