import CarouselFormats
import CarouselModel

/// The examples that a graph is trained on and measured by, and the graph with its loss.
public struct GraphTrainingData: Sendable {
  /// The graph with the loss as its output and the targets among its inputs.
  let graph: Graph
  /// All examples of the training file, and which of them are learnt from.
  let examples: GraphExamples, training: [Int]
  /// Where the examples that are held out are, and which; none where nothing is held out.
  let heldOut: GraphExamples, validation: [Int]
  /// The examples of the test.
  let test: GraphExamples?
  /// A hash of all that is learnt from or held out.
  public let hash: String

  /// Reads the files that settings name.
  ///
  /// Throws where a file is missing or damaged, where its tensors do not fit the graph, and a usage error
  /// where a share leaves nothing to learn from.
  public init(_ graph: Graph, settings: GraphTrainingSettings) throws(CarouselError) {
    try settings.validation.validate("validation")
    let objective = settings.objective
    let (training, inputs) = try objective.training(graph)
    self.graph = training
    let targets = zip(inputs, objective.targets).map { (input: $0, tensor: $1) }
    func read(_ path: String) throws(CarouselError) -> GraphExamples {
      try GraphExamples(try TensorFile(path), of: training, targets: targets)
    }
    examples = try read(settings.data)
    var order = Array(0..<examples.count)
    var hash = examples.hash
    switch settings.validation {
    case .share(let share):
      order.shuffle(
        by: Philox(seed: settings.training.seed, stream: RandomStream.split(0)), from: 0)
      let count = share == 0 ? 0 : max(1, Int((Double(order.count) * share).rounded()))
      guard count < order.count else {
        throw CarouselError(
          .badData,
          "\(settings.data): expected more examples than are held out, found \(order.count); "
            + "--validation 0 holds out none")
      }
      validation = order[..<count].sorted()
      order = order[count...].sorted()
      heldOut = examples
    case .file(let path):
      heldOut = try read(path)
      try heldOut.check(like: examples)
      validation = Array(0..<heldOut.count)
      hash += "-" + heldOut.hash
    }
    self.training = order
    test = try settings.test.map { path throws(CarouselError) in try read(path) }
    try test?.check(like: examples)
    self.hash = hash
  }

  /// The examples to learn from.
  public var count: Int { training.count }
}
