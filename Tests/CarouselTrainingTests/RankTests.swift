import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

/// Ranks that are threads, on the reference: what they exchange, and that their number decides no bit.
@Suite struct RankTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Runs `body` once for each rank.
  private func onRanks(_ count: Int, _ body: @escaping (LocalRanks) throws -> Void) throws {
    try LocalRanks.run(
      count, failure: { (($0 as? CarouselError)?.kind.rawValue ?? 70, "\($0)") }, body)
  }

  // MARK: The tree

  @Test(arguments: 1...17)
  func theSumOfPiecesIsTheSameHoweverTheyAreShared(pieces: Int) {
    func sum(_ ranks: Int) -> String? {
      let each = pieces / ranks
      let blocks = (0..<ranks).flatMap { rank in
        let range = rank * each..<(rank + 1) * each
        return SumTree.blocks(of: range).map { block in
          // What a rank makes of its own pieces.
          let leaves = block.map { (pieces: $0..<$0 + 1, value: "\($0)") }
          return (pieces: block, value: SumTree.combine(leaves) { "(\($0)+\($1))" } ?? "")
        }
      }
      return SumTree.combine(blocks) { "(\($0)+\($1))" }
    }
    for ranks in 1...pieces where pieces.isMultiple(of: ranks) { #expect(sum(ranks) == sum(1)) }
  }

  @Test func theTreeHalvesPowersOfTwo() {
    func text(_ count: Int) -> String? {
      SumTree.combine((0..<count).map { ($0..<$0 + 1, "\($0)") }) { "(\($0)+\($1))" }
    }
    #expect(text(0) == nil)
    #expect(text(1) == "0")
    #expect(text(4) == "((0+1)+(2+3))")
    #expect(text(7) == "(((0+1)+(2+3))+((4+5)+6))")
  }

  // MARK: Exchanges

  @Test(arguments: [1, 2, 3, 7])
  func everyRankReceivesWhatEachSends(count: Int) throws {
    try onRanks(count) { ranks in
      for round in 0..<50 {
        // To rank j go j + 1 bytes that name sender, receiver and round.
        let send = (0..<count).flatMap { to in
          [UInt8](repeating: UInt8(ranks.rank * 16 + to) ^ UInt8(round), count: to + 1)
        }
        let received = TransferMemory(byteCount: count * (ranks.rank + 1))
        try ranks.allToAll(
          TransferMemory(send).all, counts: (1...count).map { $0 }, into: received.all,
          counts: [Int](repeating: ranks.rank + 1, count: count))
        let expected = (0..<count).flatMap { from in
          [UInt8](repeating: UInt8(from * 16 + ranks.rank) ^ UInt8(round), count: ranks.rank + 1)
        }
        #expect(Array(received.bytes) == expected)
        let texts = try ranks.gather([UInt8](repeating: 9, count: ranks.rank))
        #expect(texts.map(\.count) == Array(0..<count))
        #expect(try ranks.fromFirst(ranks.rank + 5) == 5)
        #expect(try ranks.onAny(ranks.rank == count - 1))
        #expect(try !ranks.onAny(false))
      }
    }
  }

  @Test func aRankThatFailsEndsThoseThatWaitForIt() throws {
    let error = #expect(throws: RankFailure.self) {
      try onRanks(3) { ranks in
        if ranks.rank == 2 { throw CarouselError(.noDevice, "no device is left") }
        try ranks.barrier()
      }
    }
    #expect(error?.rank == 2 && error?.status == 69)
    #expect("\(try #require(error))" == "rank 2 on this host: no device is left")
  }

  @Test func whatEveryRankThrowsIsThrownAsItIs() {
    expectError(.missingInput, "no such file") {
      try onRanks(3) { _ in throw CarouselError(.missingInput, "no such file") }
    }
  }

  // MARK: Training

  /// Two layers with everything that is drawn at random, clipping, and evaluations on the way.
  private func settings(
    batchSize: Int = 4, shards: Int?, accumulate: Int? = nil, maxSteps: Int = 5
  ) -> TrainingSettings {
    var settings = TestRun.settings(maxSteps: maxSteps)
    settings.recurrent = RecurrentConfiguration(
      inputSize: 2, hiddenSize: 3, layers: 2,
      options: CellOptions(
        recurrentDropout: 0.2, zoneoutHidden: 0.1, zoneoutCell: 0.1, dropConnect: 0.1),
      dropout: 0.2)
    (settings.batchSize, settings.shards, settings.accumulate) = (batchSize, shards, accumulate)
    (settings.evaluateEvery, settings.logEvery, settings.averageDecay) = (3, 2, 0.9)
    settings.validation = 0.2
    settings.clipNorm = 0.05
    return settings
  }

  /// Trains by so many ranks in a folder of that name.
  @discardableResult private func train(
    _ data: TrainingSources.Source, _ settings: TrainingSettings, ranks count: Int, in name: String,
    resuming: Bool = false
  ) throws -> RunFolder {
    let run = RunFolder(folder.path + "/" + name)
    let temporary = folder
    try onRanks(count) { ranks in
      let sources = TrainingSources(temporary, prefix: "\(name)-\(ranks.rank)-")
      let trainer = try sources.trainer(
        data, settings, ranks: ranks, resuming: resuming ? run : nil)
      try ranks.barrier()
      _ = try trainer.run(in: run)
    }
    return run
  }

  @Test(arguments: TrainingSources.Source.allCases)
  func anyNumberOfRanksGivesTheSameBits(data: TrainingSources.Source) throws {
    let one = try bits(train(data, settings(shards: 4), ranks: 1, in: "1"))
    #expect(one.keys.contains { $0.hasPrefix("last optimizer.1.") })
    #expect(one.values.contains { $0.contains { $0 != 0 && $0 != 1 } })
    for ranks in [2, 4] {
      let found = try bits(train(data, settings(shards: 4), ranks: ranks, in: "\(ranks)"))
      #expect(found == one, "\(ranks) ranks")
    }
  }

  /// Ten pieces, which five ranks share and ten too; some have none of the short batch at the end of an epoch.
  @Test(arguments: [TrainingSources.Source.classify, .tag, .text])
  func ranksMayHaveAnyPiecesOfAnyNumber(data: TrainingSources.Source) throws {
    let settings = settings(batchSize: 10, shards: 10, maxSteps: 9)
    let one = try bits(train(data, settings, ranks: 1, in: "1"))
    for ranks in [2, 5, 10] {
      #expect(
        try bits(train(data, settings, ranks: ranks, in: "\(ranks)")) == one, "\(ranks) ranks")
    }
  }

  @Test(arguments: TrainingSources.Source.allCases)
  func shardsAreTheWholeBatchToRounding(data: TrainingSources.Source) throws {
    let whole = try bits(train(data, settings(shards: nil), ranks: 1, in: "whole"))
    let shards = try bits(train(data, settings(shards: 2), ranks: 2, in: "shards"))
    let accumulated = try bits(
      train(data, settings(batchSize: 2, shards: nil, accumulate: 2), ranks: 1, in: "accumulated"))
    for (name, values) in whole where !name.hasPrefix("last state.") {
      // An evaluation on synthetic sequences goes by the size of a batch.
      for found in [shards[name], name.hasPrefix("last ") ? accumulated[name] : values] {
        let found = try #require(found, "\(name)")
        #expect(zip(values, found).allSatisfy { abs($0 - $1) < 1e-7 }, "\(name)")
      }
    }
  }

  @Test func accumulatedBatchesAreShardsOfALargerOne() throws {
    let shards = try bits(train(.text, settings(batchSize: 4, shards: 4), ranks: 2, in: "shards"))
    let both = try bits(
      train(.text, settings(batchSize: 2, shards: 2, accumulate: 2), ranks: 2, in: "both"))
    #expect(shards == both)
  }

  @Test(arguments: [TrainingSources.Source.text, .classify])
  func aRunIsResumedByAnyNumberOfRanks(data: TrainingSources.Source) throws {
    let whole = try bits(train(data, settings(shards: 4, maxSteps: 8), ranks: 1, in: "whole"))
    try train(data, settings(shards: 4, maxSteps: 2), ranks: 2, in: "parts")
    try train(data, settings(shards: 4, maxSteps: 5), ranks: 4, in: "parts", resuming: true)
    let parts = try bits(
      train(data, settings(shards: 4, maxSteps: 8), ranks: 1, in: "parts", resuming: true))
    for (name, values) in whole where name.hasPrefix("last ") {
      #expect(parts[name] == values, "\(name)")
    }
  }

  /// Each of two ranks sends half of every gradient and half of every sum, and a few numbers; evaluations, the
  /// handshake and checkpoints are no part of an update.
  @Test func whatIsExchangedIsCountedInUpdatesAlone() throws {
    let (settings, folder) = (settings(shards: 2, maxSteps: 6), folder)
    try onRanks(2) { ranks in
      let sources = TrainingSources(folder, prefix: "\(ranks.rank)-")
      let trainer = try sources.trainer(.classify, settings, ranks: ranks, resuming: nil)
      try ranks.barrier()
      let result = try trainer.run(in: RunFolder(folder.path + "/run"))
      let found = try #require(trainer.communication)
      let gradients = 6 * 8 * trainer.network.parameters.count
      #expect(gradients..<gradients + 6 * 100 ~= found.bytesSent)
      #expect(found.seconds > 0 && found.hiddenSeconds <= found.seconds)
      #expect(found.seconds <= result.position.seconds)
    }
  }

  @Test func eachRankMayKeepItsOwnShareOfTheMoments() throws {
    var settings = settings(shards: 4, maxSteps: 3)
    let whole = try bits(train(.classify, settings, ranks: 1, in: "whole"))
    settings.shardOptimizer = true
    for ranks in [1, 2, 4] {
      #expect(try bits(train(.classify, settings, ranks: ranks, in: "\(ranks)")) == whole)
    }
    // Resumed by others, and without.
    settings.bounds.maxSteps = 6
    let sharded = try bits(train(.classify, settings, ranks: 4, in: "2", resuming: true))
    settings.shardOptimizer = nil
    #expect(try bits(train(.classify, settings, ranks: 1, in: "4", resuming: true)) == sharded)
  }

  @Test(arguments: [1, 2, 7, 64], [1, 4, 32])
  func segmentsCoverARangeAndBeginWhereSlicesMay(count: Int, alignment: Int) {
    for range in [0..<0, 0..<1, 64..<1000, 32..<64] {
      let segments = range.segments(count, alignment: alignment)
      #expect(segments.count == count)
      #expect(segments.first?.lowerBound == range.lowerBound)
      #expect(segments.last?.upperBound == range.upperBound)
      for (a, b) in zip(segments, segments.dropFirst()) { #expect(a.upperBound == b.lowerBound) }
      for segment in segments where !segment.isEmpty {
        #expect((segment.lowerBound - range.lowerBound).isMultiple(of: alignment))
      }
    }
  }

  @Test func bucketsCoverTheGradientFromItsEnd() throws {
    let network = try Network(
      NetworkConfiguration(
        vocabularySize: 300,
        recurrent: RecurrentConfiguration(inputSize: 256, hiddenSize: 128, layers: 3)),
      backend: ReferenceBackend(sliceAlignment: 32), seed: nil)
    let buckets = GradientBuckets.ranges(network.parameters)
    #expect(buckets.count > 3)
    #expect(buckets.first?.upperBound == network.parameters.count && buckets.last?.lowerBound == 0)
    for (a, b) in zip(buckets, buckets.dropFirst()) { #expect(a.lowerBound == b.upperBound) }
    #expect(buckets.allSatisfy { $0.lowerBound.isMultiple(of: 32) && !$0.isEmpty })
  }

  // MARK: What does not fit

  @Test func ranksThatDoNotDivideTheShardsAreRefused() {
    expectError(.usage, "3 ranks cannot share 4 shards evenly") {
      try train(.adding, settings(shards: 4), ranks: 3, in: "run")
    }
    expectError(.usage, "2 ranks cannot share 1 shard evenly") {
      try train(.adding, settings(shards: nil), ranks: 2, in: "run")
    }
  }

  @Test(arguments: [3, 5, 8, 0, -1, Int.min])
  func shardsThatDoNotDivideTheBatchAreRefused(shards: Int) {
    expectError(.usage, "shards must be one that divides the batch size 4, but is \(shards)") {
      try settings(shards: shards).validate()
    }
  }

  @Test func ranksWithOtherSettingsOrWeightsAreNamed() throws {
    let temporary = folder
    func run(_ change: @escaping (LocalRanks, inout TrainingSettings) -> Void) throws {
      try onRanks(2) { ranks in
        var settings = settings(shards: 2)
        change(ranks, &settings)
        _ = try TrainingSources(temporary).trainer(.adding, settings, ranks: ranks).run()
      }
    }
    expectError(.usage, "rank 1 on this host has another settings than rank 0", "clipNorm") {
      try run { if $0.rank == 1 { $1.clipNorm = 2 } }
    }
    expectError(.usage, "rank 1", "another task") {
      try onRanks(2) { ranks in
        _ = try TrainingSources(temporary).trainer(
          ranks.rank == 0 ? .adding : .copy, settings(shards: 2), ranks: ranks
        ).run()
      }
    }
  }

  @Test func ranksStopTogetherWhereOneIsAskedTo() throws {
    let run = RunFolder(folder.path + "/run")
    let temporary = folder
    try onRanks(2) { ranks in
      let trainer = try TrainingSources(temporary).trainer(
        .adding, settings(shards: 2), ranks: ranks)
      let result = try trainer.run(
        in: run, shouldStop: { ranks.rank == 1 && trainer.position.step == 2 }, report: { _ in })
      #expect(result.reason == .interrupted && result.position.step == 2)
    }
    #expect(try Checkpoint(contentsOf: run.last).description.position.step == 2)
  }

  // MARK: Launchers

  @Test func aLauncherIsKnownByItsVariables() throws {
    #expect(LaunchedRanks([:]) == nil)
    #expect(LaunchedRanks(["OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"]) == nil)
    let open = try #require(
      LaunchedRanks([
        "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
      ]))
    #expect(open.launcher == .openMPI && open.count == 4 && open.rank == 3 && open.localRank == 1)
    let mpich = try #require(
      LaunchedRanks(["PMI_SIZE": "2", "PMI_RANK": "1", "MPI_LOCALRANKID": "1"]))
    #expect(mpich.launcher == .mpich && mpich.rank == 1 && mpich.localRank == 1)
    // A batch script of Slurm is one process; a step of `srun` is several.
    #expect(LaunchedRanks(["SLURM_NTASKS": "8", "SLURM_PROCID": "0"]) == nil)
    let slurm = try #require(
      LaunchedRanks(["SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1"]))
    #expect(slurm.launcher == .slurm && slurm.rank == 5 && slurm.localRank == 1)
    let words = slurm.withoutMPI.message
    #expect(words.contains("one of 8 processes") && words.contains("--traits MPI"))
  }
}
