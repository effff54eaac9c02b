import CarouselModel
import CarouselOpenCL
import Testing

/// Softmax with cross-entropy.
struct SoftmaxWork: Work {
  var targets: [Int32], classes: Int
  var scale = 0.25
  var wantsGradient = true
  /// Whether the gradient overwrites the logits.
  var isInPlace = false
  var logitScale = 8.0
  /// Added to every logit.
  var shift = 0.0

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let count = targets.count * classes
    let logits = try backend.input(
      numbers(count, stream: 50, scale: logitScale).map { Double(Float($0 + shift)) })
    let gradLogits = isInPlace ? logits : wantsGradient ? try backend.output(count) : nil
    let loss = try backend.output(1)
    try backend.softmaxCrossEntropy(
      logits: logits, targets: backend.indices(targets), gradLogits: gradLogits, loss: loss,
      rows: targets.count, classes: classes, scale: scale)
    var result = [try backend.outcome("loss", loss, 1)]
    if let gradLogits { result.append(try backend.outcome("grad_logits", gradLogits, count)) }
    return result
  }
}

@MainActor @Suite(.device)
struct SoftmaxTests {
  static func targets(_ rows: Int, classes: Int, ignoring every: Int = .max) -> [Int32] {
    let random = Philox(seed: 6, stream: RandomStream.input(51))
    return (0..<rows).map {
      $0 % every == every - 1 ? -1 : Int32(random.uniform($0) * Double(classes))
    }
  }

  @Test(arguments: [
    (1, 1), (3, 1), (1, 2), (3, 15), (2, 16), (5, 17), (4, 31), (4, 63), (3, 64), (2, 65), (2, 130),
    (300, 5),
  ])
  func everyShapeAgrees(rows: Int, classes: Int) throws {
    for ignoring in [Int.max, 2] {
      var work = SoftmaxWork(
        targets: Self.targets(rows, classes: classes, ignoring: ignoring), classes: classes)
      try expectAgreement(work)
      work.isInPlace = true
      try expectAgreement(work)
      work.isInPlace = false
      work.wantsGradient = false
      try expectAgreement(work)
    }
  }

  @Test func everyTargetMayBeTheOneThatCounts() throws {
    try expectAgreement(SoftmaxWork(targets: (0..<33).map { Int32($0) }, classes: 33))
  }

  @Test func withoutAnyTargetLossAndGradientAreZero() throws {
    let work = SoftmaxWork(targets: [-1, -7, -1], classes: 18)
    for form in KernelForm.both {
      for outcome in try work.outcomes(on: Machine.backend(form)) {
        #expect(outcome.values.allSatisfy { $0 == 0 }, "\(form) \(outcome.name)")
      }
    }
  }

  @Test(arguments: [(64, 0), (4096, 0), (8, 4096), (8, -4096), (0x1p-20, 0)] as [(Double, Double)])
  func largeAndSmallLogitsAgree(logitScale: Double, shift: Double) throws {
    try expectAgreement(
      SoftmaxWork(
        targets: Self.targets(6, classes: 21), classes: 21, logitScale: logitScale, shift: shift))
  }

  /// The loss and the gradient where one logit is not a number.
  private func withNaN(
    _ backend: OpenCLBackend, targets: [Int32], row: Int, classes: Int
  ) throws -> (loss: Double, gradient: [Double]) {
    let count = targets.count * classes
    var logits = numbers(count, stream: 50)
    logits[row * classes + classes - 1] = .nan
    let gradLogits = try backend.output(count)
    let loss = try backend.output(1)
    try backend.softmaxCrossEntropy(
      logits: backend.input(logits), targets: backend.indices(targets), gradLogits: gradLogits,
      loss: loss, rows: targets.count, classes: classes, scale: 1)
    return (try backend.read(loss, count: 1)[0], try backend.read(gradLogits, count: count))
  }

  @Test(arguments: KernelForm.both)
  func aNaNReachesTheLossAndTheGradientOfItsRow(form: KernelForm) throws {
    for classes in [5, 16, 70] {
      let (loss, gradient) = try withNaN(
        Machine.backend(form), targets: [0, 1, 2], row: 1, classes: classes)
      #expect(loss.isNaN)
      #expect(gradient.indices.allSatisfy { gradient[$0].isNaN == ($0 / classes == 1) })
    }
  }

  @Test(arguments: KernelForm.both)
  func anIgnoredRowIsLeftOutWhateverItHolds(form: KernelForm) throws {
    let (loss, gradient) = try withNaN(
      Machine.backend(form), targets: [0, -1, 2], row: 1, classes: 19)
    #expect(loss.isFinite)
    #expect(gradient[19..<38].allSatisfy { $0 == 0 })
    #expect(gradient.allSatisfy { $0.isFinite })
  }
}
