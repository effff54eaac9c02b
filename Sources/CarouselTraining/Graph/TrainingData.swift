import CarouselModel

/// Examples of one's own that a `GraphTrainer` trains a graph on: how many there are, and each of them.
///
/// An example has a tensor for each input of the graph, targets included, under the input's name. It lacks the
/// axis `"N"` of the batch: of `x ["T", "N", 3]` it has `[steps, 3]`, of `lengths ["N"]` one number. The
/// trainer puts N examples side by side.
///
/// Along every other axis that has a name examples may differ. Shorter ones are filled up at their end: with
/// −1 where the input holds the classes of a cross-entropy, which does not count, and with 0 elsewhere. The
/// graph has to take the lengths then, as whole numbers `["N"]`, and hand them to what looks along time.
///
/// Examples whose tensors have every axis of the graph's inputs are passes of their own, one an update.
///
/// An array of dictionaries is such data: `[["x": GraphTensor, "label": GraphTensor], …]`.
public protocol TrainingData: Sendable {
  /// The number of examples, at least 1, always the same.
  var count: Int { get }

  /// An example by its index, from 0 to before `count`; the same whenever it is asked for.
  ///
  /// The caller owns the tensors. What this throws ends the run, whose last checkpoint stays good.
  func example(_ index: Int) throws -> [String: GraphTensor]

  /// How long an example is, in any unit: those of like length are put side by side, so that little is filled
  /// up; 1 unless it is implemented.
  func length(_ index: Int) -> Int

  /// What is the same in every example, in the shapes of the graph's inputs; nothing unless it is implemented.
  ///
  /// Whole numbers among it may decide shapes.
  var shared: [String: GraphTensor] { get }
}

extension TrainingData {
  /// 1: all examples alike.
  public func length(_ index: Int) -> Int { 1 }

  /// Nothing.
  public var shared: [String: GraphTensor] { [:] }

  /// Draws a share of the examples, one at least, to be held out; the others are to learn from.
  ///
  /// The same seed draws the same examples. Throws a usage error where the share is not between 0 and 1, and
  /// `badData` where it leaves nothing to learn from.
  public func split(
    heldOut share: Double, seed: UInt64 = 1
  ) throws(CarouselError) -> (training: TrainingSubset, heldOut: TrainingSubset) {
    guard share > 0, share < 1 else {
      throw CarouselError(
        .usage, "the share that is held out must be between 0 and 1, but is \(share)")
    }
    let heldOut = max(1, Int((Double(count) * share).rounded()))
    guard heldOut < count else {
      throw CarouselError(
        .badData, "expected more examples than are held out, found \(count)")
    }
    var order = Array(0..<count)
    order.shuffle(by: Philox(seed: seed, stream: RandomStream.split(0)), from: 0)
    return (
      TrainingSubset(self, order[heldOut...].sorted()),
      TrainingSubset(self, order[..<heldOut].sorted())
    )
  }

  /// Recognizes data when a run is resumed: a hash of at most 64 examples, spread evenly, and of their number.
  func fingerprint() throws -> String {
    var hash = DataHash()
    hash.add(UInt64(count))
    func add(_ tensors: [String: GraphTensor]) {
      for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
        hash.add([name])
        for extent in tensor.shape.dimensions { hash.add(UInt64(extent)) }
        for value in tensor.values { hash.add(value.bitPattern) }
      }
    }
    add(shared)
    for place in 0..<Swift.min(count, 64) {
      add(try example(place * count / Swift.min(count, 64)))
    }
    return hash.text
  }
}

extension Array: TrainingData where Element == [String: GraphTensor] {
  /// The element at an index.
  public func example(_ index: Int) -> [String: GraphTensor] { self[index] }
}

/// Some of the examples of other data.
public struct TrainingSubset: TrainingData {
  private let base: any TrainingData
  /// Which examples, by their indices in the other data.
  public let indices: [Int]

  /// Chooses examples by their indices, each at least 0 and below `base.count`.
  public init(_ base: any TrainingData, _ indices: [Int]) {
    (self.base, self.indices) = (base, indices)
  }

  /// The number of chosen examples.
  public var count: Int { indices.count }

  /// A chosen example.
  public func example(_ index: Int) throws -> [String: GraphTensor] {
    try base.example(indices[index])
  }

  /// Its length.
  public func length(_ index: Int) -> Int { base.length(indices[index]) }

  /// What is the same in every example.
  public var shared: [String: GraphTensor] { base.shared }
}
