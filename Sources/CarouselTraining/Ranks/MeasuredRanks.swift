import CarouselModel

/// What a rank's exchanges with the others cost.
public struct Communication: Hashable, Sendable, Codable {
  /// The bytes that this rank sent to others.
  public var bytesSent = 0
  /// The seconds in exchanges: until the others came, and until the bytes had.
  public var seconds = 0.0
  /// Those of them in which the device still computed the backward pass.
  public var hiddenSeconds = 0.0

  /// What more there is than at an earlier time.
  static func - (now: Communication, before: Communication) -> Communication {
    Communication(
      bytesSent: now.bytesSent - before.bytesSent, seconds: now.seconds - before.seconds,
      hiddenSeconds: now.hiddenSeconds - before.hiddenSeconds)
  }

  static func += (sum: inout Communication, part: Communication) {
    sum.bytesSent += part.bytesSent
    sum.seconds += part.seconds
    sum.hiddenSeconds += part.hiddenSeconds
  }
}

extension Communicator {
  /// What was measured of all exchanges so far.
  var communication: Communication { (self as? MeasuredRanks)?.total ?? Communication() }

  /// Does exchanges, which are counted as hidden where the device computes meanwhile.
  func measured(isHidden: Bool, _ exchange: () throws -> Void) throws {
    let before = communication
    try exchange()
    if isHidden, let ranks = self as? MeasuredRanks {
      ranks.total.hiddenSeconds += communication.seconds - before.seconds
    }
  }
}

/// A communicator that measures another.
final class MeasuredRanks: Communicator {
  private let ranks: any Communicator
  /// What was measured so far.
  fileprivate var total = Communication()

  init(_ ranks: any Communicator) { self.ranks = ranks }

  var rank: Int { ranks.rank }
  var count: Int { ranks.count }
  var localRank: Int { ranks.localRank }
  var place: String { ranks.place }
  var hasOwnProcess: Bool { ranks.hasOwnProcess }

  func allToAll(
    _ send: TransferSlice, counts sendCounts: [Int], into receive: TransferSlice,
    counts receiveCounts: [Int]
  ) throws {
    try measure(send.range.count - sendCounts[rank]) {
      try ranks.allToAll(send, counts: sendCounts, into: receive, counts: receiveCounts)
    }
  }

  func allGather(_ send: TransferSlice, into receive: TransferSlice, counts: [Int]) throws {
    try measure(send.range.count * (count - 1)) {
      try ranks.allGather(send, into: receive, counts: counts)
    }
  }

  private func measure(_ bytes: Int, _ exchange: () throws -> Void) throws {
    let began = ContinuousClock.now
    try exchange()
    total.seconds += began.duration(to: .now).seconds
    total.bytesSent += bytes
  }
}

/// How one rank of several fares in training, for people to see.
public struct RankProgress: Hashable, Sendable, Codable {
  /// The rank, and where it computes.
  public var rank: Int, place: String
  /// The bytes of a text, or the sequences of other tasks, that it would train on per second if it never waited.
  public var rate: Double
  /// The share of its time that it spent in exchanges with others.
  public var communicationShare: Double
}

extension TrainingLoop {
  /// What the exchanges of this rank's steps have cost in this session; nil of one that has no others.
  var communicated: Communication? { loop.ranks.count > 1 ? loop.session.communication : nil }

  /// How every rank has fared in this session; every rank has to ask.
  func rankProgress() throws -> [RankProgress] {
    try loop.ranks.progress(
      units: loop.session.steps * loop.work.unitsPerStep, seconds: loop.session.seconds,
      exchanging: loop.session.communication.seconds)
  }
}

extension Communicator {
  /// How every rank has fared that trained on so many units with all others, and spent so much of its time in
  /// exchanges.
  fileprivate func progress(
    units: Int, seconds: Double, exchanging: Double
  ) throws -> [RankProgress] {
    let exchanging = min(exchanging, seconds)
    let computing = seconds - exchanging
    let rates = try gather(computing > 0 ? Double(units) / Double(count) / computing : 0)
    let shares = try gather(seconds > 0 ? exchanging / seconds : 0)
    let places = try gather(Array(place.utf8))
    return rates.indices.map { rank in
      RankProgress(
        rank: rank, place: String(decoding: places[rank], as: UTF8.self), rate: rates[rank],
        communicationShare: shares[rank])
    }
  }
}
