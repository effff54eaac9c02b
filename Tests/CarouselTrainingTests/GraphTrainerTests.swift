import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// Ragged sequences of two classes, and graphs that tell them.
enum OwnExamples {
  /// Sequences of 2 to 5 steps around +1 or −1.
  static func make(_ count: Int, seed: UInt64 = 1) -> [[String: GraphTensor]] {
    (0..<count).map { index in
      let random = Philox(seed: seed, stream: UInt64(index))
      let (kind, length) = (index % 2, 2 + index % 4)
      let x = (0..<length * 2).map { (kind == 0 ? 1 : -1) + random.normal($0) }
      return [
        "x": GraphTensor(Tensor([length, 2], x)),
        "length": GraphTensor(scalar: Double(length), type: .int64),
        "label": GraphTensor(scalar: Double(kind), type: .int64),
      ]
    }
  }

  /// A GRU with dropout and, where wanted, batch normalisation before it.
  static func graph(dropout: Double = 0, normalizes: Bool = false) -> Graph {
    var graph = Graph()
    var x = graph.input("x", ["T", "N", 2])
    let length = graph.input("length", type: .int64, ["N"])
    if normalizes {
      let (mean, variance) = (
        graph.parameter("mean", [2], .constant(0), isTrained: false),
        graph.parameter("variance", [2], .constant(1), isTrained: false)
      )
      x = graph.add(
        .batchNormalization(axis: 2, epsilon: 1e-5, momentum: 0.1, isFrozen: false), x, nil, nil,
        mean, variance, length)
    }
    let gru = RecurrentConfiguration(
      cell: .gru, inputSize: 2, hiddenSize: 4, layers: 2, dropout: dropout)
    let y = graph.recurrent(x, lengths: length, gru, name: "recurrent")
    let last = graph.add(.timePool(.last), y, length)
    let logits = graph.linear(last, inputSize: 4, outputSize: 2, name: "output")
    let label = graph.input("label", type: .int64, ["N"])
    _ = graph.train(.crossEntropy(smoothing: 0), logits, label)
    return graph
  }

  static func settings(maxSteps: Int) -> TrainingSettings {
    var settings = TrainingSettings(bounds: TrainingBounds(maxSteps: maxSteps))
    (settings.batchSize, settings.evaluateEvery, settings.logEvery) = (4, 5, 3)
    settings.schedule = LearningRateSchedule(.constant, peak: 0.02)
    return settings
  }
}

/// Graphs trained on examples of one's own, on the reference.
@Suite struct GraphTrainerTests {
  typealias Trainer = GraphTrainer<ReferenceBackend>

  private let metric = Metric.accuracy(of: "output", against: "label")

  private func trainer(
    _ graph: Graph, _ settings: TrainingSettings, count: Int = 22,
    resuming checkpoint: GraphCheckpoint? = nil
  ) throws -> Trainer {
    try Trainer(
      graph, training: OwnExamples.make(count), validation: OwnExamples.make(7, seed: 2),
      settings: settings, metrics: [metric], resuming: checkpoint, backend: ReferenceBackend())
  }

  private func tensors(_ path: String) throws -> [String: Tensor] {
    try SafetensorsFile(contentsOf: path).tensorsByName
  }

  @Test(arguments: [1, 5, 6, 11])
  func aResumedRunHasTheSameBits(interruption: Int) throws {
    let graph = OwnExamples.graph(dropout: 0.3, normalizes: true)
    var settings = OwnExamples.settings(maxSteps: 14)
    (settings.accumulate, settings.averageDecay) = (2, 0.9)
    let (whole, cut) = (try TemporaryFolder(), try TemporaryFolder())
    try trainer(graph, settings).run(in: whole.run)

    let first = try trainer(graph, settings)
    let stopped = try first.run(
      in: cut.run, shouldStop: { first.position.step >= interruption })
    #expect(stopped.reason == .interrupted)
    let second = try trainer(
      graph, settings, resuming: GraphCheckpoint(contentsOf: cut.run.last))
    #expect(second.position.step == interruption)
    #expect(try second.run(in: cut.run).reason == .steps)

    let all = try tensors(whole.run.last)
    for name in ["mean", "variance", "average.output.bias", "optimizer.1.output.weight"] {
      #expect(all[name] != nil, "\(name)")
    }
    #expect(try all == tensors(cut.run.last))
    #expect(try tensors(whole.run.best) == tensors(cut.run.best))
    let lines = try [whole, cut].map {
      try metrics($0.run).map { [$0.trainingLoss, $0.validationLoss] }
    }
    #expect(lines[0] == lines[1])
    #expect(try metrics(whole.run).last?.metrics?["accuracy"] != nil)
  }

