import CarouselModel

/// One operator of a graph, forward and backward.
public struct GraphComparison: ComparisonCase {
  let item: GraphCase
  /// `graph`.
  public var operation: String { "graph" }
  /// The elements of all inputs together.
  public var sizes: KeyValuePairs<String, Int> {
    ["elements": item.inputs.values.reduce(0) { $0 + $1.shape.count }]
  }
  /// Which operator it is.
  public var options: [CaseOption] { [("operator", item.name)] }

  /// All outputs, the gradients of the inputs and those of the parameters; the seed does not matter.
  public func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    try item.tensors(on: backend)
  }

  /// Every operator.
  static var all: [any ComparisonCase] { GraphCase.all.map(GraphComparison.init) }

  /// An operator for each kernel that graphs have of their own.
  static var few: [any ComparisonCase] {
    let names: Set = [
      "tanh", "transpose", "sum over outer", "matmul of a batch", "convolution of an image",
      "embedding", "softmax", "layer normalisation", "last over time", "CTC", "quantiles",
      "cross-entropy",
    ]
    return GraphCase.all.filter { names.contains($0.name) }.map(GraphComparison.init)
  }
}
