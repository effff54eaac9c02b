import CarouselModel
import CarouselReference
import Foundation
import Testing

@Suite struct SoftmaxTests {
  private let backend = ReferenceBackend()

  /// The loss, and the gradient where wanted.
  private func crossEntropy(
    _ logits: Buffer, targets: [Int32], scale: Double, grad: Buffer? = nil
  ) throws -> Double {
    let loss = try backend.makeBuffer(count: 1)
    try backend.softmaxCrossEntropy(
      logits: logits, targets: try backend.indices(targets), gradLogits: grad, loss: loss,
      rows: targets.count, classes: logits.count / targets.count, scale: scale)
    return backend.values(loss)[0]
  }

  @Test(arguments: [[2, -1, 0, 4], [0], [3, 3]] as [[Int32]])
  func theGradientIsTheDerivativeOfTheLoss(targets: [Int32]) throws {
    let logits = try backend.random(targets.count * 5, stream: 1)
    let grad = try backend.random(targets.count * 5, stream: 2)  // to be overwritten
    _ = try crossEntropy(logits, targets: targets, scale: 0.3, grad: grad)
    try expectGradient(backend.values(grad), of: logits, in: backend, "logits") {
      try crossEntropy(logits, targets: targets, scale: 0.3)
    }
  }

  @Test func aRowWithANegativeTargetIsLeftOut() throws {
    let values = normal(10, stream: 1)
    let both = try backend.buffer(values)
    let grad = try backend.makeBuffer(count: 10)
    let ignored = try crossEntropy(both, targets: [1, -100], scale: 1, grad: grad)
    #expect(
      try ignored == crossEntropy(backend.buffer(Array(values[..<5])), targets: [1], scale: 1))
    #expect(backend.values(grad)[5...].allSatisfy { $0 == 0 })
    #expect(backend.values(grad)[..<5].allSatisfy { $0 != 0 })
  }

  @Test func equalLogitsCostTheLogarithmOfTheClasses() throws {
    let logits = try backend.buffer([Double](repeating: 700, count: 8))
    #expect(try (crossEntropy(logits, targets: [5], scale: 1) - log(8)).magnitude < 1e-12)
  }

  @Test(arguments: [0, 1, 2])
  func largeLogitsNeitherOverflowNorVanish(largest: Int) throws {
    var values = [-1e4, -1e4, -1e4]
    values[largest] = 1e4
    let target = (largest + 1) % 3
    let grad = try backend.makeBuffer(count: 3)
    let loss = try crossEntropy(
      backend.buffer(values), targets: [Int32(target)], scale: 1, grad: grad)
    #expect(loss == 2e4)
    #expect(backend.values(grad) == (0..<3).map { $0 == largest ? 1 : $0 == target ? -1 : 0 })
  }

  @Test func theGradientMayTakeTheLogitsPlace() throws {
    let logits = try backend.random(12, stream: 1)
    let grad = try backend.makeBuffer(count: 12)
    let loss = try crossEntropy(logits, targets: [3, 0, 1], scale: 0.5, grad: grad)
    #expect(try crossEntropy(logits, targets: [3, 0, 1], scale: 0.5, grad: logits) == loss)
    #expect(backend.values(logits) == backend.values(grad))
  }

  @Test(arguments: 0..<3)
  func notANumberReachesTheLossAndItsRow(position: Int) throws {
    var values = normal(6, stream: 1)
    values[position] = .nan
    let grad = try backend.makeBuffer(count: 6)
    #expect(
      try crossEntropy(backend.buffer(values), targets: [1, 2], scale: 1, grad: grad).isNaN)
    #expect(backend.values(grad)[..<3].allSatisfy { $0.isNaN })
    #expect(backend.values(grad)[3...].allSatisfy { $0.isFinite })
  }
}