  @Test func aDamagedLineOfMetricsIsToldAndCutOut() throws {
    let folder = try TemporaryFolder()
    let settings = OwnExamples.settings(maxSteps: 9)
    let first = try trainer(OwnExamples.graph(), settings)
    try first.run(in: folder.run, shouldStop: { first.position.step >= 6 })
    let lines = try String(contentsOfFile: folder.run.metrics, encoding: .utf8)
    try ("no JSON\n" + lines).write(toFile: folder.run.metrics, atomically: true, encoding: .utf8)
    var warnings: [String] = []
    try trainer(
      OwnExamples.graph(), settings, resuming: GraphCheckpoint(contentsOf: folder.run.last)
    ).run(
      in: folder.run,
      report: { event in
        if case .warned(let text) = event { warnings.append(text) }
      })
    #expect(warnings.count == 1 && warnings[0].contains("line 1, which is cut out"))
    #expect(try metrics(folder.run).last?.step == 9)
  }

  @Test func patienceEndsTheRunAndTheBestModelComesBack() throws {
    var settings = OwnExamples.settings(maxSteps: 400)
    settings.patience = 3
    // What is held out has the classes the other way round: it gets worse from the first update on.
    let heldOut = OwnExamples.make(7, seed: 2).map { example in
      var example = example
      example["label"] = example["label"].map {
        GraphTensor(scalar: 1 - $0.values[0], type: .int64)
      }
      return example
    }
    let folder = try TemporaryFolder()
    for run in [nil, folder.run] {
      let trainer = try Trainer(
        OwnExamples.graph(), training: OwnExamples.make(22), validation: heldOut,
        settings: settings, backend: ReferenceBackend())
      let result = try trainer.run(in: run)
      #expect(result.reason == .patience)
      let best = try #require(result.position.best)
      #expect(best.step < result.position.step)
      #expect(try trainer.measure(heldOut)?.loss != best.loss)
      try trainer.loadBest()
      let found = try #require(try trainer.measure(heldOut))
      #expect(abs(found.loss - best.loss) < 1e-6 * best.loss)
    }
  }

  @Test func whatFillsUpDoesNotCount() throws {
    let data = OwnExamples.make(9)
    func loss(_ batchSize: Int) throws -> GraphEvaluation {
      var settings = OwnExamples.settings(maxSteps: 1)
      settings.batchSize = batchSize
      return try #require(try trainer(OwnExamples.graph(), settings).measure(data))
    }
    let (single, together) = (try loss(1), try loss(9))
    #expect(abs(single.loss - together.loss) < 1e-12 && single.loss > 0.1)
    #expect(single.metrics == together.metrics && single.metrics["accuracy"] != nil)
  }

  @Test func gradientsOfSeveralBatchesAreThoseOfOne() throws {
    func parameters(_ batchSize: Int, _ accumulate: Int?) throws -> [(String, Tensor)] {
      var settings = OwnExamples.settings(maxSteps: 4)
      (settings.batchSize, settings.accumulate) = (batchSize, accumulate)
      let trainer = try trainer(OwnExamples.graph(), settings, count: 24)
      try trainer.run()
      return try trainer.model.tensors()
    }
    for (one, several) in zip(try parameters(6, nil), try parameters(2, 3)) {
      #expect(one.0 == several.0)
      for (a, b) in zip(one.1.values, several.1.values) { #expect(abs(a - b) < 1e-12) }
    }
  }

  @Test func theAverageIsWhatIsEvaluated() throws {
    var settings = OwnExamples.settings(maxSteps: 5)
    settings.averageDecay = 0.99
    let trainer = try trainer(OwnExamples.graph(), settings)
    let result = try trainer.run()
    let last = try #require(result.position.evaluation)
    #expect(last.step == 5)
    #expect(try trainer.measure(OwnExamples.make(7, seed: 2))?.loss != last.loss)
    try trainer.loadBest()
    #expect(try trainer.measure(OwnExamples.make(7, seed: 2))?.loss == result.position.best?.loss)
  }

  @Test func classesAreFilledUpWithMinusOneAndTheRestWithZero() throws {
    var graph = Graph()
    let x = graph.input("x", ["T", "N", 2])
    let length = graph.input("length", type: .int64, ["N"])
    let rnn = RecurrentConfiguration(cell: .rnn, inputSize: 2, hiddenSize: 2)
    let y = graph.recurrent(x, lengths: length, rnn, name: "recurrent")
    _ = graph.train(
      .crossEntropy(smoothing: 0), y, graph.input("tags", type: .int64, ["N", "T"]))
    let data: [[String: GraphTensor]] = [(1, 1.0), (3, 5.0)].map { steps, first in
      [
        "x": GraphTensor(Tensor([steps, 2], (0..<2 * steps).map { first + Double($0) })),
        "length": GraphTensor(scalar: Double(steps), type: .int64),
        "tags": GraphTensor(wholeNumbers: [Int](repeating: 1, count: steps)),
      ]
    }
    let batch = try ExampleBatcher(graph, shared: [:]).batch(data, [0, 1])
    #expect(batch["x"]?.shape == [3, 2, 2])
    #expect(batch["x"]?.values == [1, 2, 5, 6, 0, 0, 7, 8, 0, 0, 9, 10])
    #expect(batch["tags"]?.shape == [2, 3])
    #expect(batch["tags"]?.values == [1, -1, -1, 1, 1, 1])
    #expect(batch["length"]?.values == [1, 3])
    #expect(
      [1, 8, 9, 17, 33, 64, 100].map(ExampleBatcher.roundedUp) == [1, 8, 10, 20, 40, 64, 112])
  }

