import COpenCL

/// When a command was queued, submitted, started and ended, in nanoseconds of the device's clock.
package struct ProfilingTimes: Equatable, Sendable {
  /// When the host queued the command.
  package let queued: UInt64
  /// When the command went to the device.
  package let submitted: UInt64
  /// When the device began.
  package let started: UInt64
  /// When the device was done.
  package let ended: UInt64

  /// The nanoseconds that the device worked.
  package var duration: UInt64 { ended > started ? ended - started : 0 }
}

/// A queued command, to wait for and to measure.
///
/// Not `Sendable`, like its queue.
package final class Event {
  let handle: cl_event

  init(handle: cl_event) {
    self.handle = handle
  }

  deinit {
    succeeds(clReleaseEvent(handle), "releasing an event")
  }

  /// Waits until the command is done; throws where it failed.
  package func wait() throws(OpenCLError) {
    var event: cl_event? = handle
    try check(clWaitForEvents(1, &event), "waiting for a command")
  }

  /// The times of the command, once it is done, on a queue made with `profiling`.
  package var profilingTimes: ProfilingTimes {
    get throws(OpenCLError) {
      func time(_ parameter: Int32) throws(OpenCLError) -> UInt64 {
        try Query.value(cl_ulong(0), "reading the times of a command") {
          clGetEventProfilingInfo(handle, cl_profiling_info(parameter), $0, $1, $2)
        }
      }
      return ProfilingTimes(
        queued: try time(CL_PROFILING_COMMAND_QUEUED),
        submitted: try time(CL_PROFILING_COMMAND_SUBMIT),
        started: try time(CL_PROFILING_COMMAND_START),
        ended: try time(CL_PROFILING_COMMAND_END))
    }
  }
}
