import CarouselModel

/// What a rank's exchanges with the others cost.
public struct Communication: Hashable, Sendable, Codable {
  /// The bytes that this rank sent to others.
  public var bytesSent = 0
  /// The seconds in exchanges: until the others came, and until the bytes had.
  public var seconds = 0.0
  /// Those of them in which the device still computed the backward pass.
  public var hiddenSeconds = 0.0
}

extension Communicator {
  /// Does exchanges, which are counted as hidden where the device computes meanwhile.
  func measured(isHidden: Bool, _ exchange: () throws -> Void) throws {
    let measured = self as? MeasuredRanks
    let before = measured?.communication.seconds ?? 0
    try exchange()
    if isHidden, let measured {
      measured.communication.hiddenSeconds += measured.communication.seconds - before
    }
  }
}

/// A communicator that measures another.
final class MeasuredRanks: Communicator {
  private let ranks: any Communicator
  /// What was measured so far.
  fileprivate(set) var communication = Communication()

  init(_ ranks: any Communicator) { self.ranks = ranks }

  var rank: Int { ranks.rank }
  var count: Int { ranks.count }
  var localRank: Int { ranks.localRank }
  var place: String { ranks.place }
  var hasOwnProcess: Bool { ranks.hasOwnProcess }

  func allToAll(
    _ send: UnsafeRawBufferPointer, counts sendCounts: [Int],
    into receive: UnsafeMutableRawBufferPointer, counts receiveCounts: [Int]
  ) throws {
    try measure(send.count - sendCounts[rank]) {
      try ranks.allToAll(send, counts: sendCounts, into: receive, counts: receiveCounts)
    }
  }

  func allGather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, counts: [Int]
  ) throws {
    try measure(send.count * (count - 1)) {
      try ranks.allGather(send, into: receive, counts: counts)
    }
  }

  private func measure(_ bytes: Int, _ exchange: () throws -> Void) throws {
    let began = ContinuousClock.now
    try exchange()
    communication.seconds += began.duration(to: .now).seconds
    communication.bytesSent += bytes
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
  /// What this rank's exchanges have cost so far; nil of one that has no others.
  var communicated: Communication? { (loop.ranks as? MeasuredRanks)?.communication }

  /// How every rank has fared in this session; every rank has to ask.
  func rankProgress() throws -> [RankProgress] {
    try loop.ranks.progress(
      units: loop.session.steps * loop.work.unitsPerStep, seconds: loop.session.seconds,
      exchanging: loop.session.communicationSeconds)
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
