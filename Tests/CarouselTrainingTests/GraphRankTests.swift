import CarouselFormats
import CarouselModel
import CarouselReference
import Testing

@testable import CarouselTraining

/// Graphs that several ranks train together, on the reference: their number decides no bit, and shards are the whole
/// batch to rounding.
@Suite struct GraphRankTests {
  private let folder: TemporaryFolder
  private let metric = Metric.accuracy(of: "output", against: "label")

  init() throws { folder = try TemporaryFolder() }

  private func onRanks(_ count: Int, _ body: @escaping (LocalRanks) throws -> Void) throws {
    try LocalRanks.run(
      count, failure: { (($0 as? CarouselError)?.kind.rawValue ?? 70, "\($0)") }, body)
  }

  /// 23 examples in batches of 8: the last one of an epoch has 7, and its last piece one less than the others.
  private func settings(
    batchSize: Int = 8, shards: Int? = nil, accumulate: Int? = nil, maxSteps: Int = 8
  ) -> GraphTrainingSettings {
    var training = OwnExamples.settings(maxSteps: maxSteps)
    (training.batchSize, training.shards, training.accumulate) = (batchSize, shards, accumulate)
    (training.clipNorm, training.averageDecay) = (0.5, 0.9)
    return GraphTrainingSettings(training: training)
  }

  /// Trains by so many ranks in a folder of that name.
  @discardableResult private func train(
    _ graph: Graph, _ settings: GraphTrainingSettings, ranks count: Int, in name: String,
    data: [[String: GraphTensor]] = OwnExamples.make(23), metrics: [Metric] = [],
    resuming: Bool = false
  ) throws -> RunFolder {
    let run = RunFolder(folder.path + "/" + name)
    try onRanks(count) { ranks in
      let drawn = try GraphModel(graph, backend: ReferenceBackend(), seed: 1).tensors()
      let trainer = try GraphTrainer(
        GraphTrainingParts(graph, training: data, validation: Array(data.prefix(7))),
        parameters: Dictionary(uniqueKeysWithValues: drawn.map { ($0.name, $0.tensor) }),
        settings: settings, metrics: metrics,
        resuming: resuming ? GraphCheckpoint(contentsOf: run.last) : nil, ranks: ranks,
        backend: ReferenceBackend())
      try ranks.barrier()
      try trainer.run(in: run)
    }
    return run
  }

  private func expectClose(
    _ a: [String: [Double]], _ b: [String: [Double]], within bound: Double = 1e-9
  ) {
    #expect(a.keys == b.keys)
    for (name, values) in a {
      let found = b[name] ?? []
      #expect(zip(values, found).allSatisfy { abs($0 - $1) < bound }, "\(name)")
    }
  }

  @Test func anyNumberOfRanksGivesTheSameBits() throws {
    let graph = OwnExamples.graph(dropout: 0.3, normalizes: true)
    let one = try bits(
      train(graph, settings(shards: 4), ranks: 1, in: "1", metrics: [metric]))
    for name in ["last mean", "last average.output.bias", "last optimizer.1.output.weight"] {
      #expect(one[name]?.contains { $0 != 0 && $0 != 1 } == true, "\(name)")
    }
    #expect(one.contains { $0.key.hasPrefix("metrics") && $0.value[4] > 0 })
    for ranks in [2, 4] {
      let found = try bits(
        train(graph, settings(shards: 4), ranks: ranks, in: "\(ranks)", metrics: [metric]))
      #expect(found == one, "\(ranks) ranks")
    }
  }

  /// Some ranks have no example of the short batch.
  @Test func ranksMayHaveNothingToDo() throws {
    let data = OwnExamples.make(17)
    let graph = OwnExamples.graph(dropout: 0.3, normalizes: true)
    let one = try bits(train(graph, settings(shards: 8), ranks: 1, in: "1", data: data))
    let eight = try bits(train(graph, settings(shards: 8), ranks: 8, in: "8", data: data))
    #expect(one == eight)
  }

