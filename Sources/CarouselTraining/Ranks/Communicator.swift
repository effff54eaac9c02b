import CarouselModel

/// How the ranks that train one network together exchange bytes.
///
/// There are R ranks, counted from 0: processes that MPI connects (`MPIRanks`) or threads of one process
/// (`LocalRanks`), each with a device of its own. Every rank makes the same calls in the same order; a call
/// returns once this rank has what it receives. It throws `RankFailure` where another rank has failed. No call adds
/// numbers: what is summed is summed by who needs it, in an order of our own.
public protocol Communicator: AnyObject {
  /// This rank, from 0 on, and R.
  var rank: Int { get }
  var count: Int { get }
  /// The rank's place among those of its host.
  var localRank: Int { get }
  /// Where the rank computes, for messages: its host.
  var place: String { get }
  /// Whether each rank is a process, which signals reach by itself.
  var hasOwnProcess: Bool { get }

  /// Sends `sendCounts[j]` bytes to each rank j, those of rank 0 first, and receives
  /// `receiveCounts[j]` of each, in the same order.
  func allToAll(
    _ send: TransferSlice, counts sendCounts: [Int], into receive: TransferSlice,
    counts receiveCounts: [Int]) throws

  /// Receives `counts[j]` bytes of each rank j, those of rank 0 first; of this one they are `send`.
  func allGather(_ send: TransferSlice, into receive: TransferSlice, counts: [Int]) throws
}

/// What ended another rank.
public struct RankFailure: Error, Hashable, Sendable, Codable, CustomStringConvertible {
  /// The rank, and where it computed.
  public var rank: Int, place: String
  /// The exit status that it ends with, and what happened, in one sentence.
  public var status: Int32, sentence: String

  /// Describes a failure.
  public init(rank: Int, place: String, status: Int32, sentence: String) {
    (self.rank, self.place, self.status, self.sentence) = (rank, place, status, sentence)
  }

  /// The sentence with the rank in front, where it does not name one.
  public var description: String {
    sentence.hasPrefix("rank ") ? sentence : "rank \(rank) on \(place): \(sentence)"
  }
}

/// One rank that has no others.
public final class Alone: Communicator {
  /// 0 of 1.
  public var rank: Int { 0 }
  /// R, the number of ranks.
  public var count: Int { 1 }
  /// The rank's place among those of its host.
  public var localRank: Int { 0 }
  /// Where the rank computes, for messages.
  public var place: String { "this host" }
  /// Whether each rank is a process.
  public var hasOwnProcess: Bool { true }

  /// Makes it.
  public init() {}

  /// Copies the bytes.
  public func allToAll(
    _ send: TransferSlice, counts sendCounts: [Int], into receive: TransferSlice,
    counts receiveCounts: [Int]
  ) { receive.bytes.copyMemory(from: UnsafeRawBufferPointer(send.bytes)) }

  /// Copies the bytes.
  public func allGather(_ send: TransferSlice, into receive: TransferSlice, counts: [Int]) {
    receive.bytes.copyMemory(from: UnsafeRawBufferPointer(send.bytes))
  }
}

extension Communicator {
  /// Whether this is the rank that prints and writes.
  public var isFirst: Bool { rank == 0 }

  /// The values of every rank, those of rank 0 first; `counts` says how many each has.
  func gather<Value: BitwiseCopyable>(_ values: [Value], counts: [Int]) throws -> [Value] {
    guard count > 1 else { return values }
    let size = MemoryLayout<Value>.stride
    let received = TransferMemory(byteCount: counts.reduce(0, +) * size)
    try allGather(
      TransferMemory(values).all, into: received.all, counts: counts.map { $0 * size })
    return Array(received.bytes.bindMemory(to: Value.self))
  }

  /// One value of every rank, in the order of ranks.
  func gather<Value: BitwiseCopyable>(_ value: Value) throws -> [Value] {
    try gather([value], counts: [Int](repeating: 1, count: count))
  }

  /// The bytes of every rank, of which each may have another number.
  func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    let counts = try gather(Int64(bytes.count)).map(Int.init)
    var rest = try gather(bytes, counts: counts)[...]
    return counts.map { count in
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
  }

  /// Waits until every rank is here.
  public func barrier() throws { _ = try gather(UInt8(0)) }

  /// What rank 0 says.
  func fromFirst<Value: BitwiseCopyable>(_ value: Value) throws -> Value {
    guard count > 1 else { return value }
    return try gather(
      [value].filter { _ in isFirst }, counts: [1] + [Int](repeating: 0, count: count - 1))[0]
  }

  /// Whether any rank says so.
  func onAny(_ value: Bool) throws -> Bool {
    count == 1 ? value : try gather(value ? UInt8(1) : 0).contains(1)
  }
}
