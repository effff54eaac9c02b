import CarouselModel
import CarouselReference
import Foundation
import Testing

@Suite struct NetworkTests {
  private let configuration = NetworkConfiguration(
    vocabularySize: 5,
    recurrent: RecurrentConfiguration(inputSize: 3, hiddenSize: 4, layers: 2, dropout: 0.25))
  private let tokens: [Int32] = [0, 1, 2, 3, 4, 1]
  private let targets: [Int32] = [1, 2, 3, -1, 0, 4]
  private let backend = ReferenceBackend(sliceAlignment: 16)

  private func makePass(
    _ purpose: NetworkPass<ReferenceBackend>.Purpose = .gradients
  ) throws -> NetworkPass<ReferenceBackend> {
    let network = try Network(configuration, backend: backend, seed: 3)
    return try NetworkPass(network, sequenceLength: 3, batchSize: 2, purpose: purpose)
  }

  @Test(arguments: [5, nil])
  func theGraphHasTheParametersOfTheNetwork(vocabularySize: Int?) {
    var network = configuration
    network.vocabularySize = vocabularySize
    #expect(network.graph.trainedParameters == network.parameterDescriptions)
    #expect(network.graph.fixedParameters.isEmpty)
  }

  @Test func everyGradientOfTheSquaredErrorIsTheDerivative() throws {
    let network = try Network(
      NetworkConfiguration(
        vocabularySize: nil,
        recurrent: RecurrentConfiguration(cell: .gru, inputSize: 2, hiddenSize: 4), outputSize: 3),
      backend: backend, seed: 3)
    let pass = try NetworkPass(network, sequenceLength: 3, batchSize: 2, purpose: .gradients)
    var targets = normal(3 * 2 * 3, stream: 1)
    targets[3] = .nan  // of a row that does not count
    func loss() throws -> Double {
      try pass.resetStates()
      try pass.queueGradients(
        .features(normal(3 * 2 * 2, stream: 0)), .values(targets, counted: [1, 0, 1, 1, 1, 1]))
      return try pass.readLoss()
    }
    let value = try loss()
    let logits = backend.values(pass.logits)
    let errors = zip(logits, targets).enumerated().filter { $0.offset / 3 != 1 }.map {
      ($0.element.0 - $0.element.1) * ($0.element.0 - $0.element.1)
    }
    #expect(abs(value - errors.reduce(0, +) / 15) < 1e-12)
    for (name, gradient) in try network.parameters.gradientTensors() {
      try expectGradient(
        gradient.values, of: network.parameters.value(name), in: backend, name, loss: loss)
    }
  }

  private func values(_ states: [State]) throws -> [[Double]] {
    try states.flatMap { [backend.values($0.hidden), backend.values(try #require($0.memory))] }
  }

  @Test func everyGradientIsTheDerivativeOfTheLossFromCarriedStates() throws {
    let pass = try makePass()
    _ = try pass.loss(tokens: tokens.reversed(), targets: targets)
    let carried = try values(pass.states)
    #expect(carried.allSatisfy { $0.contains { $0 != 0 } })
    func loss() throws -> Double {
      for (index, state) in pass.states.enumerated() {
        try backend.write(carried[2 * index], to: state.hidden)
        try backend.write(carried[2 * index + 1], to: try #require(state.memory))
      }
      return try pass.lossAndGradients(tokens: tokens, targets: targets, dropoutSeed: (7, 2))
    }
    _ = try loss()
    let store = pass.network.parameters
    for (name, gradient) in try store.gradientTensors() {
      try expectGradient(
        gradient.values, of: store.value(name), in: backend, name, loss: loss)
    }
  }

  @Test func aLossWithoutDropoutIsThatOfAPassThatCannotTrain() throws {
    let training = try makePass()
    let plain = try NetworkPass(training.network, sequenceLength: 3, batchSize: 2, purpose: .loss)
    let loss = try training.lossAndGradients(tokens: tokens, targets: targets)
    #expect(try plain.loss(tokens: tokens, targets: targets) == loss)
    #expect(try values(plain.states) == values(training.states))
    #expect(loss > 0 && loss < 2 * log(5))
  }

  @Test func trainingGoesOnFromTheStatesItLeft() throws {
    let training = try makePass()
    let plain = try NetworkPass(
      training.network, sequenceLength: 3, batchSize: 2, purpose: .outputs)
    var losses: [Double] = []
    for _ in 0..<3 {
      losses.append(try training.lossAndGradients(tokens: tokens, targets: targets))
      try plain.forward(tokens: tokens)
      #expect(backend.values(training.logits) == backend.values(plain.logits))
    }
    #expect(Set(losses).count == 3)
  }

  @Test func dropoutIsDrawnFromItsSeedAndStep() throws {
    let losses = try [(7, 2), (7, 2), (7, 3), (8, 2)].map { seed, step in
      try makePass().lossAndGradients(
        tokens: tokens, targets: targets, dropoutSeed: (UInt64(seed), step))
    }
    #expect(losses[0] == losses[1])
    #expect(Set(losses).count == 3)
  }

  @Test func resetStatesBeginANewText() throws {
    let pass = try makePass(.outputs)
    try pass.forward(tokens: tokens)
    let first = backend.values(pass.logits)
    try pass.forward(tokens: tokens)
    #expect(backend.values(pass.logits) != first)
    try pass.resetStates()
    try pass.forward(tokens: tokens)
    #expect(backend.values(pass.logits) == first)
  }

  @Test func aPassComputesWhatItWasMadeFor() throws {
    #expect(throws: CarouselError.self) { try makePass(.loss).forward(tokens: tokens) }
    #expect(throws: CarouselError.self) {
      try makePass(.outputs).loss(tokens: tokens, targets: targets)
    }
    #expect(throws: CarouselError.self) {
      try makePass(.loss).lossAndGradients(tokens: tokens, targets: targets)
    }
  }

  @Test func adamFitsAShortText() throws {
    let pass = try makePass()
    let store = pass.network.parameters
    let adam = Optimizer.adam(
      beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decoupled: false)
    let moments = try (0..<2).map { _ in try backend.makeBuffer(count: store.count) }
    let norm = try backend.makeBuffer(count: 1)
    var losses: [Double] = []
    for step in 1...60 {
      try pass.resetStates()
      losses.append(try pass.lossAndGradients(tokens: tokens, targets: targets))
      try backend.norm(of: store.gradients, count: store.count, into: norm)
      try backend.optimize(
        adam, parameters: store.values, gradients: store.gradients, moments: moments,
        count: store.count, learningRate: 0.05, gradientNorm: norm, maximumNorm: 1, step: step)
    }
    #expect(losses[0] > 1)
    #expect(losses[59] < 0.1)
  }
}
