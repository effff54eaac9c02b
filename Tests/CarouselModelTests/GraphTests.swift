import CarouselModel
import Testing

@Suite struct GraphTests {
  /// x → tanh → y.
  private var small: Graph {
    var graph = Graph()
    graph.inputs = [GraphInput("x", ["N", 3])]
    graph.nodes = [GraphNode("a", .unary(.tanh), inputs: ["x"], outputs: ["y"])]
    graph.outputs = ["y"]
    return graph
  }

  private func message(_ graph: Graph) -> String? {
    do throws(CarouselError) {
      try graph.validate()
      return nil
    } catch {
      #expect(error.kind == .badData)
      return error.message
    }
  }

  @Test func aGraphInOrderIsValid() { #expect(message(small) == nil) }

  @Test func aNodeReadsNothingThatComesLater() {
    var graph = small
    graph.nodes.insert(GraphNode("b", .unary(.relu), inputs: ["y"], outputs: ["z"]), at: 0)
    #expect(message(graph) == "the node 'b' (relu) reads 'y', which nothing before it makes")
  }

  @Test func aNameIsGivenOnce() {
    var graph = small
    graph.constants["x"] = GraphTensor(scalar: 1)
    #expect(message(graph) == "two tensors of the graph are named 'x', one a constant")
  }

  @Test func anOutputIsMade() {
    var graph = small
    graph.outputs = ["z"]
    #expect(message(graph) == "the graph's output 'z' is a tensor that nothing makes")
  }

  @Test func aBranchSeesTheTensorsAroundIt() {
    var inner = Graph()
    inner.nodes = [GraphNode("c", .unary(.relu), inputs: ["y"], outputs: ["inner"])]
    inner.outputs = ["inner"]
    var graph = small
    graph.constants["condition"] = GraphTensor(scalar: 1, type: .bool)
    graph.nodes.append(
      GraphNode(
        "if", .branch(then: inner, else: inner), inputs: ["condition"], outputs: ["chosen"]))
    graph.outputs = ["chosen"]
    #expect(message(graph) == nil)
    graph.nodes.removeFirst()
    #expect(message(graph) == "the node 'c' (relu) reads 'y', which nothing before it makes")
  }
}
