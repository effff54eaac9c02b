import Testing

@testable import CarouselModel

/// Which copies of a program are none, because a tensor is a part of another's memory.
@Suite struct GraphPartsTests {
  /// The rows of x `[2, width]`, each through a softmax of its own, one below the other again.
  private func rows(width: Int) throws -> GraphProgram {
    var graph = Graph()
    let x = graph.input("x", [2, .fixed(width)])
    let rows = (0..<2).map { row in
      let index = graph.constant(GraphTensor(wholeNumbers: [row]))
      return graph.add(
        .softmax(axis: 1), graph.add(.gather(axis: 0), x, index))
    }
    graph.outputs = [graph.add(.concatenate(axis: 0), rows[0], rows[1], name: "y")]
    return try GraphProgram(graph, shapes: ["x": [2, width]])
  }

  @Test func rowsAreReadAndWrittenInPlace() throws {
    let program = try rows(width: 48)
    #expect(program.operationCounts.forward == 6)
    #expect(GraphPlan(program, alignment: 1).forward.count == 2)
    // The second row begins at 48.
    #expect(GraphPlan(program, alignment: 32).forward.count == 4)
    #expect(GraphPlan(try rows(width: 64), alignment: 32).forward.count == 2)
  }

  @Test func theLastStepIsReadInPlaceAndItsGradientWrittenThere() throws {
    var graph = Graph()
    let x = graph.input("x", [5, 2, 3])
    let y = graph.recurrent(x, .init(inputSize: 3, hiddenSize: 8), name: "recurrent")
    let last = graph.add(.timePool(.last), y)
    graph.outputs = [graph.linear(last, inputSize: 8, outputSize: 2, name: "output")]
    let program = try GraphProgram(
      graph, shapes: ["x": [5, 2, 3]], training: true, gradientsOf: ["output"])
    // The last step begins at 64.
    for (alignment, forward, backward) in [(64, 2, 3), (128, 3, 4)] {
      let plan = GraphPlan(program, alignment: alignment)
      #expect(plan.forward.count == forward && plan.backward.count == backward)
    }
  }

  /// Six elements, three of which are copied, then what else happens.
  private func parts(_ after: [ProgramInstruction]) -> GraphParts {
    let storages = [6, 3, 3, 6].map { ProgramStorage(kind: .temporary, count: $0) }
    let whole = StridedView([3])
    let second = StridedView(offset: 3, extents: [3], strides: [1])
    return GraphParts(
      [
        .fill(0, count: 6, with: 1),
        .copy(0, second, to: 1, whole, accumulates: false),
      ] + after, storages: storages, alignment: 1)
  }

  private func softmax(_ x: Int, _ y: Int) -> ProgramInstruction {
    .softmax(x, into: y, rows: 1, width: 3, isLogarithm: false)
  }

  @Test func whatIsWrittenOverIsCopied() {
    let half = StridedView(offset: 0, extents: [3], strides: [1])
    #expect(parts([softmax(1, 2)]).places[1] == .init(storage: 0, offset: 3))
    // Written over while the copy is read, and after that.
    #expect(parts([.fill(0, count: 6, with: 2), softmax(1, 2)]).copies.isEmpty)
    #expect(parts([softmax(1, 2), .fill(0, count: 6, with: 2)]).copies == [1])
    // The other half alone.
    let other = ProgramInstruction.copy(2, half, to: 0, half, accumulates: false)
    #expect(parts([softmax(1, 2), other, softmax(1, 2)]).copies.contains(1))
  }

  @Test func whatIsNeededOfATensorIsNotWrittenInto() {
    let whole = StridedView([3])
    let second = StridedView(offset: 3, extents: [3], strides: [1])
    let into = ProgramInstruction.copy(2, whole, to: 3, second, accumulates: false)
    // A result that is written where it is wanted, and a larger tensor that is filled in between.
    #expect(parts([softmax(1, 2), into]).places[2] == .init(storage: 3, offset: 3))
    #expect(parts([softmax(1, 2), .fill(3, count: 6, with: 0), into]).copies == [1])
    #expect(parts([.fill(3, count: 6, with: 0), softmax(1, 2), into]).copies == [1, 4])
    // What changes after it was copied.
    #expect(parts([softmax(1, 2), into, softmax(1, 2)]).copies == [1])
  }
}
