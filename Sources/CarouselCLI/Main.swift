import ArgumentParser
import Carousel
import Foundation

/// The command line: one file for each command, no arithmetic.
@main
struct CarouselCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "carousel",
    abstract: "Trains and examines recurrent networks on OpenCL devices.",
    version: "0.1.0",
    subcommands: [
      Devices.self,
      Cells.self,
      Train.self,
      Evaluate.self,
      Generate.self,
      Predict.self,
      Compare.self,
      Profile.self,
      Parameters.self,
      Run.self,
      Convert.self,
      Inspect.self,
      Gradients.self,
      ExperimentCommand.self,
    ])

  /// Parses, runs, and turns whatever is thrown into an exit status and one sentence.
  static func main() {
    Descriptors.open()
    signal(SIGPIPE, SIG_IGN)
    do {
      try EmptyArguments.refuse(SystemArguments.words)
      var invocation = try Invocation(SystemArguments.words)
      if let page = try invocation.helpPage() { return try Output.write(page) }
      try invocation.readConfig()
      try run(invocation)
      Progress.end()
    } catch {
      Failure(error).exit()
    }
  }

  private static func run(_ invocation: Invocation) throws {
    guard let variants = try invocation.variants() else {
      var command = try parse(invocation)
      try Ranks.refuse(command, words: SystemArguments.words)
      if !invocation.isQuiet, !Ranks.isSilent { Progress.begin() }
      return try command.run()
    }
    let commands = try variants.lines.map(parse)
    if !invocation.isQuiet { Progress.begin() }
    guard let first = commands.first as? any SideBySideCommand else { return }
    try run(first, commands, variants.list)
  }

  private static func run<Command: SideBySideCommand>(
    _ first: Command, _ commands: [any ParsableCommand], _ list: ValueList
  ) throws {
    try Command.run(commands.compactMap { $0 as? Command }, list)
  }

  private static func parse(_ invocation: Invocation) throws -> any ParsableCommand {
    do {
      return try parseAsRoot(invocation.parserWords())
    } catch {
      throw invocation.locating(error)
    }
  }
}
