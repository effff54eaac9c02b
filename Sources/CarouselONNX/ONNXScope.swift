import CarouselFormats
import CarouselModel

/// A graph that is being built; the outermost one, or the body of a node.
final class GraphBuilder {
  var graph = Graph()
}

/// The names of one graph of the file: what they are called in the graph that is built.
///
/// A branch that is known to be taken has a scope of its own, but is built into the graph around it.
final class ONNXScope {
  /// What the scope's nodes are built into.
  let builder: GraphBuilder
  /// The graph around this one.
  let outer: ONNXScope?
  private let initializers: [String: ONNXTensorProto]
  private var names: [String: String] = [:]
  private var makers: [String: ONNXNode] = [:]
  /// What all nodes of the scope make, those to come too.
  private let made: Set<String>

  init(_ proto: ONNXGraphProto, outer: ONNXScope?, builder: GraphBuilder) {
    self.outer = outer
    self.builder = builder
    initializers = Dictionary(proto.initializer.map { ($0.name, $0) }) { $1 }
    made = Set(proto.node.flatMap(\.output))
  }

  /// Lets a name of the file stand for a tensor of the graph.
  func define(_ name: String, as other: String, by node: ONNXNode? = nil) {
    names[name] = other
    makers[name] = node
  }

  /// The tensor of the graph that a name of the file stands for, here or around.
  func name(_ name: String) -> String? {
    names[name] ?? (initializers[name] == nil ? outer?.name(name) : nil)
  }

  /// The node that makes a tensor, and its scope.
  func maker(_ name: String) -> (node: ONNXNode, scope: ONNXScope)? {
    makers[name].map { ($0, self) } ?? (names[name] == nil ? outer?.maker(name) : nil)
  }

  /// The initializer of a name, and its scope.
  func initializer(_ name: String) -> (tensor: ONNXTensorProto, scope: ONNXScope)? {
    if makers[name] != nil { return nil }
    return initializers[name].map { ($0, self) } ?? outer?.initializer(name)
  }

  /// Whether a node of this scope, or of one around it, makes a tensor of this name, be it later.
  func isMade(_ name: String) -> Bool { made.contains(name) || outer?.isMade(name) == true }
}
