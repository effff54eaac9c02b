import ArgumentParser
import Carousel
import Foundation

/// `carousel train` by several ranks: processes that a launcher of MPI started, or a thread for each device of
/// `--device LIST`.
enum Ranks {
  /// Whether this thread is a rank that says nothing: any but the first.
  @TaskLocal static var isSilent = LaunchedRanks().map { $0.rank > 0 } ?? false

  /// Does the work of a command once for each rank of this process.
  ///
  /// With MPI it does not return where a rank fails: all end with one sentence and one status.
  static func run(_ device: DeviceOptions, _ body: @escaping (any Communicator) throws -> Void)
    throws
  {
    if let launched = LaunchedRanks() {
      #if MPI
      try connect(launched, body)
      #else
      throw launched.withoutMPI
      #endif
    } else if device.list.count > 1 {
      try LocalRanks.run(device.list.count, failure: ending) { ranks in
        try $isSilent.withValue(!ranks.isFirst) { try body(ranks) }
      }
    } else {
      try body(Alone())
    }
  }

  /// The exit status and the sentence of an error.
  @Sendable private static func ending(_ error: any Error) -> (status: Int32, sentence: String) {
    let failure = Failure(error)
    return (failure.status, failure.sentence ?? "")
  }

  /// Throws where a command was started as several processes, which it cannot share its work among.
  static func refuse(_ command: any ParsableCommand, words: [String]) throws {
    guard command is any SingleProcessCommand else { return }
    try refuse("carousel " + words.prefix(1).joined())
  }

  /// Throws where what is named in words was started as several processes.
  static func refuse(_ command: String) throws {
    guard let launched = LaunchedRanks() else { return }
    throw CarouselError(
      .usage,
      "'\(command)' is work for one process, but this is one of \(launched.count) (\(launched.variable)); "
        + "expected it without the launcher")
  }

  #if MPI
  private static func connect(
    _ launched: LaunchedRanks, _ body: @escaping (any Communicator) throws -> Void
  ) throws {
    let ranks = try MPIRanks(launched)
    do {
      try body(ranks)
    } catch let code as ExitCode {
      // Every rank has come here.
      ranks.finish()
      throw code
    } catch {
      let (status, sentence) = ending(error)
      ranks.end(after: error, status: status, sentence: sentence) {
        sentence in
        Progress.end()
        // Where the first rank is gone another speaks.
        $isSilent.withValue(false) { _ = Output.note("carousel: \(sentence)") }
      }
    }
    ranks.finish()
  }
  #endif
}

/// A command that computes or writes by itself: several processes of it would do the same side by side.
protocol SingleProcessCommand {}

extension Generate: SingleProcessCommand {}
extension Compare: SingleProcessCommand {}
extension Profile: SingleProcessCommand {}
extension Run: SingleProcessCommand {}
extension Convert: SingleProcessCommand {}
extension Gradients: SingleProcessCommand {}
extension ExperimentCommand: SingleProcessCommand {}

extension DeviceOptions {
  /// The devices that were named, one behind the other between commas.
  var list: [String] {
    specification.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// The options of a rank: of a list of devices its own, by its place among the ranks of its host.
  func of(_ ranks: any Communicator) throws -> DeviceOptions {
    let list = list
    guard list.count > 1 else { return self }
    guard ranks.localRank < list.count else {
      throw CarouselError(
        .noDevice,
        "--device names \(list.count) devices, but rank \(ranks.rank) is number \(ranks.localRank + 1) of its "
          + "host; expected a device for each, or one for all")
    }
    var result = self
    result.device = list[ranks.localRank]
    return result
  }
}

extension Communicator {
  /// Throws where several ranks would read a file that is standard input.
  func refuseStandardInput(_ file: String?) throws {
    guard count > 1, file == TrainingText.pipe else { return }
    throw CarouselError(
      .usage, "\(count) ranks cannot all read standard input; expected a file")
  }
}

extension TrainRunOptions {
  /// The folder of a new run, which the first rank makes and owns; see `newFolder(_:)`.
  func newFolder(_ name: String, _ ranks: any Communicator) throws -> RunFolder {
    ranks.isFirst ? try newFolder(name) : RunFolder(output ?? "runs")
  }

  /// The folder of a run that is resumed, which the first rank owns.
  func resumedFolder(_ path: String, _ ranks: any Communicator) throws -> RunFolder {
    ranks.isFirst ? try RunFolder(path).owned(creating: false) : RunFolder(path)
  }
}

extension TrainSession {
  /// Trains as another rank than the first, which neither shows nor writes anything.
  func follow<B: Backend>(_ trainer: Trainer<B>, _ examples: TrainingExamples?) throws {
    if trainer.ranks.hasOwnProcess { Interruption.listen(.run(updates: trainer.position.step)) }
    func stops() -> Bool { trainer.ranks.hasOwnProcess && Interruption.isRequested }
    let result = try trainer.run(
      in: RunFolder("."), shouldStop: stops,
      report: { if case .stepped(let progress) = $0 { Interruption.note(updates: progress.step) } })
    if result.reason != .interrupted {
      _ = try examples.map { try trainer.finalMetrics($0, in: nil, shouldStop: stops) }
      _ = try trainer.textMetrics(in: nil, shouldStop: stops)
    }
    try trainer.ranks.barrier()
    if result.reason == .interrupted { throw ExitCode(130) }
  }
}
