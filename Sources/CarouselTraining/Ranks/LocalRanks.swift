import CarouselModel
import Foundation
import Synchronization

/// Ranks that are threads of this process, one for each of several devices of one machine.
public final class LocalRanks: Communicator {
  /// This rank, from 0 on, and R.
  public let rank: Int
  /// R, the number of ranks.
  public var count: Int { group.count }
  /// The rank's place among those of its host.
  public var localRank: Int { rank }
  /// Where the rank computes, for messages.
  public var place: String { "this host" }
  /// Whether each rank is a process.
  public var hasOwnProcess: Bool { false }
  private let group: Group

  private init(_ rank: Int, in group: Group) { (self.rank, self.group) = (rank, group) }

  /// Calls `body` on a thread for each of `count` ranks, and returns once all have ended.
  ///
  /// A rank that throws ends the others at their next exchange. Throws what the rank threw that failed first, as it
  /// is where all ranks threw the same, else as `failure` makes it a `RankFailure`.
  public static func run(
    _ count: Int, failure: @Sendable @escaping (any Error) -> (status: Int32, sentence: String),
    _ body: @escaping (LocalRanks) throws -> Void
  ) throws {
    let group = Group(count)
    let ends = Mutex([(any Error)?](repeating: nil, count: count))
    let ended = DispatchGroup()
    // Every thread has ended before this function returns, so that nothing is used by two threads that is not
    // meant to be: `body` is only called.
    nonisolated(unsafe) let body = body
    for rank in 0..<count {
      nonisolated(unsafe) let communicator = LocalRanks(rank, in: group)
      ended.enter()
      let thread = Thread {
        do {
          try body(communicator)
        } catch {
          ends.withLock { $0[rank] = error }
          if !(error is RankFailure) {
            let (status, sentence) = failure(error)
            group.fail(
              RankFailure(rank: rank, place: "this host", status: status, sentence: sentence))
          }
        }
        ended.leave()
      }
      // What the main thread of a process has; layers nest deeply in debug builds.
      thread.stackSize = 8 << 20
      thread.start()
    }
    ended.wait()
    let errors = ends.withLock { $0 }
    guard let known = group.failure else { return }
    let sentences = Set(errors.map { $0.map { failure($0).sentence } })
    if let first = errors[0], sentences.count == 1 { throw first }
    throw known
  }

  /// Copies what the others send.
  public func allToAll(
    _ send: TransferSlice, counts sendCounts: [Int], into receive: TransferSlice,
    counts receiveCounts: [Int]
  ) throws {
    var start = 0
    let messages = sendCounts.map { count in
      defer { start += count }
      return Array(send.bytes[start..<start + count])
    }
    receive.fill(with: try group.exchange(messages, from: rank))
  }

  /// Copies what the others send.
  public func allGather(_ send: TransferSlice, into receive: TransferSlice, counts: [Int]) throws {
    let messages = [[UInt8]](repeating: Array(send.bytes), count: count)
    receive.fill(with: try group.exchange(messages, from: rank))
  }

  /// Where the ranks meet.
  ///
  /// All that is not constant is guarded by `condition`: a condition variable, which a `Mutex` cannot wait for.
  private final class Group: @unchecked Sendable {
    let count: Int
    private let condition = NSCondition()
    /// What each rank sends to each; nil of those that are not here yet.
    private var posted: [[[UInt8]]?]
    /// How many have taken theirs.
    private var taken = 0
    private var failed: RankFailure?

    init(_ count: Int) {
      self.count = count
      posted = [[[UInt8]]?](repeating: nil, count: count)
    }

    /// The failure of the first rank that failed.
    var failure: RankFailure? {
      condition.lock()
      defer { condition.unlock() }
      return failed
    }

    func fail(_ failure: RankFailure) {
      condition.lock()
      failed = failed ?? failure
      condition.broadcast()
      condition.unlock()
    }

    /// Sends message j to rank j, and returns what each rank sent to this one.
    func exchange(_ messages: [[UInt8]], from rank: Int) throws -> [[UInt8]] {
      condition.lock()
      defer { condition.unlock() }
      // Some rank may not have taken what was posted before.
      try wait { posted[rank] == nil }
      posted[rank] = messages
      condition.broadcast()
      try wait { posted.allSatisfy { $0 != nil } }
      let result = posted.map { $0?[rank] ?? [] }
      taken += 1
      if taken == count {
        posted = [[[UInt8]]?](repeating: nil, count: count)
        taken = 0
        condition.broadcast()
      }
      return result
    }

    private func wait(until isTrue: () -> Bool) throws {
      // What has come is taken also where another rank failed meanwhile: all throw the same then.
      while !isTrue() {
        if let failed { throw failed }
        condition.wait()
      }
    }
  }
}

extension TransferSlice {
  /// Copies messages into it, one behind the other.
  fileprivate func fill(with messages: [[UInt8]]) {
    var place = 0
    for message in messages {
      message.withUnsafeBytes { bytes[place...].copyBytes(from: $0) }
      place += message.count
    }
  }
}
