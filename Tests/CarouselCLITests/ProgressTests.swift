import Foundation
import Testing

/// The line that says what is being waited for, on terminals that `script` makes.
@Suite struct ProgressTests {
  /// With lines of metrics too far apart to break the silence.
  private static let train =
    "$carousel train adding --device reference --sequence-length 20 --hidden-size 20 --max-time 3s "
    + "--log-every 1000000"

  /// What a terminal is sent by a line of shell.
  private func sent(_ line: String, term: String = "xterm") throws -> String {
    let folder = try Folder()
    let command = try Command(
      shell: "cd '\(folder["."])' && TERM=\(term) script -qec '\(line)' /dev/null < /dev/null")
    #expect(command.status == 0, "\(command.output)")
    return command.output
  }

  /// The lines drawn in place.
  private func drawn(_ text: String) -> [Substring] {
    text.matches(of: /\r\u{1B}\[K([^\r\n\u{1B}]+)(?=\r\u{1B})/).map(\.1)
  }

  @Test(arguments: [12, 40, 80, 200])
  func lineFitsTheTerminal(columns: Int) throws {
    let lines = try drawn(sent("stty cols \(columns); \(Self.train)"))
    #expect(lines.count > 1)
    #expect(lines.allSatisfy { $0.count < columns })
    #expect(lines.contains { $0.contains("%") })
    #expect(lines.contains { $0.contains("━") } == (columns > 12))
    #expect(lines.contains { $0.contains("epoch") } == (columns >= 80))
  }

  @Test func lineFollowsTheTerminalsWidth() throws {
    let narrow =
      "until test -e run/settings.json; do sleep 0.1; done; sleep 1; stty cols 30 < /dev/tty"
    let lines = try drawn(sent("stty cols 90; (\(narrow)) & \(Self.train) --output run"))
    #expect(lines.contains { $0.count > 50 })
    #expect(try #require(lines.last).count < 30)
  }

  @Test func dumbTerminalGetsPlainLines() throws {
    let text = try sent(Self.train, term: "dumb")
    #expect(!text.contains("\u{1B}"))
    #expect(text.contains("%"))
  }

  @Test func nothingIsDrawnWithoutATerminal() throws {
    let folder = try Folder()
    let command = try Command(
      shell:
        "cd '\(folder["."])' && TERM=xterm $carousel train adding --device reference --sequence-length 5 "
        + "--hidden-size 4 --max-steps 10 --log-every 10")
    #expect(command.errors.contains("step 10 "))
    #expect(!command.errors.contains("\u{1B}") && !command.errors.contains("\r"))
  }

  @Test func quietShowsNothing() throws {
    let text = try sent("\(Self.train) --quiet > output")
    #expect(text.isEmpty, "\(text)")
  }

  @Test(.enabled(if: Command.hasDevice))
  func compilationIsShownAndHappensOnce() throws {
    let text = try sent(
      "export POCL_CACHE_DIR=$PWD/pocl CAROUSEL_CACHE=$PWD/kept; $carousel compare --cell rnn "
        + "--sequence-length 2 --batch-size 1 --input-size 2 --hidden-size 2; echo twice: $(find pocl -name \\*.so "
        + "| sed s:/[^/]*/[^/]*$:: | sort | uniq -d | wc -l) of $(find pocl -name \\*.so | wc -l).")
    #expect(text.contains("compiling kernels: "))
    #expect(text.contains("case 1 of 1"))
    // PoCL would compile each kernel for its launch and again for the cache of programs.
    let compiled = try #require(text.firstMatch(of: /twice: 0 of (\d+)\./), "\(text)").1
    #expect(Int(compiled) ?? 0 > 0)
  }
}
