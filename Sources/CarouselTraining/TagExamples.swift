import CarouselFormats
import CarouselModel

/// Sequences of words, each with a tag.
///
/// The loss is the mean cross-entropy over all words in nats.
struct TagExamples: SequenceExamples {
  /// The tokens of the words, and their tags by number; these are empty where they are not known.
  let tokens: [[Int32]], tags: [[Int32]]
  /// The names of the tags.
  let names: [String]
  let smoothing: Double
  let weights: [Double]?
  /// Tokens of words that the training part has once: some of them are read as unknown in training.
  let rare: Set<Int32>

  var count: Int { tokens.count }
  func length(_ index: Int) -> Int { tokens[index].count }
  var timePooling: TimePooling? { nil }

  /// Reads sequences as a model does that was trained on others; throws where a tag is not known.
  init(
    _ set: TaggedSet, _ description: DataDescription, rare: Set<Int32> = [],
    weights: [Double]? = nil, smoothing: Double = 0, knowsTags: Bool = true
  ) throws(CarouselError) {
    try self.init(
      set, TagNumbers(description), rare: rare, weights: weights, smoothing: smoothing,
      knowsTags: knowsTags)
  }

  init(
    _ set: TaggedSet, _ numbers: TagNumbers, rare: Set<Int32> = [], weights: [Double]? = nil,
    smoothing: Double = 0, knowsTags: Bool = true
  ) throws(CarouselError) {
    tokens = set.words.map { $0.map { numbers.words[$0] ?? 0 } }
    names = numbers.names
    self.rare = rare
    self.weights = weights
    self.smoothing = smoothing
    guard !knowsTags || set.tags.count == set.words.count else {
      throw CarouselError(
        .badData, "\(set.source): expected tags for each sequence, found \(set.tags.count)")
    }
    var tags: [[Int32]] = []
    for (index, sequence) in set.tags.enumerated() where knowsTags {
      var row: [Int32] = []
      for (place, tag) in sequence.enumerated() {
        guard let number = numbers.tags[tag] else {
          throw CarouselError(
            .badData,
            "\(set.source): line \(set.lines[index] + (set.ids.isEmpty ? place : 0)): "
              + numbers.description.refusal(of: tag, "tag"))
        }
        row.append(number)
      }
      tags.append(row)
    }
    self.tags = tags
  }

  func input(
    _ examples: [Int], sequenceLength: Int, batchSize: Int, noise: ExampleNoise?
  ) -> NetworkInput {
    var result = [Int32](repeating: 0, count: sequenceLength * batchSize)
    let random = noise.map { noise in
      var random = Philox(seed: noise.seed, stream: RandomStream.rareWords(step: noise.step))
      random.window = noise.slice?.window(width: 1)
      return random
    }
    for (n, example) in examples.enumerated() {
      for (t, token) in tokens[example].enumerated() {
        let place = t * batchSize + n
        let isHidden = random.map { rare.contains(token) && $0.uniform(place) < 0.5 } ?? false
        result[place] = isHidden ? 0 : token
      }
    }
    return .tokens(result)
  }

  var graphLoss: GraphLoss { .crossEntropy(smoothing: smoothing) }

  func targets(_ batch: ExampleBatch) -> NetworkTargets {
    var result = [Int32](repeating: -1, count: batch.sequenceLength * batch.batchSize)
    for (n, example) in batch.examples.enumerated() {
      for (t, tag) in tags[example].enumerated() { result[t * batch.batchSize + n] = tag }
    }
    return .classes(result)
  }

  func weight(_ examples: [Int]) -> Double {
    examples.reduce(0) { sum, example in
      sum + tags[example].reduce(0) { $0 + (weights?[Int($1)] ?? 1) }
    }
  }

