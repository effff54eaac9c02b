import CarouselModel
import CarouselReference
import Testing

@Suite struct LinearTests {
  private let backend = ReferenceBackend()

  @Test(arguments: [(1, 1, 1), (3, 4, 5), (2, 7, 1), (1, 5, 9)])
  func gradientsAreTheDerivativesOfTheLoss(rows: Int, inputSize: Int, outputSize: Int) throws {
    let x = try backend.random(rows * inputSize, stream: 1)
    let weight = try backend.random(outputSize * inputSize, stream: 2)
    let bias = try backend.random(outputSize, stream: 3)
    let gradY = try backend.random(rows * outputSize, stream: 4)
    let y = try backend.makeBuffer(count: gradY.count)
    let gradX = try backend.makeBuffer(count: x.count)
    let gradWeight = try backend.makeBuffer(count: weight.count)
    let gradBias = try backend.makeBuffer(count: bias.count)
    func loss() throws -> Double {
      try backend.linearForward(
        x: x, weight: weight, bias: bias, y: y, rows: rows, inputSize: inputSize,
        outputSize: outputSize)
      return dot(backend.values(y), backend.values(gradY))
    }
    try backend.linearBackward(
      x: x, weight: weight, gradY: gradY, gradX: gradX, gradWeight: gradWeight, gradBias: gradBias,
      rows: rows, inputSize: inputSize, outputSize: outputSize)
    for (gradient, buffer, name) in [
      (gradX, x, "x"), (gradWeight, weight, "weight"), (gradBias, bias, "bias"),
    ] {
      try expectGradient(backend.values(gradient), of: buffer, in: backend, name, loss: loss)
    }
  }

  @Test func aRowIsItsProductWithTheWeightPlusTheBias() throws {
    let x = try backend.buffer([1, 2, 3, 4, 5, 6])
    let weight = try backend.buffer([1, 0, -1, 2, 2, 2])
    let bias = try backend.buffer([10, 20])
    let y = try backend.makeBuffer(count: 4)
    try backend.linearForward(
      x: x, weight: weight, bias: bias, y: y, rows: 2, inputSize: 3, outputSize: 2)
    #expect(backend.values(y) == [8, 32, 8, 50])
    try backend.linearForward(
      x: x, weight: weight, bias: nil, y: y, rows: 2, inputSize: 3, outputSize: 2)
    #expect(backend.values(y) == [-2, 12, -2, 30])
  }
}

@Suite struct EmbeddingTests {
  private let backend = ReferenceBackend()

  @Test func eachIndexTakesItsRow() throws {
    let weight = try backend.buffer([1, 2, 3, 4, 5, 6])
    let y = try backend.makeBuffer(count: 8)
    try backend.embeddingForward(
      indices: try backend.indices([2, 0, 2, 1]), weight: weight, y: y, count: 4, vocabulary: 3,
      width: 2)
    #expect(backend.values(y) == [5, 6, 1, 2, 5, 6, 3, 4])
  }

  @Test func theGradientOfARowIsTheSumOverItsUses() throws {
    let indices = try backend.indices([2, 0, 2, 2, 4])
    let weight = try backend.random(5 * 3, stream: 1)
    let gradY = try backend.random(5 * 3, stream: 2)
    let y = try backend.makeBuffer(count: 5 * 3)
    let gradWeight = try backend.random(5 * 3, stream: 3)  // to be overwritten
    try backend.embeddingBackward(
      indices: indices, gradY: gradY, gradWeight: gradWeight, count: 5, vocabulary: 5, width: 3)
    try expectGradient(backend.values(gradWeight), of: weight, in: backend, "weight") {
      try backend.embeddingForward(
        indices: indices, weight: weight, y: y, count: 5, vocabulary: 5, width: 3)
      return dot(backend.values(y), backend.values(gradY))
    }
  }
}

@Suite struct DropoutTests {
  private let backend = ReferenceBackend()
  private let random = Philox(seed: 4, stream: RandomStream.dropout(layer: 0, step: 7))

  @Test(arguments: [0.1, 0.5, 0.9])
  func elementsAreKeptWithTheirProbabilityAndScaled(probability: Double) throws {
    let count = 10_000
    let x = try backend.makeBuffer(count: count)
    try backend.fill(x, count: count, with: 3)
    try backend.dropout(x, y: x, count: count, probability: probability, random: random)
    let values = backend.values(x)
    let kept = values.count { $0 != 0 }
    #expect(values.allSatisfy { $0 == 0 || $0 == 3 / (1 - probability) })
    let deviation = (Double(count) * probability * (1 - probability)).squareRoot()
    #expect((Double(kept) - Double(count) * (1 - probability)).magnitude < 4 * deviation)
  }

  @Test func theSameCallOnTheGradientIsTheBackwardPass() throws {
    let x = try backend.random(33, stream: 1)
    let gradY = try backend.random(33, stream: 2)
    let y = try backend.makeBuffer(count: 33)
    let gradX = try backend.makeBuffer(count: 33)
    try backend.dropout(gradY, y: gradX, count: 33, probability: 0.4, random: random)
    try expectGradient(backend.values(gradX), of: x, in: backend, "x") {
      try backend.dropout(x, y: y, count: 33, probability: 0.4, random: random)
      return dot(backend.values(y), backend.values(gradY))
    }
  }

  @Test func probabilityZeroKeepsEverything() throws {
    let x = try backend.random(9, stream: 1)
    let y = try backend.makeBuffer(count: 9)
    try backend.dropout(x, y: y, count: 9, probability: 0, random: random)
    #expect(backend.values(y) == backend.values(x))
  }

  @Test func anotherStreamDrawsAnotherMask() throws {
    let x = try backend.buffer([Double](repeating: 1, count: 64))
    let masks = try (0..<2).map { step in
      let y = try backend.makeBuffer(count: 64)
      let stream = RandomStream.dropout(layer: 0, step: step)
      try backend.dropout(
        x, y: y, count: 64, probability: 0.5, random: Philox(seed: 4, stream: stream))
      return backend.values(y)
    }
    #expect(masks[0] != masks[1])
  }
}
