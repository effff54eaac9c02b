import CarouselModel
import CarouselOpenCL
import CarouselReference
import Testing

/// Training steps of a whole network whose parameters are slices of one buffer.
struct NetworkWork: Work {
  var layers = 2, dropout = 0.3
  /// What poisons the network before its first step.
  var spoiled: String?

  func outcomes<B: Backend>(on backend: B) throws -> [Outcome] {
    let (sequenceLength, batchSize, vocabulary) = (4, 5, 11)
    let network = try Network(
      NetworkConfiguration(
        vocabularySize: vocabulary,
        recurrent: RecurrentConfiguration(
          inputSize: 6, hiddenSize: 9, layers: layers, dropout: dropout)),
      backend: backend, seed: 3)
    let store = network.parameters
    if let spoiled { try backend.write([.nan], to: store.value(spoiled)) }
    let pass = try NetworkPass(
      network, sequenceLength: sequenceLength, batchSize: batchSize, purpose: .gradients)
    let norm = try backend.makeBuffer(count: 1)
    let moments = try (0..<2).map { _ in try backend.makeBuffer(count: store.count) }
    let random = Philox(seed: 8, stream: RandomStream.input(0))
    func tokens(_ first: Int) -> [Int32] {
      (0..<sequenceLength * batchSize).map {
        Int32(random.uniform(first + $0) * Double(vocabulary))
      }
    }
    var result: [Outcome] = []
    for step in 1...2 {
      let loss = try pass.lossAndGradients(
        tokens: tokens(1000 * step), targets: tokens(1000 * step + 500), dropoutSeed: (1, step))
      result.append(Outcome(name: "loss \(step)", values: [loss]))
      result += try store.gradientTensors().map {
        Outcome(name: "grad_\($0.name) \(step)", values: $0.tensor.values)
      }
      try backend.norm(of: store.gradients, count: store.count, into: norm)
      try backend.optimize(
        .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-2, weightDecay: 0.01, decoupled: true),
        parameters: store.values, gradients: store.gradients, moments: moments,
        count: store.count, learningRate: 0.01, gradientNorm: norm, maximumNorm: 0.25, step: step)
    }
    return try result + store.tensors().map { Outcome(name: $0.name, values: $0.tensor.values) }
  }
}

@MainActor @Suite(.device)
struct NetworkTests {
  @Test(arguments: [1, 2], [0, 0.3])
  func trainingStepsAgree(layers: Int, dropout: Double) throws {
    try expectAgreement(NetworkWork(layers: layers, dropout: dropout))
  }

  @Test(arguments: KernelForm.both)
  func theSameStepsGiveTheSameBits(form: KernelForm) throws {
    let first = try NetworkWork().outcomes(on: Machine.backend(form))
    let second = try NetworkWork().outcomes(on: Machine.backend(form))
    let elsewhere = try NetworkWork().outcomes(on: Machine.newBackend(form))
    for other in [second, elsewhere] {
      #expect(other.map(\.values) == first.map(\.values))
    }
  }

  @Test(
    arguments: [
      "recurrent.weight_ih_l0", "recurrent.weight_hh_l1", "recurrent.bias_hh_l0", "output.weight",
      "output.bias",
    ], KernelForm.both)
  func aWeightThatIsNotANumberReachesTheLoss(name: String, form: KernelForm) throws {
    let outcomes = try NetworkWork(spoiled: name).outcomes(on: Machine.backend(form))
    #expect(outcomes[0].values[0].isNaN)
  }
}
