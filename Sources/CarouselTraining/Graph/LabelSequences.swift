import CarouselModel

/// Sequences of labels, as networks read them.
///
/// They are trained by connectionist temporal classification (Graves, Fernández, Gomez & Schmidhuber 2006).
public enum LabelSequences {
  /// The labels that logits `[T, N, V]` say for each of N sequences: the largest at every step, repetitions once,
  /// without the blanks.
  ///
  /// This best path is not always the likeliest sequence of labels, of which it is one way to be written. With
  /// `lengths [N]` only so many steps of each sequence are read. Throws where shapes do not fit, and where a
  /// length is beyond T. Costs T·N·V comparisons.
  public static func bestPath(
    _ logits: GraphTensor, lengths: [Int]? = nil, blank: Int = 0
  ) throws(CarouselError) -> [[Int]] {
    guard logits.shape.rank == 3, logits.shape[2] > 0 else {
      throw CarouselError(
        .badData, "expected logits [T, N, V], found a tensor of the shape \(logits.shape)")
    }
    let (T, N, V) = (logits.shape[0], logits.shape[1], logits.shape[2])
    let lengths = lengths ?? [Int](repeating: T, count: N)
    guard lengths.count == N, lengths.allSatisfy({ 0...T ~= $0 }) else {
      throw CarouselError(
        .badData, "expected \(N) lengths of 0 to \(T) steps, found \(lengths)")
    }
    let values = logits.values
    return (0..<N).map { n in
      var labels: [Int] = []
      var last = blank
      for t in 0..<lengths[n] {
        let row = (t * N + n) * V
        var label = 0
        for v in 1..<V where values[row + v] > values[row + label] { label = v }
        if label != last, label != blank { labels.append(label) }
        last = label
      }
      return labels
    }
  }

  /// The fewest insertions, deletions and replacements that make one sequence of another (Levenshtein 1966).
  ///
  /// Costs as many steps as the product of both lengths.
  public static func editDistance<Label: Equatable>(_ a: [Label], _ b: [Label]) -> Int {
    var row = Array(0...b.count)
    for (i, label) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in b.enumerated() {
        let replaced = diagonal + (label == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
      }
    }
    return row[b.count]
  }
}
