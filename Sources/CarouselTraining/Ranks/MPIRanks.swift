#if MPI
import CarouselModel
import CMPI
import Foundation

/// Ranks that are processes, connected by MPI.
///
/// While a rank waits for others it looks for notices, by which a rank that fails says so to all; so none waits
/// for one that has gone. One process has one such object, which one thread uses.
public final class MPIRanks: Communicator {
  /// This rank, from 0 on, and R.
  public let rank: Int, count: Int
  /// The rank's place among those of its host.
  public private(set) var localRank = 0
  /// Where the rank computes, for messages.
  public let place: String
  /// Whether each rank is a process.
  public var hasOwnProcess: Bool { true }
  /// The library, for messages.
  public let library: String

  /// How many seconds the others may take to send what is due, once gradients were exchanged.
  ///
  /// Longer than anything that one rank does by itself between two updates: then they are gone, or the network is.
  /// Before, some may still read their data.
  private let timeout: Double
  private var hasBegun = false

  /// How long a rank that failed waits for the others to know of it.
  private static let patience = 4.0

  /// Loads the launcher's library and begins MPI.
  ///
  /// Throws where there is none, or it is not the one of the launcher.
  public init(_ launched: LaunchedRanks) throws {
    let environment = ProcessInfo.processInfo.environment
    let given = environment["CAROUSEL_MPI"].flatMap {
      $0.isEmpty ? nil : $0
    }
    var reasons: [String] = []
    let names = given.map { [$0] } ?? launched.libraries
    let found = names.first { name in
      guard let reason = carousel_mpi_load(name) else { return true }
      reasons.append(String(cString: reason))
      return false
    }
    guard found != nil else {
      throw CarouselError(
        .usage,
        "the MPI library of \(launched.launcher.rawValue), whose launcher started \(launched.count) processes, "
          + "cannot be loaded: \(reasons.first ?? ""); install it, or name its file in CAROUSEL_MPI"
      )
    }
    library = String(cString: carousel_mpi_version())
    timeout = environment["CAROUSEL_MPI_TIMEOUT"].flatMap(Double.init) ?? 600
    var (rank, count): (Int32, Int32) = (0, 1)
    let error = carousel_mpi_begin(&rank, &count)
    (self.rank, self.count) = (Int(rank), Int(count))
    place = ProcessInfo.processInfo.hostName
    guard error == 0 else { throw Self.failure(error) }
    guard self.count == launched.count else {
      throw CarouselError(
        .usage,
        "\(library) finds \(self.count) process\(self.count == 1 ? "" : "es") where \(launched.variable) says "
          + "\(launched.count): it is another library than the launcher's; name that in CAROUSEL_MPI"
      )
    }
    let places = try gather(Array(place.utf8))
    localRank = launched.localRank ?? places[..<self.rank].count { $0 == places[self.rank] }
  }