  func loss(_ outputs: BatchOutputs, _ batch: ExampleBatch, gradient: inout [Double]?) -> LossSum {
    var result = LossSum()
    for (n, example) in batch.examples.enumerated() {
      for (t, tag) in tags[example].enumerated() {
        let (sum, slope) = CrossEntropy.loss(
          outputs.row(step: t, sequence: n), target: Int(tag), weights: weights,
          smoothing: smoothing)
        result.sum += sum
        result.weight += weights?[Int(tag)] ?? 1
        guard gradient != nil else { continue }
        let start = outputs.offset(step: t, sequence: n)
        for (o, slope) in slope.enumerated() { gradient?[start + o] += slope }
      }
    }
    return result
  }

  /// The numbers of the tags that outputs say.
  func predictions(_ outputs: BatchOutputs, sequence n: Int, length: Int) -> [Int] {
    (0..<length).map { outputs.row(step: $0, sequence: n).indexOfLargest }
  }

  func makeTally() -> any ExampleTally { TagTally(names) }
}

/// The numbers of words and tags, as a model knows them.
struct TagNumbers {
  /// The tokens of words, from 1 on; the numbers of tags, from 0 on.
  let words: [String: Int32], tags: [String: Int32]
  /// The names of the tags.
  let names: [String]
  /// What knows them, for a sentence.
  let description: DataDescription

  init(_ description: DataDescription) {
    names = description.classes ?? []
    words = Dictionary(
      uniqueKeysWithValues: (description.words ?? []).enumerated().map { ($1, Int32($0 + 1)) })
    tags = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, Int32($0)) })
    self.description = description
  }
}

/// Counts right tags and right spans.
private struct TagTally: ExampleTally {
  private let names: [String]
  private var right = 0, all = 0
  private var counts: [Int]
  private var spans = (right: 0, predicted: 0, truth: 0)

  init(_ names: [String]) {
    self.names = names
    counts = [Int](repeating: 0, count: names.count)
  }

  mutating func add(_ outputs: BatchOutputs, _ batch: ExampleBatch) {
    let examples = batch.source(as: TagExamples.self)
    for (n, example) in batch.examples.enumerated() {
      let truth = examples.tags[example].map(Int.init)
      let found = examples.predictions(outputs, sequence: n, length: truth.count)
      all += truth.count
      right += zip(truth, found).count { $0 == $1 }
      for tag in truth { counts[tag] += 1 }
      guard Spans.areBIO(names) else { continue }
      let (a, b) = (Spans.found(truth.map(name)), Spans.found(found.map(name)))
      spans.truth += a.count
      spans.predicted += b.count
      spans.right += a.intersection(b).count
    }
  }

  private func name(_ number: Int) -> String { names[number] }

  func fill(_ metrics: inout TaskMetrics) {
    metrics.accuracy = Double(right) / Double(max(all, 1))
    metrics.mostFrequentTag = Double(counts.max() ?? 0) / Double(max(all, 1))
    if Spans.areBIO(names) {
      metrics.spanF1 = 2 * Double(spans.right) / Double(max(spans.predicted + spans.truth, 1))
    }
  }
}

/// Spans that BIO tags mark: `B-X` begins one, `I-X` goes on with it, `O` is outside.
///
/// An `I-X` that follows no span of X begins one, as in the evaluation of CoNLL 2000.
enum Spans {
  /// A span of words.
  struct Span: Hashable { let start: Int, end: Int, kind: Substring }

  /// Whether tags are of this kind, at least one of them marking a span.
  static func areBIO(_ tags: [String]) -> Bool {
    tags.allSatisfy { $0 == "O" || $0.hasPrefix("B-") || $0.hasPrefix("I-") }
      && tags.contains { $0 != "O" }
  }

  /// The spans of a sequence.
  static func found(_ tags: [String]) -> Set<Span> {
    var result: Set<Span> = []
    var open: (start: Int, kind: Substring)?
    for (index, tag) in (tags + ["O"]).enumerated() {
      let kind = tag.dropFirst(2)
      if let span = open, !(tag.hasPrefix("I-") && kind == span.kind) {
        result.insert(Span(start: span.start, end: index, kind: span.kind))
        open = nil
      }
      if tag != "O", open == nil { open = (index, kind) }
    }
    return result
  }
}
