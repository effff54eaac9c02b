import CarouselFormats
import CarouselModel
import CarouselReference
import CarouselTraining
import Testing

@Suite struct DynamicEvaluatorTests {
  private typealias Evaluator = DynamicEvaluator<ReferenceBackend>

  private let vocabulary = TestRun.text.vocabulary

  private func settings() -> TrainingSettings {
    var settings = TestRun.settings(maxSteps: 11)
    settings.sequenceLength = Evaluator.sequenceLength
    settings.batchSize = 1
    settings.validation = 0
    settings.schedule = LearningRateSchedule(.constant, peak: 0.01)
    return settings
  }

  private func network() throws -> Network<ReferenceBackend> {
    let settings = settings()
    return try Network(
      NetworkConfiguration(vocabularySize: vocabulary.count, recurrent: settings.recurrent),
      backend: ReferenceBackend(), seed: settings.seed)
  }

  private func evaluator(
    _ network: Network<ReferenceBackend>, _ text: ArraySlice<UInt8>, rate: Double = 0.01
  ) throws -> Evaluator {
    try DynamicEvaluator(
      network, text: TextContent(text), vocabulary: vocabulary, learningRate: rate)
  }

  /// A training of one stream at a constant rate counts the loss of each window before it learns from it, too; it
  /// must not drop out, for dynamic evaluation does not.
  @Test func itIsTheFirstEpochOfATraining() throws {
    let text = TestRun.text.bytes[..<(11 * Evaluator.sequenceLength + 1)]
    var settings = settings()
    settings.recurrent.dropout = 0
    let trainer = try Trainer(
      TrainingText(text), settings: settings, vocabulary: vocabulary, backend: ReferenceBackend())
    var losses: [Double] = []
    _ = try trainer.run { if case .stepped(let progress) = $0 { losses.append(progress.loss) } }
    let network = try network()
    let evaluator = try evaluator(network, text)
    let found = try #require(try evaluator.evaluate())
    #expect(losses.count == 11 && evaluator.passCount == 11 && found.count == text.count - 1)
    #expect(abs(found.loss - losses.reduce(0, +) / 11) < 1e-12)
    #expect(
      try network.parameters.tensors().map(\.tensor)
        == trainer.network.parameters.tensors().map(\.tensor))
  }

  /// The last window is short: it counts as many bytes as it has, and none twice.
  @Test func aRateOfNextToNothingChangesNothing() throws {
    let (network, text) = (try network(), TestRun.text.bytes[...])
    let fixed = try TextEvaluator(network, text: text, vocabulary: vocabulary).evaluate()
    let found = try evaluator(network, text, rate: 1e-12).evaluate()
    #expect(text.count % Evaluator.sequenceLength != 1 && found?.count == text.count - 1)
    #expect(abs(try #require(found).loss - #require(fixed).loss) < 1e-8)
  }

  @Test func whatRepeatsIsLearnt() throws {
    let (network, text) = (try network(), TestRun.text.bytes[...])
    let fixed = try #require(
      try TextEvaluator(network, text: text, vocabulary: vocabulary).evaluate())
    let found = try #require(try evaluator(network, text, rate: 0.03).evaluate())
    #expect(found.loss < 0.95 * fixed.loss)
  }

  @Test func aTextOfTwoBytesHasOneWindowOfOneByte() throws {
    let found = try evaluator(network(), TestRun.text.bytes[..<2]).evaluate()
    #expect(found?.count == 1)
  }

  @Test func whatCannotBeReadIsRefused() throws {
    let network = try network()
    expectError(.badData, "at least 2 bytes", "has 1") {
      _ = try evaluator(network, TestRun.text.bytes[..<1])
    }
    for rate in [0, -0.1, .nan, .infinity] {
      expectError(.usage, "learning rate", "\(rate)") {
        _ = try evaluator(network, TestRun.text.bytes[...], rate: rate)
      }
    }
  }
}