  private static func failure(_ error: Int32) -> CarouselError {
    var text = [CChar](repeating: 0, count: 512)
    carousel_mpi_text(error, &text)
    let words = String(
      decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return CarouselError(.noDevice, "MPI failed: \(words)")
  }

  private func check(_ error: Int32) throws {
    if error != 0 { throw Self.failure(error) }
  }

  /// Sends and receives by `MPI_Ialltoallv`.
  public func allToAll(
    _ send: TransferSlice, counts sendCounts: [Int], into receive: TransferSlice,
    counts receiveCounts: [Int]
  ) throws {
    let (sent, received) = (try Layout(sendCounts), try Layout(receiveCounts))
    try transfer(send, into: receive, [sent, received], timeout: timeout) { from, to, request in
      carousel_mpi_all_to_all(
        from, sent.counts, sent.starts, to, received.counts, received.starts, request)
    }
    hasBegun = true
  }

  /// Receives by `MPI_Iallgatherv`.
  public func allGather(_ send: TransferSlice, into receive: TransferSlice, counts: [Int]) throws {
    let layout = try Layout(counts)
    let timeout = hasBegun ? timeout : .infinity
    try transfer(send, into: receive, [layout], timeout: timeout) { from, to, request in
      carousel_mpi_all_gather(
        from, layout.counts[self.rank], to, layout.counts, layout.starts, request)
    }
  }

  /// Begins a transfer and waits for it.
  ///
  /// Where it throws, MPI still has the memory, which is never freed: the process is about to end.
  private func transfer(
    _ send: TransferSlice, into receive: TransferSlice, _ layouts: [Layout], timeout: Double,
    _ begin: (UnsafeRawPointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt>) -> Int32
  ) throws {
    var request: UInt = 0
    do {
      try check(begin(send.bytes.baseAddress, receive.bytes.baseAddress, &request))
      try wait(&request, timeout)
    } catch {
      for layout in layouts { _ = Unmanaged.passRetained(layout) }
      for memory in [send.memory, receive.memory] { memory.keep() }
      throw error
    }
  }

  /// Sizes as MPI takes them, at addresses that stay until a request is done.
  private final class Layout {
    let counts: UnsafeMutablePointer<Int32>, starts: UnsafeMutablePointer<Int32>

    init(_ sizes: [Int]) throws {
      counts = .allocate(capacity: sizes.count)
      starts = .allocate(capacity: sizes.count)
      var start = 0
      for (index, size) in sizes.enumerated() {
        guard start + size <= Int32.max else {
          throw CarouselError(
            .noDevice, "more than 2 GiB would be sent at once, which MPI does not count")
        }
        (counts[index], starts[index]) = (Int32(size), Int32(start))
        start += size
      }
    }

    deinit {
      counts.deallocate()
      starts.deallocate()
    }
  }

  /// Waits until a request is done; throws where another rank says that it failed.
  private func wait(_ request: inout UInt, _ timeout: Double) throws {
    let began = ContinuousClock.now
    var waits = 0
    while true {
      var isDone: Int32 = 0
      try check(carousel_mpi_test(&request, &isDone))
      if isDone != 0 { return }
      if waits.isMultiple(of: 16), let notice = try hear() { throw notice.failure }
      if waits.isMultiple(of: 256), began.duration(to: .now).seconds > timeout {
        throw CarouselError(
          .noDevice,
          "the other ranks sent nothing for \(Int(timeout)) s; expected an answer within that time, which "
            + "CAROUSEL_MPI_TIMEOUT sets")
      }
      pause(&waits)
    }
  }

  /// Lets others compute, since ranks may be more than cores; the longer the wait, the more.
  private func pause(_ waits: inout Int) {
    waits += 1
    if waits < 200 { sched_yield() } else { usleep(waits < 1000 ? 50 : 500) }
  }

  // MARK: The end

  /// What a rank that ends says to all others: who failed first, as far as it knows, and who says so.
  private struct Notice: Codable {
    var sender: Int
    var failure: RankFailure
  }

  /// The bytes of every notice.
  private static let noticeSize = 2048

  private func hear() throws -> Notice? {
    var bytes = [UInt8](repeating: 0, count: Self.noticeSize)
    var hasCome: Int32 = 0
    try check(carousel_mpi_hear(&bytes, Int32(bytes.count), &hasCome))
    guard hasCome != 0 else { return nil }
    return try? JSONDecoder().decode(Notice.self, from: Data(bytes.prefix { $0 != 0 }))
  }

  /// Ends all ranks after this one failed, or heard that another did; `say` prints a sentence.
  ///
  /// One rank prints, the lowest that answers: the sentence alone where every rank failed with the same one, else
  /// with the rank in front that failed.
  public func end(after error: any Error, status: Int32, sentence: String, say: (String) -> Void)
    -> Never
  {
    let own =
      error as? RankFailure
      ?? RankFailure(rank: rank, place: place, status: status, sentence: sentence)
    var notices = [rank: own]
    send(Notice(sender: rank, failure: own))
    let began = ContinuousClock.now
    var waits = 0
    while notices.count < count, began.duration(to: .now).seconds < Self.patience {
      if let notice = try? hear() { notices[notice.sender] = notice.failure }
      pause(&waits)
    }
    let first = notices.values.min { $0.rank < $1.rank } ?? own
    guard rank == notices.keys.min() else {
      // The one that prints ends this process too.
      Thread.sleep(forTimeInterval: 2 * Self.patience)
      exit(first.status)
    }
    let failed = notices.filter { $0.key == $0.value.rank }
    let isShared = failed.count == count && Set(failed.values.map(\.sentence)).count == 1
    if !first.sentence.isEmpty { say(isShared ? first.sentence : "\(first)") }
    waitForReader()
    carousel_mpi_abort(first.status)
    exit(first.status)
  }

  /// Waits, a second at most, until the launcher has read what this process said: when it ends all processes, it
  /// leaves the rest unread.
  private func waitForReader() {
    for _ in 0..<100 {
      var (unread, unsent): (Int32, Int32) = (0, 0)
      // Of a pipe, and of a socket or a terminal.
      _ = ioctl(STDERR_FILENO, UInt(FIONREAD), &unread)
      _ = ioctl(STDERR_FILENO, UInt(TIOCOUTQ), &unsent)
      if unread <= 0, unsent <= 0 { break }
      usleep(10_000)
    }
    // It has to pass on what it read.
    usleep(100_000)
  }

  /// Sends a notice to all others; one that has gone gets none.
  private func send(_ notice: Notice) {
    var notice = notice
    notice.failure.sentence = String(notice.failure.sentence.prefix(800))
    var bytes = Array((try? JSONEncoder().encode(notice)) ?? Data())
    guard bytes.count < Self.noticeSize else { return }
    bytes += [UInt8](repeating: 0, count: Self.noticeSize - bytes.count)
    // Never freed: the process ends before all are sent.
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    memory.copyBytes(from: bytes)
    for other in 0..<count where other != rank {
      var request: UInt = 0
      _ = carousel_mpi_notify(memory.baseAddress, Int32(bytes.count), Int32(other), &request)
    }
  }

  /// Ends MPI, where every rank has come to its end.
  public func finish() { _ = carousel_mpi_end() }
}
#endif
