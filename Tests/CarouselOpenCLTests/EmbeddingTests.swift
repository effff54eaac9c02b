import CarouselModel
import CarouselOpenCL
import Testing

/// Rows of a table, and the gradient of the table.
struct EmbeddingWork: Work {
  var tokens: [Int32], vocabulary: Int, width: Int

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let indices = try backend.indices(tokens)
    let y = try backend.output(tokens.count * width)
    try backend.embeddingForward(
      indices: indices, weight: backend.input(numbers(vocabulary * width, stream: 40)), y: y,
      count: tokens.count, vocabulary: vocabulary, width: width)
    let gradWeight = try backend.output(vocabulary * width)
    try backend.embeddingBackward(
      indices: indices, gradY: backend.input(numbers(tokens.count * width, stream: 41)),
      gradWeight: gradWeight, count: tokens.count, vocabulary: vocabulary, width: width)
    return [
      try backend.outcome("y", y, tokens.count * width, bound: 0),
      try backend.outcome("grad_weight", gradWeight, vocabulary * width),
    ]
  }
}

@MainActor @Suite(.device)
struct EmbeddingTests {
  @Test(arguments: [
    (1, 1, 1), (5, 1, 15), (9, 4, 16), (9, 4, 17), (3, 70, 31), (130, 3, 33), (2, 2, 63),
    (7, 5, 65), (3, 2, 130), (2047, 3, 5), (2049, 2, 33), (4500, 7, 3),
  ])
  func everyShapeAgrees(count: Int, vocabulary: Int, width: Int) throws {
    let random = Philox(seed: 5, stream: RandomStream.input(42))
    let tokens = (0..<count).map { Int32(random.uniform($0) * Double(vocabulary)) }
    try expectAgreement(EmbeddingWork(tokens: tokens, vocabulary: vocabulary, width: width))
  }

  @Test func tokensThatDoNotOccurHaveNoGradient() throws {
    let work = EmbeddingWork(tokens: [4, 1, 4, 4, 0, 4], vocabulary: 6, width: 19)
    try expectAgreement(work)
    for form in KernelForm.both {
      let gradient = try work.outcomes(on: Machine.backend(form))[1].values
      for token in 0..<6 {
        let row = gradient[(token * 19)..<(token * 19 + 19)]
        #expect(row.allSatisfy { ($0 != 0) == work.tokens.contains(Int32(token)) })
      }
    }
  }
}
