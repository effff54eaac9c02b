import Synchronization

/// What a driver is busy with that may take seconds, for whoever shows progress.
package enum DriverActivity: Hashable, Sendable {
  /// The program of this name is compiled; `number` counts those of the process, from 1.
  case compiling(program: String, number: Int)
  /// The kernel of this name is launched for the first time: some drivers finish compiling it only now.
  case firstLaunch(kernel: String)

  /// Who is told; one at a time, for the whole process.
  package typealias Observer = @Sendable (DriverActivity?) -> Void

  private static let observer = Mutex<Observer?>(nil)
  private static let compiled = Atomic(0)

  /// Tells `observer` from now on when something begins, and with nil when it is over.
  ///
  /// It is called on the thread that works, which waits for it.
  package static func observe(_ observer: Observer?) {
    self.observer.withLock { $0 = observer }
  }

  /// How many programs this process has begun to compile.
  package static var compiledPrograms: Int { compiled.load(ordering: .relaxed) }

  /// The activity for a program that is about to be compiled.
  static func compiling(_ program: String) -> DriverActivity {
    .compiling(
      program: program, number: compiled.add(1, ordering: .relaxed).newValue)
  }

  /// Tells the observer of the activity while `body` runs.
  func during<Value, Failure>(
    _ body: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let observer = Self.observer.withLock { $0 }
    observer?(self)
    defer { observer?(nil) }
    return try body()
  }
}
