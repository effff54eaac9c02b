import Foundation
import Testing

/// What becomes of a run's folder whatever happens around it, on the reference.
@Suite struct TrainRunTests {
  private let folder = try? Folder()
  private let small = [
    "train", "adding", "--device", "reference", "--hidden-size", "4", "--batch-size", "2",
    "--steps", "3", "--quiet",
  ]
  /// A run that goes on until it is stopped, in the shell.
  private let endless =
    "$carousel train adding --device reference --hidden-size 4 --max-time 10m --output"

  private func path(_ name: String) throws -> String { try #require(folder)[name] }

  private func lines(_ run: String) throws -> [[String: Any]] {
    try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map {
      try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  /// The shell's words that wait until a file is there.
  private func wait(for file: String) -> String {
    "for _ in {1..1200}; do [[ -e '\(file)' ]] && break; sleep 0.05; done"
  }

  @Test func aClosedStandardErrorLeavesTheMetricsAlone() throws {
    let run = try path("closed")
    let words = small.dropLast().joined(separator: " ")
    let command = try Command(
      shell: "$carousel \(words) --max-steps 4 --log-every 1 --output '\(run)' 2>&-")
    #expect(command.status == 0)
    #expect(try lines(run).map { $0["step"] as? Int } == [1, 2, 3, 4, 4])
  }

  @Test func aDamagedLineIsCutOutAndALostOneWrittenAgain() throws {
    let run = try path("damaged")
    let first = try Command(
      small + ["--max-steps", "3", "--log-every", "1", "--output", run])
    #expect(first.status == 0, "\(first.errors)")
    let file = URL(filePath: run + "/metrics.jsonl")
    let whole = try String(contentsOf: file, encoding: .utf8)
    var parts = whole.split(separator: "\n").map(String.init)
    parts[1] = "{\u{0}\u{1B}"
    // What a kill lost, and half a line.
    try Data((parts.dropLast().joined(separator: "\n") + "\n{\"st").utf8).write(to: file)
    let resumed = try Command(["train", "adding", "--resume", run, "--max-steps", "4", "--quiet"])
    #expect(resumed.status == 0)
    #expect(
      resumed.sentences.count == 1 && resumed.errors.contains("in line 2"), "\(resumed.errors)")
    #expect(try lines(run).map { $0["step"] as? Int } == [1, 3, 3, 4, 4])
    #expect(try String(contentsOf: file, encoding: .utf8).contains(parts[3]))
  }

  @Test func aLongRunOnTheReferenceIsSaidToBeSlow() throws {
    let run = try path("slow")
    let command = try Command(
      shell: """
        \(endless) '\(run)' & pid=$!
        \(wait(for: run + "/last.safetensors")); kill -INT $pid; wait $pid
        """)
    #expect(command.status == 130)
    #expect(command.errors.contains("the reference checks numbers and is slow: at"))
    let short = try Command(small + ["--max-steps", "2", "--output", try path("short")])
    #expect(!short.errors.contains("is slow"))
  }

  @Test func aRunUnderWayKeepsItsFolder() throws {
    let run = try path("busy")
    let command = try Command(
      shell: """
        \(endless) '\(run)' &>/dev/null & pid=$!
        \(wait(for: run + "/metrics.jsonl"))
        for words in "--resume" "--output" "--force --output"; do
          $carousel train adding $words '\(run)'; echo $?
        done
        kill -HUP $pid; wait $pid; echo $?
        $carousel train adding --resume '\(run)' --max-time 0.01s --quiet >/dev/null; echo $?
        ls -A '\(run)' | sort | xargs
        """)
    #expect(
      command.output == """
        64
        64
        64
        130
        0
        best.safetensors config.yaml last.safetensors metrics.jsonl settings.json

        """, "\(command.errors)")
    #expect(command.sentences.count == 3)
    #expect(command.sentences.allSatisfy { $0.contains("the run of process") })
  }

  @Test func runsBegunAtOnceHaveFoldersOfTheirOwn() throws {
    let place = try path("together")
    let words = small.map { "'\($0)'" }.joined(separator: " ")
    let command = try Command(
      shell: """
        mkdir '\(place)' && cd '\(place)'
        for _ in 1 2 3 4; do $carousel \(words) --max-steps 2 >/dev/null & done
        wait; ls runs/*/last.safetensors | wc -l
        """)
    #expect(command.output.trimmingCharacters(in: .whitespaces) == "4\n", "\(command.errors)")
  }

  @Test func aRunIsSavedBesideItsEvaluations() throws {
    let run = try path("killed")
    let command = try Command(
      shell: """
        \(endless) '\(run)' --save-every 2 --log-every 1 &>/dev/null & pid=$!
        for _ in {1..1200}; do
          [[ -e '\(run)/metrics.jsonl' && $(wc -l <'\(run)/metrics.jsonl') -gt 5 ]] && break; sleep 0.05
        done
        kill -KILL $pid; wait $pid; touch '\(run)/.carousel-1-2.tmp'
        $carousel train adding --resume '\(run)' --max-time 0.01s --json
        ls -A '\(run)' | sort | xargs >&2
        """)
    let report = try command.json
    #expect(try #require(report["step"] as? Int) >= 4, "\(command.errors)")
    #expect(
      command.errors.hasSuffix(
        "best.safetensors config.yaml last.safetensors metrics.jsonl settings.json\n"))
    for (value, status) in [("0", 64), ("-3s", 64), ("soon", 64), ("2h", 0), ("7", 0)] {
      let command = try Command(
        small + ["--max-steps", "1", "--output", try path(value)]
          + ["--save-every=" + value])
      #expect(command.status == status, "\(value): \(command.errors)")
    }
  }

  /// Where a reader of standard output or error is gone, the word comes where it can be read.
  @Test(arguments: [
    (" >&-", 1), (" | true", 1), (" 2>&- | cat >&2", 1), (" --json 2>&- | cat >&2", 0),
  ])
  func thatItWasSavedIsSaidWhereItCanBeRead(redirection: String, count: Int) throws {
    let run = try path("heard")
    let command = try Command(
      shell: """
        set +o pipefail
        (\(endless) '\(run)' \(redirection.hasPrefix(" --json") ? "--json" : "") & echo $! >'\(run).pid'; \
          wait; echo $? >'\(run).status') \(redirection.replacing(" --json", with: "")) &
        \(wait(for: run + "/metrics.jsonl"))
        kill -INT $(cat '\(run).pid'); wait
        """)
    #expect(command.errors.count { $0 == "\n" } > 0 || count == 0)
    #expect(
      command.errors.components(separatedBy: "state saved").count - 1 == count, "\(command.errors)")
  }

  @Test func theSecondInterruptionSaysWhatIsLostAndTheThirdStops() throws {
    let run = try path("thrice")
    // One step takes far longer than the test, so that the run is still at it.
    let command = try Command(
      shell: """
        $carousel train adding --device reference --hidden-size 400 --steps 400 --max-time 10m \
          --output '\(run)' >/dev/null 2>'\(run).errors' & pid=$!
        for words in 'parameters,' 'the update under way ends' 'a third interruption'; do
          for _ in {1..600}; do grep -q "$words" '\(run).errors' && break; sleep 0.1; done
          sleep 0.3; kill -INT $pid
        done
        wait $pid; echo $?; cat '\(run).errors'
        """)
    #expect(command.output.hasPrefix("130\n"), "\(command.output)")
    #expect(command.output.contains("a third interruption"))
    #expect(!command.output.contains("state saved"))
  }
}
