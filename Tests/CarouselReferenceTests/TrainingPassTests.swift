import CarouselModel
import CarouselReference
import Testing

@Suite struct TrainingPassTests {
  private let backend = ReferenceBackend(sliceAlignment: 16)

  private func network(_ cell: Cell, direction: Direction = .forward) throws
    -> Network<ReferenceBackend>
  {
    var recurrent = RecurrentConfiguration(cell: cell, inputSize: 3, hiddenSize: 4, layers: 2)
    recurrent.direction = direction
    return try Network(
      NetworkConfiguration(vocabularySize: 5, recurrent: recurrent), backend: backend, seed: 3)
  }

  private func tokens(_ count: Int, stream: Int) -> [Int32] {
    let random = Philox(seed: 9, stream: RandomStream.input(stream))
    return (0..<count).map { Int32(random.uniform($0) * 5) }
  }

  /// Two windows, the second going on with the states of the first.
  @Test(arguments: Cell.allCases, [64, 100, 128, 150])
  func aWindowInSegmentsHasTheGradientsOfOneInOnePiece(cell: Cell, sequenceLength: Int) throws {
    let (whole, parts) = (try network(cell), try network(cell))
    let pass = try NetworkPass(
      whole, sequenceLength: sequenceLength, batchSize: 2, purpose: .gradients)
    let segmented = try TrainingPass(
      parts.model, sequenceLength: sequenceLength, batchSize: 2, checkpointSteps: 1)
    for window in 0..<2 {
      let input = tokens(2 * sequenceLength, stream: 2 * window)
      var targets = tokens(2 * sequenceLength, stream: 2 * window + 1)
      targets[7] = -1
      try pass.queueGradients(.tokens(input), .classes(targets))
      try segmented.queueGradients(
        parts.configuration.tensors(
          .tokens(input), .classes(targets), sequenceLength, 2),
        count: Double(2 * sequenceLength - 1))
      #expect(abs(try segmented.readLoss() - pass.readLoss()) < 1e-13)
      for (left, right) in zip(
        try parts.parameters.gradientTensors(), try whole.parameters.gradientTensors())
      {
        let scale = right.tensor.values.map(\.magnitude).max() ?? 0
        #expect(scale > 0)
        for (a, b) in zip(left.tensor.values, right.tensor.values) {
          #expect(abs(a - b) <= 1e-12 * scale, "\(left.name)")
        }
      }
      for (left, right) in zip(segmented.states.all, pass.states) {
        #expect(backend.values(left.hidden) == backend.values(right.hidden))
      }
    }
  }

  /// A network that reads backward too is computed in one piece.
  @Test func otherDirectionsAreNotCut() throws {
    let (whole, parts) = (
      try network(.gru, direction: .bidirectional), try network(.gru, direction: .bidirectional)
    )
    let pass = try NetworkPass(whole, sequenceLength: 70, batchSize: 1, purpose: .gradients)
    let segmented = try TrainingPass(parts.model, sequenceLength: 70, batchSize: 1)
    let (input, targets) = (tokens(70, stream: 0), tokens(70, stream: 1))
    try pass.queueGradients(.tokens(input), .classes(targets))
    try segmented.queueGradients(
      parts.configuration.tensors(.tokens(input), .classes(targets), 70, 1), count: 70)
    #expect(
      try parts.parameters.gradientTensors().map(\.tensor)
        == whole.parameters.gradientTensors().map(\.tensor))
  }
}
