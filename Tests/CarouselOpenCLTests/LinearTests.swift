import CarouselModel
import CarouselOpenCL
import Testing

/// A linear layer, forward and backward.
struct LinearWork: Work {
  var rows: Int, inputSize: Int, outputSize: Int
  var hasBias = true, wantsGradX = true

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let (M, K, O) = (rows, inputSize, outputSize)
    let x = try backend.input(numbers(M * K, stream: 30))
    let weight = try backend.input(numbers(O * K, stream: 31))
    let y = try backend.output(M * O)
    try backend.linearForward(
      x: x, weight: weight, bias: hasBias ? backend.input(numbers(O, stream: 32)) : nil, y: y,
      rows: M, inputSize: K, outputSize: O)
    let gradX = wantsGradX ? try backend.output(M * K) : nil
    let gradWeight = try backend.output(O * K)
    let gradBias = hasBias ? try backend.output(O) : nil
    try backend.linearBackward(
      x: x, weight: weight, gradY: backend.input(numbers(M * O, stream: 33)), gradX: gradX,
      gradWeight: gradWeight, gradBias: gradBias, rows: M, inputSize: K, outputSize: O)
    var result = [
      try backend.outcome("y", y, M * O),
      try backend.outcome("grad_weight", gradWeight, O * K),
    ]
    if let gradX { result.append(try backend.outcome("grad_x", gradX, M * K)) }
    if let gradBias { result.append(try backend.outcome("grad_bias", gradBias, O)) }
    return result
  }
}

@MainActor @Suite(.device)
struct LinearTests {
  @Test(arguments: [
    (1, 1, 1), (1, 5, 1), (7, 1, 9), (8, 16, 32), (9, 17, 33), (65, 3, 65), (64, 64, 64),
    (63, 31, 129), (3, 200, 2), (130, 2, 66), (1, 64, 64), (17, 100, 31), (200, 15, 1),
    (15, 63, 16), (5, 33, 260),
  ])
  func everyShapeAgrees(rows: Int, inputSize: Int, outputSize: Int) throws {
    try expectAgreement(LinearWork(rows: rows, inputSize: inputSize, outputSize: outputSize))
  }

  @Test(arguments: [true, false], [true, false])
  func whatIsNotWantedIsLeftOut(hasBias: Bool, wantsGradX: Bool) throws {
    try expectAgreement(
      LinearWork(
        rows: 11, inputSize: 7, outputSize: 19, hasBias: hasBias, wantsGradX: wantsGradX))
  }

  @Test(arguments: KernelForm.both)
  func aNaNSpoilsItsRowAlone(form: KernelForm) throws {
    let backend = try Machine.backend(form)
    let (rows, inputSize, outputSize) = (9, 5, 7)
    var x = numbers(rows * inputSize, stream: 30)
    x[4 * inputSize + 2] = .nan
    let y = try backend.output(rows * outputSize)
    try backend.linearForward(
      x: backend.input(x), weight: backend.input(numbers(outputSize * inputSize, stream: 31)),
      bias: nil, y: y, rows: rows, inputSize: inputSize, outputSize: outputSize)
    let values = try backend.read(y, count: rows * outputSize)
    #expect(values.indices.allSatisfy { values[$0].isNaN == ($0 / outputSize == 4) })
  }
}
