import Foundation
import Synchronization

/// Ctrl-C, and SIGTERM and SIGHUP as well.
///
/// The first asks a run to save and end, the second says what would be lost, the third ends the process. An
/// experiment has nothing to save: the second ends it.
enum Interruption {
  /// What is interrupted.
  enum Work {
    /// A training that saves itself; `updates` are taken, all of which are saved.
    case run(updates: Int)
    /// Measurements that are printed when they end.
    case experiment
  }

  private static let requested = Atomic(false)
  /// The updates of the run, and those that the last checkpoint has.
  private static let updates = Atomic(0), saved = Atomic(0)
  /// Where a handler, which may do little else, writes the number of its signal.
  private static let pipe = Atomic<Int32>(-1)

  /// Whether a signal came.
  static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// Notes how far the run is, and how far it is saved.
  static func note(updates count: Int) { updates.store(count, ordering: .relaxed) }
  static func note(saved count: Int) { saved.store(count, ordering: .relaxed) }

  /// From now on signals do what is said above; called again, it changes nothing for an experiment.
  static func listen(_ work: Work) {
    var savesItself = true
    switch work {
    case .run(let updates):
      note(updates: updates)
      note(saved: updates)
    case .experiment:
      savesItself = false
      if pipe.load(ordering: .relaxed) >= 0 { return }
    }
    // Before a handler needs them.
    requested.store(false, ordering: .relaxed)
    var ends: [Int32] = [-1, -1]
    guard Foundation.pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    pipe.store(ends[1], ordering: .relaxed)
    let source = ends[0]
    Thread.detachNewThread { [savesItself] in answer(source, savesItself: savesItself) }
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let earlier = signal(number) { number in
        let code = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(Interruption.pipe.load(ordering: .relaxed), &byte, 1)
        errno = code
      }
      // `nohup` has a run outlive its terminal.
      if number == SIGHUP, isIgnored(earlier) { signal(SIGHUP, SIG_IGN) }
      sigaddset(&signals, number)
    }
    // Whoever started this process may have left the signals blocked.
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  private static func isIgnored(_ handler: __sighandler_t?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Answers the signals, one after the other.
  private static func answer(_ source: Int32, savesItself: Bool) {
    var count = 0
    var number: UInt8 = 0
    while true {
      if count == 1, isSilent(source, seconds: 1) {
        Output.note(
          savesItself
            ? "carousel: interrupted; the update under way ends, then the run is saved"
            : "carousel: interrupted; what is under way ends, then what was measured is printed; a second "
              + "interruption ends the experiment at once, without its results")
      }
      guard read(source, &number, 1) == 1 else {
        if errno == EINTR { continue }
        return
      }
      count += 1
      switch count {
      case 1: requested.store(true, ordering: .relaxed)
      case 2 where savesItself: Output.note("carousel: " + loss)
      default:
        if !savesItself {
          Output.note("carousel: interrupted again; the experiment ends without its results")
        }
        end(by: Int32(number))
      }
    }
  }

  /// Ends the process as the signal would have.
  private static func end(by number: Int32) {
    signal(number, SIG_DFL)
    kill(getpid(), number)
  }

  /// Whether nothing comes for some seconds.
  private static func isSilent(_ source: Int32, seconds: Int32) -> Bool {
    var state = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
    return poll(&state, 1, seconds * 1000) == 0
  }

  /// What would be lost now.
  private static var loss: String {
    let (saved, updates) = (saved.load(ordering: .relaxed), updates.load(ordering: .relaxed))
    return saved == updates
      ? "the run is saved after step \(saved) and ends; a third interruption loses nothing"
      : "the run is being saved; a third interruption ends it at once and loses the steps \(saved + 1) "
        + "to \(updates)"
  }
}
