import CarouselFormats
import CarouselModel

/// The examples that a graph is trained on and measured by, and the graph with its loss.
public struct GraphTrainingParts: Sendable {
  /// The graph with the loss as its first output and the targets among its inputs.
  let graph: Graph
  /// What is learnt from.
  let training: any TrainingData
  /// What is held out, and what the trained model is tested on.
  let validation: (any TrainingData)?, test: (any TrainingData)?
  /// Recognizes all that is learnt from or held out.
  public let hash: String

  /// Gathers data; throws what they throw.
  init(
    _ graph: Graph, training: any TrainingData, validation: (any TrainingData)?
  ) throws {
    guard training.count > 0, validation?.count != 0 else {
      throw CarouselError(.badData, "expected an example at least, found none")
    }
    (self.graph, self.training, self.validation) = (graph, training, validation)
    test = nil
    hash = try training.fingerprint() + (validation.map { try "-" + $0.fingerprint() } ?? "")
  }

  /// Reads the files that settings name, for a graph without a loss.
  ///
  /// Throws where a file is missing or damaged, where its tensors do not fit the graph, and a usage error
  /// where a share leaves nothing to learn from.
  public init(_ graph: Graph, settings: GraphTrainingSettings) throws(CarouselError) {
    try HeldOut.validate(validation: settings.validation, test: nil)
    guard let objective = settings.objective else {
      throw CarouselError(.usage, "expected what is minimized, found settings without a loss")
    }
    let (training, inputs) = try objective.training(graph)
    self.graph = training
    let targets = zip(inputs, objective.targets).map { (input: $0, tensor: $1) }
    func read(_ path: String) throws(CarouselError) -> GraphExamples {
      try GraphExamples(try TensorFile(path), of: training, targets: targets)
    }
    let examples = try read(settings.data)
    var hash = examples.hash
    switch settings.validation {
    case .share(0):
      (self.training, validation) = (examples, nil)
    case .share(let share):
      guard examples.count > max(1, Int((Double(examples.count) * share).rounded())) else {
        throw CarouselError(
          .badData,
          "\(settings.data): expected more examples than are held out, found \(examples.count); "
            + "--validation 0 holds out none")
      }
      (self.training, validation) = try examples.split(
        heldOut: share, seed: settings.training.seed)
    case .file(let path):
      let heldOut = try read(path)
      try heldOut.check(like: examples)
      (self.training, validation) = (examples, heldOut)
      hash += "-" + heldOut.hash
    }
    let test = try settings.test.map { path throws(CarouselError) in try read(path) }
    try test?.check(like: examples)
    self.test = test
    self.hash = hash
  }

  /// The examples to learn from.
  public var count: Int { training.count }
}
