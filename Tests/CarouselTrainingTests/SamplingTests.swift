import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

@Suite struct TokenSamplerTests {
  /// Logits of the probabilities 0.1, 0.4, 0.3, 0.2.
  private let logits = [0.1, 0.4, 0.3, 0.2].map { log($0) }

  private func expect(
    _ found: [Double], _ expected: [Double], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(found.count == expected.count, sourceLocation: sourceLocation)
    for (found, expected) in zip(found, expected) {
      #expect(abs(found - expected) < 1e-12, sourceLocation: sourceLocation)
    }
  }

  @Test func withoutLimitsItIsSoftmax() throws {
    expect(try TokenSampler().probabilities(logits: logits), [0.1, 0.4, 0.3, 0.2])
  }

  @Test func temperatureSharpens() throws {
    let squares = [0.01, 0.16, 0.09, 0.04].map { $0 / 0.3 }
    expect(try TokenSampler(temperature: 0.5).probabilities(logits: logits), squares)
  }

  @Test func temperatureZeroIsGreedyAndTakesTheLowerOfEquals() throws {
    let sampler = try TokenSampler(temperature: 0)
    #expect(try sampler.probabilities(logits: logits) == [0, 1, 0, 0])
    #expect(try sampler.token(logits: [1, 3, 3], uniform: 0.999) == 1)
  }

  @Test func topKKeepsTheMostProbable() throws {
    expect(
      try TokenSampler(topK: 2).probabilities(logits: logits), [0, 0.4 / 0.7, 0.3 / 0.7, 0])
    expect(try TokenSampler(topK: 99).probabilities(logits: logits), [0.1, 0.4, 0.3, 0.2])
  }

  @Test func topPKeepsTheFewestThatReachIt() throws {
    expect(
      try TokenSampler(topP: 0.6).probabilities(logits: logits), [0, 0.4 / 0.7, 0.3 / 0.7, 0])
    expect(try TokenSampler(topP: 0.01).probabilities(logits: logits), [0, 1, 0, 0])
    expect(try TokenSampler(topP: 1).probabilities(logits: logits), [0.1, 0.4, 0.3, 0.2])
  }

  @Test func topPCountsWithinTopK() throws {
    // Of the two that remain, 0.4/0.7 alone reaches 0.5.
    expect(try TokenSampler(topK: 2, topP: 0.5).probabilities(logits: logits), [0, 1, 0, 0])
  }

  @Test func aUniformNumberPicksByCumulatedProbability() throws {
    let sampler = try TokenSampler()
    let tokens = try [0, 0.09, 0.11, 0.49, 0.51, 0.79, 0.81, 0.9999999].map {
      try sampler.token(logits: logits, uniform: $0)
    }
    #expect(tokens == [0, 0, 1, 1, 2, 2, 3, 3])
  }

  @Test func largeLogitsDoNotOverflow() throws {
    expect(try TokenSampler().probabilities(logits: [1e6, 1e6]), [0.5, 0.5])
    expect(try TokenSampler(temperature: 1e-3).probabilities(logits: [1, 2]), [0, 1])
  }

  @Test(arguments: [0.0, 1]) func noLogitsAreAnError(temperature: Double) throws {
    let sampler = try TokenSampler(temperature: temperature)
    #expect(throws: CarouselError.self) { try sampler.probabilities(logits: []) }
    #expect(throws: CarouselError.self) { try sampler.token(logits: [], uniform: 0.5) }
  }

  @Test func refusesNonsense() {
    expectError(.usage, "temperature") { _ = try TokenSampler(temperature: -1) }
    expectError(.usage, "temperature") { _ = try TokenSampler(temperature: .nan) }
    expectError(.usage, "top-k") { _ = try TokenSampler(topK: 0) }
    expectError(.usage, "top-p") { _ = try TokenSampler(topP: 0) }
    expectError(.usage, "top-p") { _ = try TokenSampler(topP: 1.1) }
  }
}

@Suite struct TextGeneratorTests {
  private func generate(
    _ trainer: Trainer<ReferenceBackend>, prompt: String, seed: UInt64, length: Int = 40
  ) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try TextGenerator(trainer.network, vocabulary: trainer.vocabulary).generate(
      prompt: Array(prompt.utf8), length: length, sampler: TokenSampler(), seed: seed
    ) { bytes.append($0) }
    return bytes
  }

  @Test func theSeedDecidesTheText() throws {
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 1))
    let text = try generate(trainer, prompt: "the", seed: 3)
    #expect(text.count == 40)
    #expect(try generate(trainer, prompt: "the", seed: 3) == text)
    #expect(try generate(trainer, prompt: "the", seed: 4) != text)
    #expect(try generate(trainer, prompt: "the", seed: 3, length: 7) == Array(text.prefix(7)))
    #expect(try generate(trainer, prompt: "the", seed: 3, length: 0).isEmpty)
  }

  private func network(_ text: String) throws -> Trainer<ReferenceBackend> {
    var settings = TestRun.settings(maxSteps: 1)
    settings.validation = 0
    return try Trainer(TrainingText(text.utf8), settings: settings, backend: ReferenceBackend())
  }

  private func write(
    _ trainer: Trainer<ReferenceBackend>, length: Int, seed: UInt64, wholeCharacters: Bool
  ) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try TextGenerator(trainer.network, vocabulary: trainer.vocabulary).generate(
      prompt: [], length: length, sampler: TokenSampler(), seed: seed,
      wholeCharacters: wholeCharacters
    ) { bytes.append($0) }
    return bytes
  }

  /// The network has learnt nothing, so that it draws every byte at every place.
  @Test func wholeCharactersAreUTF8HoweverLittleTheNetworkKnows() throws {
    let mixed = try network(String(repeating: "a€δ😀 ", count: 10))
    let raw = try (1...20).map {
      try write(mixed, length: 30, seed: $0, wholeCharacters: false)
    }
    #expect(raw.contains { !UTF8Scanner.isUTF8($0) })
    for seed: UInt64 in 1...20 {
      let written = try write(mixed, length: 30, seed: seed, wholeCharacters: true)
      #expect(written.count == 30 && UTF8Scanner.isUTF8(written), "\(written)")
    }
    // Without a character of one byte the last of 7 stays away.
    let greek = try network(String(repeating: "αβγδ", count: 20))
    let written = try write(greek, length: 7, seed: 1, wholeCharacters: true)
    #expect(written.count == 6 && UTF8Scanner.isUTF8(written))
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func logitsThatAreNotFiniteAreAnError(value: Double) throws {
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 1))
    let bias = try trainer.network.parameters.value("output.bias")
    try trainer.network.backend.write([value], to: bias)
    expectError(.checkFailed, "finite logits", "after 0 written bytes", "0x20") {
      _ = try generate(trainer, prompt: "the", seed: 1)
    }
  }

  @Test func anEmptyPromptIsAllowedAndAnUnknownByteIsNot() throws {
    let trainer = try TestRun.trainer(TestRun.settings(maxSteps: 1))
    #expect(try generate(trainer, prompt: "", seed: 1).count == 40)
    expectError(.badData, "the prompt", "0x23 '#'", "offset 1") {
      _ = try generate(trainer, prompt: "t#", seed: 1)
    }
  }
}
