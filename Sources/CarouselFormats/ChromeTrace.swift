import CarouselModel

/// What ran when, as a Chrome trace: chrome://tracing and ui.perfetto.dev show it on a time line.
///
/// The format: the "Trace Event Format" of the Chromium project, in its JSON object form.
package struct ChromeTrace: Sendable {
  /// One piece of work with a beginning and a duration.
  package struct Event: Sendable {
    /// What ran: a kernel's name.
    package var name: String
    /// The kind of work, by which a viewer can filter.
    package var category: String
    /// When it began, in microseconds from any origin that all events share.
    package var startMicroseconds: Double
    /// How long it took, in microseconds.
    package var durationMicroseconds: Double
    /// Where it ran: an index into the trace's `threadNames`.
    package var thread: Int
    /// What a viewer shows when the event is selected.
    package var arguments: [String: JSONScalar]

    /// Describes an event.
    package init(
      _ name: String, category: String, startMicroseconds: Double, durationMicroseconds: Double,
      thread: Int = 0, arguments: [String: JSONScalar] = [:]
    ) {
      self.name = name
      self.category = category
      self.startMicroseconds = startMicroseconds
      self.durationMicroseconds = durationMicroseconds
      self.thread = thread
      self.arguments = arguments
    }
  }

  /// What everything ran on: the device's name.
  package var processName: String
  /// The lines of the chart, from the top: queues, or the host and the device.
  package var threadNames: [String]
  /// The events, in any order.
  package var events: [Event]

  /// Makes a trace.
  package init(processName: String, threadNames: [String], events: [Event] = []) {
    self.processName = processName
    self.threadNames = threadNames
    self.events = events
  }

  /// The trace as one JSON document.
  package var json: String {
    let names =
      [Record(name: "process_name", ph: "M", tid: 0, args: ["name": .text(processName)])]
      + threadNames.enumerated().flatMap { thread, name in
        [
          Record(name: "thread_name", ph: "M", tid: thread, args: ["name": .text(name)]),
          Record(
            name: "thread_sort_index", ph: "M", tid: thread, args: ["sort_index": .integer(thread)]),
        ]
      }
    let work = events.map { event in
      Record(
        name: event.name, ph: "X", tid: event.thread, args: event.arguments, cat: event.category,
        ts: event.startMicroseconds, dur: event.durationMicroseconds)
    }
    return JSON.encode(Document(traceEvents: names + work))
  }

  /// Writes the trace; nothing half-written is left under the name.
  ///
  /// Throws `writeFailed`.
  package func write(to path: String) throws(CarouselError) {
    try AtomicFile.write(json + "\n", to: path)
  }

  /// The document under the names of the format.
  private struct Document: Encodable {
    var traceEvents: [Record]
    var displayTimeUnit = "ms"
  }

  private struct Record: Encodable {
    var name: String
    var ph: String
    var pid = 1
    var tid: Int
    var args: [String: JSONScalar]
    var cat: String?
    var ts: Double?
    var dur: Double?
  }
}
