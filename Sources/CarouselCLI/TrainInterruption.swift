import Foundation
import Synchronization

/// Ctrl-C: the first asks the run to save and end, a second one ends the process.
enum Interruption {
  private static let requested = Atomic(false)

  /// Whether SIGINT or SIGTERM came.
  static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// From now on SIGINT and SIGTERM only ask, once each.
  static func listen() {
    // The flag has to be there before a handler sets it.
    requested.store(false, ordering: .relaxed)
    // Whoever started this process may have left the signals blocked.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    for number in [SIGINT, SIGTERM] {
      signal(number) {
        Interruption.requested.store(true, ordering: .relaxed)
        signal($0, SIG_DFL)
      }
    }
  }
}
