import Carousel
import Foundation

/// A second process that takes the cases of this one from the last to the first, to fill the cache of programs.
///
/// PoCL compiles on one core of a process, however many threads ask. Each of the two finds in the cache what the other
/// has compiled. The first `carousel compare` takes half the time on two cores: 44 s for 80.
final class CompileAhead {
  /// What tells a process that it is the second.
  static let variable = "CAROUSEL_COMPILE_AHEAD"

  /// Whether this is the second process: it says nothing, and ends with the first.
  static var isThis: Bool { ProcessInfo.processInfo.environment[variable] != nil }

  private let process = Process()
  private let life = Pipe()

  /// Begins the second process with the words of this one; nil where it would not help, or cannot be made.
  init?(for backend: OpenCLBackend) {
    guard !Self.isThis, backend.device.isPoCL, ProcessInfo.processInfo.activeProcessorCount > 1,
      ProgramCache.standard.folder != nil, let program = Bundle.main.executableURL
    else { return nil }
    process.executableURL = program
    process.arguments = SystemArguments.words
    process.environment = ProcessInfo.processInfo.environment.merging([Self.variable: "1"]) { $1 }
    process.standardInput = life
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
  }

  deinit {
    // Runs where the initializer fails, too.
    guard process.isRunning else { return }
    process.terminate()
    process.waitUntilExit()
  }

  /// Whether the first process is there: it holds the other end of standard input.
  static var isAwaited: Bool {
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    return poll(&input, 1, 0) == 0
  }
}
