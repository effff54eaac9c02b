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
      var command = try parse(invocation)
      if !invocation.isQuiet { Progress.begin() }
      try command.run()
      Progress.end()
    } catch {
      Failure(error).exit()
    }
  }

  private static func parse(_ invocation: Invocation) throws -> any ParsableCommand {
    do {
      return try parseAsRoot(invocation.parserWords())
    } catch {
      throw invocation.locating(error)
    }
  }
}