  @Test func shardsAndBatchesAreTheWholeToRounding() throws {
    let graph = OwnExamples.graph()
    let whole = try bits(train(graph, settings(), ranks: 1, in: "whole"))
    let shards = try bits(train(graph, settings(shards: 4), ranks: 4, in: "shards"))
    expectClose(whole, shards)
    let accumulated = settings(batchSize: 2, accumulate: 4)
    let batches = try bits(train(graph, accumulated, ranks: 1, in: "batches"))
    #expect(
      batches.filter { $0.key.hasPrefix("last") } == shards.filter { $0.key.hasPrefix("last") })
  }

  /// A piece weighs as much as its steps that count, not as its examples.
  @Test func aPieceOfLongerSequencesWeighsMore() throws {
    var graph = Graph()
    let x = graph.input("x", ["T", "N", 2])
    let length = graph.input("length", type: .int64, ["N"])
    let rnn = RecurrentConfiguration(cell: .rnn, inputSize: 2, hiddenSize: 3)
    let y = graph.recurrent(x, lengths: length, rnn, name: "recurrent")
    let logits = graph.linear(y, inputSize: 3, outputSize: 2, name: "output")
    _ = graph.train(
      .crossEntropy(smoothing: 0), graph.add(.transpose([1, 0, 2]), logits),
      graph.input("tags", type: .int64, ["N", "T"]))
    let data = OwnExamples.make(23).map { example in
      var example = example
      let steps = Int(example["length"]?.values[0] ?? 0)
      example["label"] = nil
      example["tags"] = GraphTensor(wholeNumbers: (0..<steps).map { $0 % 2 })
      return example
    }
    let whole = try bits(train(graph, settings(), ranks: 1, in: "whole", data: data))
    let shards = try bits(train(graph, settings(shards: 4), ranks: 2, in: "shards", data: data))
    expectClose(whole, shards)
    #expect(whole.values.contains { $0.contains { $0 != 0 } })
  }

  @Test func aRunIsResumedByAnyNumberOfRanks() throws {
    let graph = OwnExamples.graph(dropout: 0.3, normalizes: true)
    let whole = try bits(train(graph, settings(shards: 4), ranks: 1, in: "whole"))
    try train(graph, settings(shards: 4, maxSteps: 3), ranks: 2, in: "parts")
    try train(graph, settings(shards: 4, maxSteps: 6), ranks: 4, in: "parts", resuming: true)
    let parts = try bits(
      train(graph, settings(shards: 4), ranks: 1, in: "parts", resuming: true))
    for (name, values) in whole where name.hasPrefix("last ") {
      #expect(parts[name] == values, "\(name)")
    }
  }

  /// Also where groups of parameters have a learning rate of their own.
  @Test func eachRankMayKeepItsOwnShareOfTheMoments() throws {
    var settings = settings(shards: 4)
    settings.selection.rates = [.init(pattern: "*bias*", rate: 0.003)]
    let graph = OwnExamples.graph()
    let whole = try bits(train(graph, settings, ranks: 1, in: "whole"))
    settings.training.shardOptimizer = true
    for ranks in [2, 4] {
      #expect(try bits(train(graph, settings, ranks: ranks, in: "\(ranks)")) == whole)
    }
  }

  @Test func theBestModelIsTestedTogether() throws {
    let data = OwnExamples.make(23)
    func losses(_ count: Int) throws -> [Double?] {
      nonisolated(unsafe) var result: [Double?] = []
      try onRanks(count) { ranks in
        let trainer = try GraphTrainer(
          OwnExamples.graph(), training: data, validation: Array(data.prefix(7)),
          settings: settings(shards: 2, maxSteps: 6).training, ranks: ranks,
          backend: ReferenceBackend())
        try trainer.run()
        let best = ranks.rank == 0 ? try trainer.bestTensors() : [:]
        let found = try trainer.finalLosses(best: best)
        try ranks.barrier()
        if ranks.rank == 0 { result = [found?.training, found?.validation] }
      }
      return result
    }
    let one = try losses(1)
    #expect(try one == losses(2) && one.allSatisfy { $0 ?? 0 > 0.01 })
  }

  @Test func ranksWithAnotherGraphOrOtherDataAreNamed() throws {
    func run(_ count: Int, normalizes: Bool) throws {
      try onRanks(2) { ranks in
        let isFirst = ranks.rank == 0
        try GraphTrainer(
          OwnExamples.graph(normalizes: !isFirst && normalizes),
          training: OwnExamples.make(isFirst ? 23 : count),
          settings: settings(shards: 2).training, ranks: ranks, backend: ReferenceBackend()
        ).run()
      }
    }
    expectError(.usage, "rank 1 on this host has another data than rank 0") {
      try run(22, normalizes: false)
    }
    expectError(.usage, "rank 1 on this host has another graph than rank 0") {
      try run(23, normalizes: true)
    }
  }

  @Test func ranksStopTogetherWhereOneIsAskedTo() throws {
    let run = RunFolder(folder.path + "/run")
    try onRanks(2) { ranks in
      let trainer = try GraphTrainer(
        OwnExamples.graph(), training: OwnExamples.make(23),
        settings: settings(shards: 2).training, ranks: ranks, backend: ReferenceBackend())
      let result = try trainer.run(
        in: run, shouldStop: { ranks.rank == 1 && trainer.position.step == 2 })
      #expect(result.reason == .interrupted && result.position.step == 2)
    }
    #expect(try GraphCheckpoint(contentsOf: run.last).description.position.step == 2)
  }
}
