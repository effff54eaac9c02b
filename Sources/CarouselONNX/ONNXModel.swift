import CarouselFormats
import CarouselModel

/// A model of an ONNX file as a graph, with the values of its parameters.
///
/// Initializers of several floating-point numbers are parameters under their own names; the weights of a
/// recurrent node are parameters in PyTorch's names and order of gates behind the node's name and a dot.
/// Everything else that is known is a constant. Branches whose condition is known are decided; what nobody
/// reads is left out.
public struct ONNXModel: Sendable {
  /// The graph; its inputs and outputs have the names of the file's.
  public let graph: Graph
  /// The values of the graph's parameters, by name.
  public let parameters: [String: Tensor]
  /// The file, for messages.
  public let source: String
  /// What the file says about itself.
  public let metadata: [String: String]

  /// Reads a model.
  ///
  /// Weights of recurrent nodes have to be known: initializers, or inputs of the model that `inputs` holds
  /// already.
  ///
  /// Throws `missingInput` where the file is not there, and `badData` where it is not an ONNX file, is
  /// damaged, has an operator, an attribute or a type that is not supported, or nodes in a cycle.
  public init(contentsOf path: String, inputs: TensorFile? = nil) throws(CarouselError) {
    let importer = try ONNXImporter(try ONNXFile(path), given: inputs)
    var graph = try importer.run()
    let read = graph.nodes.reduce(into: Set(graph.outputs)) { $0.formUnion($1.readNames) }
    let prefixes = graph.recurrentPrefixes
    graph.parameters = graph.parameters.filter { parameter in
      let name = parameter.description.name
      return read.contains(name)
        || name.lastIndex(of: ".").map { prefixes.contains(String(name[...$0])) } == true
    }
    let names = Set(graph.parameters.map(\.description.name))
    parameters = importer.parameters.filter { names.contains($0.key) }
    self.graph = graph
    source = path
    metadata = Dictionary(importer.file.model.metadataProps.map { ($0.key, $0.value) }) { $1 }
  }

  /// The ONNX file that a command is given: one that is named so, or `model.onnx` of a run's folder; nil
  /// where it is neither.
  public static func path(at path: String) -> String? {
    if path.lowercased().hasSuffix(".onnx") { return path }
    let trained = path + "/model.onnx"
    return FileKind(at: trained) == .file ? trained : nil
  }

  /// The model in a few words: how many operators and parameters it has.
  public var summary: String {
    let count = parameters.values.reduce(0) { $0 + $1.shape.count }
    return "\(graph.nodes.count) operators, \(parameters.count) tensors with \(count) parameters"
  }

  /// The operators that are supported, in alphabetical order, those of other domains with their domain.
  public static var operators: [String] { ONNXImporter.operators.keys.sorted() }
}

extension Graph {
  /// What the names of recurrent operators' parameters begin with, those within other graphs included.
  var recurrentPrefixes: Set<String> {
    var result: Set<String> = []
    for node in nodes {
      if case .recurrent(let recurrent) = node.operation { result.insert(recurrent.prefix) }
      for graph in node.operation.subgraphs { result.formUnion(graph.recurrentPrefixes) }
    }
    return result
  }
}
