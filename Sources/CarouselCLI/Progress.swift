import Carousel
import Foundation
import Synchronization

/// The one line on standard error that says what is being waited for.
///
/// On a terminal it appears after half a second without output and is drawn again in place, in the
/// terminal's width; where that is not possible a plain line comes after a longer silence. A thread of
/// its own draws it, so that it moves while the command waits for a driver.
final class Progress: Sendable {
  private static let shared = Progress()

  private struct State {
    /// Says nothing where the command has not yet said what it does.
    var status: @Sendable () -> Status = { Status() }
    var activity: DriverActivity?
    /// When the status changed, and when anything was last written.
    var changed = ContinuousClock.now
    var written = ContinuousClock.now
    /// The columns of the line that is on the screen; 0 where there is none.
    var shownColumns = 0
    var shownLine = ""
    var isEnabled = false
    /// Whether a line of standard output has begun on the terminal and not ended.
    var isInsideLine = false
    /// How many plain lines came since something else was written.
    var plainLines = 0
  }

  private let state = Mutex(State())

  /// Begins to show; at the start of the program.
  static func begin() {
    DriverActivity.observe { activity in
      shared.state.withLock {
        $0.activity = activity
        if activity != nil { $0.changed = .now }
      }
    }
    shared.state.withLock { $0.isEnabled = true }
    Thread.detachNewThread {
      while true {
        Thread.sleep(forTimeInterval: 0.1)
        shared.draw()
      }
    }
  }

  /// Shows nothing from now on: at the end of the program, or where none is wanted.
  static func end() {
    shared.state.withLock {
      shared.erase(&$0)
      $0.isEnabled = false
    }
  }

  /// Says what the command does now; the words are made only where they are drawn.
  static func show(_ status: @autoclosure @escaping @Sendable () -> Status) {
    if Ranks.isSilent { return }
    shared.state.withLock {
      $0.status = status
      $0.changed = .now
    }
  }

  /// What an evaluation of `count` passes asks before each: it shows which one comes, and goes on.
  static func passes(_ count: Int) -> () -> Bool {
    var number = 0
    return {
      number += 1
      let number = number
      show(Status("evaluating: pass", number, of: count))
      return false
    }
  }

  /// Writes something else to a terminal or a file while no line is in the way.
  ///
  /// `endsLine` is nil where it does not go to a terminal.
  static func interrupt<Value>(endsLine: Bool?, _ write: () throws -> Value) rethrows -> Value {
    try shared.state.withLock { state in
      shared.erase(&state)
      state.written = .now
      state.plainLines = 0
      if let endsLine { state.isInsideLine = !endsLine }
      return try write()
    }
  }

  private func draw() {
    state.withLock { state in
      guard state.isEnabled, !state.isInsideLine else { return }
      let now = ContinuousClock.now
      let silence = state.written.duration(to: now)
      let status = state.activity.map { state.status().during($0) } ?? state.status()
      let seconds = Int(state.changed.duration(to: now).components.seconds)
      let time = status.countsSeconds && seconds >= 2 ? Double(seconds).timeText : nil
      if Terminal.canRedraw {
        guard state.shownColumns > 0 || silence > .milliseconds(500) else { return }
        redraw(status, time, &state)
      } else if silence > (state.plainLines == 0 ? Self.firstSilence : .seconds(30)) {
        let words = status.shownWords + [time].compactMap(\.self)
        Self.write(words.joined(separator: "  ") + "\n")
        state.written = now
        state.plainLines += 1
      }
    }
  }

  /// How long nothing is written before the first plain line comes.
  private static let firstSilence = isatty(STDERR_FILENO) == 1 ? Duration.seconds(1) : .seconds(10)

  private func redraw(_ status: Status, _ time: String?, _ state: inout State) {
    // The last column stays free: writing there moves some terminals to the next line.
    let columns = max((Terminal.width(of: STDERR_FILENO) ?? 80) - 1, 1)
    let behind = time.map { "  " + $0 } ?? ""
    let line = status.line(columns: max(columns - behind.count, 1)) + behind
    guard line != state.shownLine || columns < state.shownColumns else { return }
    erase(&state, then: line)
    state.shownLine = line
    state.shownColumns = line.columns
  }

  /// Takes the line away, also where the terminal has become narrower and broken it.
  private func erase(_ state: inout State, then line: String = "") {
    guard state.shownColumns > 0 || !line.isEmpty else { return }
    let width = Terminal.width(of: STDERR_FILENO) ?? 80
    let above = max(state.shownColumns - 1, 0) / width
    Self.write("\r" + (above > 0 ? "\u{1B}[\(above)A\u{1B}[J" : "\u{1B}[K") + line)
    state.shownColumns = 0
    state.shownLine = ""
  }

  private static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