  @Test func whatDoesNotFitIsOneSentence() throws {
    let good = OwnExamples.make(4)
    func expect(_ parts: String..., change: (inout [String: GraphTensor]) -> Void) {
      var data = good
      change(&data[2])
      do {
        var settings = OwnExamples.settings(maxSteps: 2)
        settings.batchSize = 4
        try Trainer(
          OwnExamples.graph(), training: data, settings: settings, backend: ReferenceBackend()
        ).run()
        Issue.record("expected an error with \(parts)")
      } catch let error as CarouselError {
        #expect(error.kind == .badData)
        for part in parts + ["example 2"] { #expect(error.message.contains(part), "\(error)") }
      } catch {
        Issue.record(error)
      }
    }
    expect("expected a tensor 'label'", "'length', 'x'") { $0["label"] = nil }
    expect("no input 'y'") { $0["y"] = $0["x"] }
    expect("'x' has the shape [4, 3], expected [T, 2]") {
      $0["x"] = GraphTensor(Tensor(zeros: [4, 3]))
    }
    expect("'x' has the shape [8], expected [T, 2]") { $0["x"] = GraphTensor(Tensor(zeros: [8])) }
    expect("found NaN at element 1") { $0["x"] = GraphTensor(Tensor([1, 2], [0, .nan])) }
  }

  @Test func examplesOfSeveralLengthsNeedThemAsAnInput() throws {
    var graph = Graph()
    let rnn = RecurrentConfiguration(cell: .rnn, inputSize: 2, hiddenSize: 2)
    let y = graph.recurrent(graph.input("x", ["T", "N", 2]), rnn, name: "recurrent")
    let last = graph.add(.timePool(.last), y)
    _ = graph.train(.crossEntropy(smoothing: 0), last, graph.input("label", type: .int64, ["N"]))
    let data = OwnExamples.make(4).map { $0.filter { $0.key != "length" } }
    expectError(.badData, "of T", "lengths") {
      _ = try Trainer(
        graph, training: data, settings: OwnExamples.settings(maxSteps: 2),
        backend: ReferenceBackend())
    }
  }

  @Test func anErrorOfTheDataEndsTheRunBehindAGoodCheckpoint() throws {
    struct Broken: Error {}
    struct Data: TrainingData {
      let examples = OwnExamples.make(64)
      let breaks: @Sendable () -> Bool
      var count: Int { examples.count }
      func example(_ index: Int) throws -> [String: GraphTensor] {
        if breaks() { throw Broken() }
        return examples[index]
      }
    }
    final class Calls: @unchecked Sendable {  // used by one thread
      var count = 0
    }
    let calls = Calls()
    let folder = try TemporaryFolder()
    let data = Data {
      calls.count += 1
      return calls.count > 64 + 4 + 7 * 4
    }
    let trainer = try Trainer(
      OwnExamples.graph(), training: data, settings: OwnExamples.settings(maxSteps: 20),
      backend: ReferenceBackend())
    #expect(throws: Broken.self) { try trainer.run(in: folder.run) }
    let saved = try GraphCheckpoint(contentsOf: folder.run.last)
    let again = try Trainer(
      OwnExamples.graph(), training: data.examples,
      settings: OwnExamples.settings(maxSteps: 20), resuming: saved, backend: ReferenceBackend())
    #expect(again.position.step == 5)
  }

  @Test func otherDataAndOtherWeightsAreRefused() throws {
    let folder = try TemporaryFolder()
    let settings = OwnExamples.settings(maxSteps: 3)
    try trainer(OwnExamples.graph(), settings).run(in: folder.run)
    let saved = try GraphCheckpoint(contentsOf: folder.run.last)
    expectError(.badData, "the examples: expected the data") {
      _ = try trainer(OwnExamples.graph(), settings, count: 21, resuming: saved)
    }
    expectError(.usage, "no parameter 'output.wieght'", "'output.weight'") {
      _ = try Trainer(
        OwnExamples.graph(), training: OwnExamples.make(4), settings: settings,
        parameters: ["output.wieght": Tensor(zeros: [2, 4])], backend: ReferenceBackend())
    }
    expectError(.badData, "expected an example at least") {
      _ = try Trainer(
        OwnExamples.graph(), training: [], settings: settings, backend: ReferenceBackend())
    }
    expectError(.usage, "a run with an evaluation") {
      try trainer(OwnExamples.graph(), settings).loadBest()
    }
  }

  @Test func aShareIsDrawnBySeedAndSharesNothing() throws {
    let data = OwnExamples.make(20)
    let (training, heldOut) = try data.split(heldOut: 0.25, seed: 3)
    #expect(heldOut.count == 5 && training.count == 15)
    #expect(Set(training.indices).union(heldOut.indices) == Set(0..<20))
    #expect(try data.split(heldOut: 0.25, seed: 3).heldOut.indices == heldOut.indices)
    #expect(try data.split(heldOut: 0.25, seed: 4).heldOut.indices != heldOut.indices)
    #expect(try heldOut.example(1) == data[heldOut.indices[1]])
    expectError(.usage, "between 0 and 1") { _ = try data.split(heldOut: 0) }
    expectError(.badData, "found 1") { _ = try OwnExamples.make(1).split(heldOut: 0.5) }
  }
}

/// What label sequences are read from logits, and how far they are from others.
@Suite struct LabelSequenceTests {
  @Test func repetitionsCountOnceAndBlanksDivideThem() throws {
    // Steps of the first sequence: 1 1 0 1 2; of the second: 0 2 2 1, then one that is not read.
    let steps = [[1, 0], [1, 2], [0, 2], [1, 1], [2, 2]]
    let values = steps.joined().flatMap { label in (0..<3).map { $0 == label ? 1.0 : 0 } }
    let logits = GraphTensor(Tensor([5, 2, 3], values))
    #expect(try LabelSequences.bestPath(logits, lengths: [5, 4]) == [[1, 1, 2], [2, 1]])
    #expect(try LabelSequences.bestPath(logits, lengths: [0, 1]) == [[], []])
    #expect(try LabelSequences.bestPath(logits, blank: 2) == [[1, 0, 1], [0, 1]])
    expectError(.badData, "0 to 5 steps") {
      _ = try LabelSequences.bestPath(logits, lengths: [6, 1])
    }
    expectError(.badData, "[T, N, V]") {
      _ = try LabelSequences.bestPath(GraphTensor(Tensor(zeros: [5, 2])))
    }
  }

  @Test(arguments: [
    ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("ab", "ba", 2),
    ("abcdef", "bcdefg", 2), ("", "", 0),
  ])
  func editDistanceIsLevenshteins(a: String, b: String, distance: Int) {
    #expect(LabelSequences.editDistance(Array(a), Array(b)) == distance)
    #expect(LabelSequences.editDistance(Array(b), Array(a)) == distance)
  }

  @Test func theErrorRateIsADistanceForEachLabel() throws {
    let metric = Metric.labelErrorRate(
      of: "y", against: "labels", lengths: "lengths", labelLengths: "counts")
    let values = [[1, 0], [2, 1]].joined().flatMap { label in (0..<3).map { $0 == label ? 1.0 : 0 }
    }
    let part = try metric.measure([
      "y": GraphTensor(Tensor([2, 2, 3], values)),
      "labels": GraphTensor(Tensor([2, 3], [1, 2, 9, 1, 2, 1]), type: .int64),
      "lengths": GraphTensor(wholeNumbers: [2, 2]), "counts": GraphTensor(wholeNumbers: [2, 3]),
    ])
    // Read 1 2 and 1; true are 1 2 and 1 2 1.
    #expect(part.sum == 2 && part.count == 5)
  }
}
