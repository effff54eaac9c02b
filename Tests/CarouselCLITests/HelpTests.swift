import Foundation
import Testing

@Suite struct HelpTests {
  private static let commands = [
    "devices", "train text", "train adding", "train copy", "evaluate", "generate", "compare",
    "profile",
    "parameters", "gradients", "run",
  ]

  private func help(_ line: String, _ flag: String) throws -> String {
    let command = try Command(line.split(separator: " ").map(String.init) + [flag])
    #expect(command.status == 0)
    #expect(command.errors.isEmpty)
    return command.output
  }

  private func options(_ page: String) -> Set<Substring> {
    Set(page.matches(of: /\n  (--[a-z-]+)/).map(\.1))
  }

  @Test(arguments: commands)
  func firstPageIsShortAndAllOptionsAreBehindIt(command: String) throws {
    let (first, all) = (try help(command, "--help"), try help(command, "--help-all"))
    #expect(first.contains("USAGE: carousel \(command) "))
    #expect(4...13 ~= options(first).count)
    #expect(options(all).isStrictSuperset(of: options(first)))
    #expect(options(all).contains("--precision"))
    for line in (first + all).split(separator: "\n") where !line.contains("--activation") {
      #expect(line.count <= 80, "\(line)")
    }
  }

  @Test func groupsHaveHeadings() throws {
    let all = try help("train text", "--help-all")
    let headings = all.matches(of: /\n([A-Z ]+):\n/).map { String($0.1) }
    #expect(
      headings == [
        "ARGUMENTS", "NETWORK", "GATES AND WEIGHTS", "OPTIMIZATION", "LENGTH OF THE RUN", "OPTIONS",
      ])
  }

  @Test func defaultsAreThoseOfTheCommand() throws {
    func value(_ option: String, _ command: String) throws -> Substring? {
      try help(command, "--help-all").firstMatch(
        of: Regex(
          "\n  --\(option)[^\n]*(?:\n {26}[^\n]*)*?default: ([^)]*)\\)",
          as: (Substring, Substring).self))?.1
    }
    #expect(try value("hidden-size", "train text") == "256")
    #expect(try value("hidden-size", "train copy") == "128")
    #expect(try value("hidden-size", "compare") == "64")
    #expect(try value("hidden-size", "profile") == "512")
    #expect(try value("sequence-length", "gradients") == "50")
    #expect(try value("length", "generate") == "500")
    #expect(try value("bias", "compare") == "double")
  }

  @Test func helpOfACommandIsFoundFromTheFront() throws {
    let help = try Command(["help", "train", "text"])
    #expect(help.output == (try Command(["train", "text", "-h"]).output))
    #expect(try Command([]).output == (try Command(["--help"]).output))
  }
}
