import Dispatch

/// The drivers of all platforms, which the first question to OpenCL loads: some 50 ms for PoCL.
///
/// Questions that may load them come one at a time: to the second of two threads that ask at once,
/// PoCL 3.1 answers that it has no device.
package enum Drivers {
  private static let questions = DispatchQueue(label: "carousel.drivers")

  /// Begins to load the drivers on another thread and returns at once.
  ///
  /// Whoever lists platforms or devices meanwhile waits. `wait` before the process ends.
  package static func load() {
    PoCL.prepare()
    questions.async {
      for platform in (try? Platform.listed()) ?? [] { _ = try? platform.listedDevices() }
    }
  }

  /// Waits for what `load` began: a process that ends while its drivers are loaded may crash.
  package static func wait() { questions.sync {} }

  /// Asks when nobody else does.
  static func ask<Value>(
    _ question: () throws(OpenCLError) -> Value
  ) throws(OpenCLError) -> Value {
    PoCL.prepare()
    return try questions.sync { Result(catching: question) }.get()
  }
}
