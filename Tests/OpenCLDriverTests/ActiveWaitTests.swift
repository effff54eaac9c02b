import Testing

@testable import OpenCLDriver

/// A thread of the device that watches for the next command.
@MainActor @Suite(.enabled(if: Machine.hasDevice, "needs an OpenCL device"))
struct ActiveWaitTests {
  /// It looks for ever, so that the test does not end where a command does not end the waiting.
  private static let source = """
    kernel void wait_actively(volatile global const int *call, int seen, int polls) {
      while (*call == seen) {}
    }
    kernel void add(global int *sum, int value) { *sum += value; }
    """

  @Test(arguments: [false, true]) func everyCommandEndsTheWaiting(profiling: Bool) throws {
    let context = try Machine.context()
    let queue = try Queue(context: context, profiling: profiling)
    guard queue.canWaitActively else { return }
    let program = try context.program(name: "active_wait", source: Self.source)
    let add = try program.kernel("add")
    let sum = try Buffer(context: context, byteCount: 4)
    try queue.write([0] as [Int32], to: sum)
    try queue.waitActively(with: program.kernel("wait_actively"))
    var expected: Int32 = 0
    for round in 0..<200 {
      // Fewer commands than begin before the host waits, and more.
      for value in 0..<Int32(round % 7) {
        try queue.launch(
          add, global: [1], local: [1], arguments: ["sum": .buffer(sum), "value": .int32(value)])
        expected += value
      }
      switch round % 3 {
      case 0: try queue.finish()
      case 1: #expect(try queue.read(sum, as: Int32.self, count: 1) == [expected])
      default:
        expected = Int32(round)
        try queue.write([expected], to: sum)
      }
    }
    try queue.finish()
    try queue.finish()
    #expect(try queue.read(sum, as: Int32.self, count: 1) == [expected])
  }
}
