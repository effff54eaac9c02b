import CarouselFormats
import CarouselModel

/// Examples for a graph: a tensor for each input and target, by name.
///
/// A tensor with one axis more than the graph's input has an example in each place of its first axis, and
/// so have all targets where an input has; any other tensor is the same in every example. An example is
/// one pass: what is learnt from side by side lies along a batch axis of the model's own.
public struct GraphExamples: TrainingData {
  /// The examples.
  public let count: Int
  /// What differs from one to the next, by the graph's names.
  let each: [String: GraphTensor]
  /// What does not.
  public let shared: [String: GraphTensor]
  /// The file.
  public let source: String
  /// A hash of all numbers.
  let hash: String

  /// Reads a file.
  ///
  /// - Parameters:
  ///   - file: the tensors.
  ///   - graph: what is trained, with its targets as inputs.
  ///   - targets: the names of the targets as inputs of the graph, with those in the file.
  /// - Throws: `badData` where a tensor is missing, of another type, or has another number of examples.
  init(
    _ file: TensorFile, of graph: Graph, targets: [(input: String, tensor: String)]
  ) throws(CarouselError) {
    var each: [String: GraphTensor] = [:]
    var shared: [String: GraphTensor] = [:]
    var count: Int?
    var hash = DataHash()
    func add(_ input: GraphInput, _ name: String, isEach: Bool) throws(CarouselError) {
      guard let entry = file[name] else {
        throw CarouselError(
          .badData,
          "\(file.path): expected a tensor '\(name)', found "
            + file.entries.map { "'\($0.name)'" }.joined(separator: ", "))
      }
      let isReal = entry.elementType.map { GraphType(rawValue: $0.rawValue)?.isReal ?? false }
      guard let isReal, isReal == input.type.isReal || (input.type.isReal && !isReal) else {
        throw CarouselError(
          .badData,
          "\(file.path): the tensor '\(name)' is of the type \(entry.type), expected "
            + "\(input.type.rawValue)")
      }
      let tensor = GraphTensor(try file.tensor(entry), type: input.type)
      for value in tensor.values { hash.add(value.bitPattern) }
      guard isEach else {
        shared[input.name] = tensor
        return
      }
      guard tensor.shape.rank > 0, tensor.shape[0] > 0, tensor.shape[0] == count ?? tensor.shape[0]
      else {
        throw CarouselError(
          .badData,
          "\(file.path): the tensor '\(name)' has the shape \(tensor.shape), expected "
            + (count.map { "\($0) examples along its first axis, as others have" }
              ?? "an example at least"))
      }
      count = tensor.shape[0]
      each[input.name] = tensor
    }
    let targetNames = Set(targets.map(\.input))
    for input in graph.inputs where !targetNames.contains(input.name) {
      let rank = file[input.name]?.shape.rank
      let isEach = input.dimensions.map { rank == $0.count + 1 } ?? true
      try add(input, input.name, isEach: isEach)
    }
    for target in targets {
      guard let input = graph.inputs.first(where: { $0.name == target.input }) else { continue }
      try add(input, target.tensor, isEach: count != nil)
    }
    self.count = count ?? 1
    self.each = each
    self.shared = shared
    source = file.path
    self.hash = hash.text
  }

  /// What an example gives beside what is shared.
  public func example(_ index: Int) -> [String: GraphTensor] {
    each.mapValues { GraphTensor($0.tensor.part(index), type: $0.type) }
  }

  /// The shapes of an example's real tensors and of its whole ones.
  var shapes: [String: Shape] {
    var result = each.mapValues { Shape(Array($0.shape.dimensions.dropFirst())) }
    for (name, tensor) in shared where tensor.type.isReal { result[name] = tensor.shape }
    return result
  }

  /// Throws `badData` where other examples do not fit those that a pass was made for.
  func check(like other: GraphExamples) throws(CarouselError) {
    for (name, shape) in other.shapes.sorted(by: { $0.key < $1.key }) where shapes[name] != shape {
      throw CarouselError(
        .badData,
        "\(source): the examples have '\(name)' of the shape "
          + "\(shapes[name].map { "\($0)" } ?? "of no tensor"), expected \(shape) as in "
          + other.source)
    }
  }
}
