import CarouselModel
import OpenCLDriver

/// The launches of one piece of work, with their arguments, to be queued again.
///
/// To work out sizes and arguments and to set them takes the host some 10 µs for each launch, longer than a small
/// kernel computes.
final class RecordedLaunches: RepeatedWork {
  private struct Entry {
    let launch: PreparedLaunch
    let flops: Double, bytes: Double
    let changing: (argument: ChangingArgument, position: Int)?
  }

  private let launcher: Launcher
  private var entries: [Entry] = []
  /// What was packed, and as which version: once it has changed it has to be packed again.
  private var sources: [(buffer: Buffer, version: Int)] = []
  /// How many commands there were before.
  private let firstCommand: Int
  /// Whether the launches are all that was done, and would be next time.
  private var isRepeatable = true

  init(_ launcher: Launcher) {
    self.launcher = launcher
    firstCommand = launcher.queue.commandCount
  }

  func append(
    _ launch: PreparedLaunch, flops: Double, bytes: Double, changing: ChangingArgument?
  ) {
    let place = changing.flatMap { argument in
      launch.position(of: argument.name).map { (argument: argument, position: $0) }
    }
    entries.append(Entry(launch: launch, flops: flops, bytes: bytes, changing: place))
  }

  /// Takes note of contents that something was packed from.
  func depend(on buffer: Buffer) { sources.append((buffer, buffer.version)) }

  /// Says that the next time something else is done.
  func refuse() { isRepeatable = false }

  /// Itself, once the work is queued; nil where the work was more than launches.
  func finished() -> RecordedLaunches? {
    isRepeatable && launcher.queue.commandCount - firstCommand == entries.count ? self : nil
  }

  func queue() throws -> Bool {
    guard sources.allSatisfy({ $0.buffer.version == $0.version }),
      entries.allSatisfy({ $0.changing?.argument.isCurrent() ?? true })
    else { return false }
    for entry in entries {
      if let (argument, position) = entry.changing {
        try entry.launch.set(argument.next(), at: position, argument.name)
      }
      try launcher.launch(entry.launch, flops: entry.flops, bytes: entry.bytes)
    }
    return true
  }
}

/// An argument that is another one in each launch.
struct ChangingArgument {
  let name: StaticString
  /// Whether what it counts with is what the launch was made with.
  let isCurrent: () -> Bool
  /// Its value for the next launch.
  let next: () -> KernelArgument
}

extension OpenCLBackend {
  /// Queues work, and returns its launches where it is nothing but launches.
  public func recording(_ work: () throws -> Void) throws -> (any RepeatedWork)? {
    let recording = RecordedLaunches(launcher)
    launcher.recording = recording
    defer { launcher.recording = nil }
    try work()
    return recording.finished()
  }
}
