import Foundation
import Testing

@Suite struct UsageTests {
  @Test func helpNamesEveryCommand() throws {
    let help = try Command(["--help"])
    #expect(help.status == 0)
    #expect(help.errors.isEmpty)
    for command in ["devices", "compare", "profile", "parameters", "run", "gradients"] {
      #expect(help.output.contains("\n  \(command) "))
    }
  }

  @Test(arguments: ["devices", "compare", "profile", "parameters", "run", "gradients"])
  func everyCommandHasHelp(command: String) throws {
    let help = try Command([command, "--help"])
    #expect(help.status == 0)
    #expect(help.output.contains("USAGE: carousel \(command)"))
  }

  @Test func versionIsPrintedToStandardOutput() throws {
    let version = try Command(["--version"])
    #expect(version.status == 0)
    #expect(version.output.wholeMatch(of: /[0-9]+\.[0-9]+\.[0-9]+\n/) != nil)
    #expect(version.errors.isEmpty)
  }

  @Test(
    arguments: [
      "frobnicate", "devices --frobnicate", "devices extra", "compare --steps many",
      "compare --bias triple", "compare --bias double --no-bias", "compare --tiny --steps 3",
      "compare --device reference --steps 0", "compare --device reference --hidden-size 0",
      "compare --device reference --layers -1", "compare --device reference --dropout 1",
      "compare --kernels fpga", "profile --device reference", "profile --mode sideways",
      "profile --warmup -1", "parameters --steps 0", "parameters --output-size 0", "run",
      "run model --inputs in", "run model --inputs in --outputs out --dropout 0.5",
      "parameters --seed 3", "parameters --measure",
      "profile --batch-size 2 --lengths 3",
      "profile --steps 2 --lengths 3", "train text --resume run --seed 2",
    ])
  func wrongUsageExits64(line: String) throws {
    let command = try Command(line.split(separator: " ").map(String.init))
    #expect(command.status == 64)
    #expect(command.isOneSentence, "\(command.errors)")
  }

  @Test func misspeltOptionIsCorrected() throws {
    #expect(try Command(["devices", "--jsom"]).errors.contains("'--json'"))
  }

  @Test func fullStandardOutputExits74() throws {
    let command = try Command(shell: "$carousel parameters > /dev/full")
    #expect(command.status == 74)
    #expect(command.isOneSentence, "\(command.errors)")
  }

  @Test func readerThatLeavesIsNoFailure() throws {
    let command = try Command(shell: "$carousel compare --tiny --device reference | head -n 1")
    #expect(command.status == 0)
    #expect(command.errors.isEmpty)
    #expect(command.output.count { $0 == "\n" } == 1)
  }
}
