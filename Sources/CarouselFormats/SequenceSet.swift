import CarouselModel

/// Sequences of numbers, each of its own length, with a class or an id where they have one.
///
/// Rows of C numbers lie one behind the other, sequence after sequence: `values [ΣT, C]`.
public struct SequenceSet: Sendable {
  /// What the numbers of a step are called.
  public var channels: [String]
  /// All rows.
  public var values: [Float] = []
  /// The row at which each sequence begins, and at the end the number of all rows.
  public var starts = [0]
  /// The class of each sequence; empty where the file has none.
  public var labels: [String] = []
  /// The id of each sequence; empty where the file has none.
  public var ids: [String] = []
  /// The line, counted from 1, on which each sequence begins; empty where the file has no lines.
  public var lines: [Int] = []
  /// The file, which begins every sentence.
  public var source: String
  /// Whether all channels are of one kind, such as a picture's, to be scaled alike.
  public var hasOneScale = false

  /// Begins without a sequence.
  public init(source: String, channels: [String]) {
    self.source = source
    self.channels = channels
  }

  /// The number of sequences.
  public var count: Int { starts.count - 1 }

  /// The rows of a sequence.
  public func rows(_ index: Int) -> Range<Int> { starts[index]..<starts[index + 1] }

  /// T of a sequence.
  public func length(_ index: Int) -> Int { starts[index + 1] - starts[index] }

  /// Where a sequence stands, for the beginning of a sentence.
  public func place(_ index: Int) -> String {
    let id = ids.isEmpty ? "" : ", id '\(ids[index])'"
    return lines.isEmpty
      ? "\(source): sequence \(index + 1)\(id)" : "\(source): line \(lines[index])\(id)"
  }

  /// Ends the sequence whose rows were appended last.
  mutating func endSequence(missing: MissingValues) {
    let rows = starts[count]..<values.count / max(channels.count, 1)
    if missing != .error { missing.fill(&values, rows: rows, width: channels.count) }
    starts.append(rows.upperBound)
  }

  /// Adds the sequences of another set with the same channels.
  package mutating func append(_ other: SequenceSet) {
    let rows = starts[count]
    values += other.values
    starts += other.starts.dropFirst().map { rows + $0 }
    labels += other.labels
    ids += other.ids
    lines += other.lines
  }

  /// The sequences at `indices`, in that order.
  public func selecting(_ indices: [Int]) -> SequenceSet {
    var result = SequenceSet(source: source, channels: channels)
    result.hasOneScale = hasOneScale
    let width = channels.count
    result.values.reserveCapacity(indices.reduce(0) { $0 + length($1) } * width)
    for index in indices {
      result.values += values[starts[index] * width..<starts[index + 1] * width]
      result.starts.append(result.values.count / max(width, 1))
      if !labels.isEmpty { result.labels.append(labels[index]) }
      if !ids.isEmpty { result.ids.append(ids[index]) }
      if !lines.isEmpty { result.lines.append(lines[index]) }
    }
    return result
  }
}
