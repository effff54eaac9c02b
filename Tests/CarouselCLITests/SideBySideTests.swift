import Foundation
import Testing

/// Several values of one option, side by side.
@Suite struct SideBySideTests {
  private func run(_ line: String) throws -> Command {
    try Command(line.split(separator: " ").map(String.init))
  }

  @Test func severalSizesStandInOneTable() throws {
    let line = "parameters --cell gru --input-size 3 --hidden-size 4,5,6"
    let table = try run(line).output.split(separator: "\n")
    try #require(table.count == 4)
    #expect(table[0].hasPrefix("hidden size") && table[0].contains("activations"))
    for (row, size) in zip(table.dropFirst(), [4, 5, 6]) {
      let words = row.split(separator: " ")
      #expect(words[0] == "\(size)" && words[1] == "\(3 * size * (3 + size + 2))")
    }
  }

  /// As JSON they are a list of the documents that each would print alone.
  @Test(arguments: [
    ("parameters", "hidden-size", ["2", "3"]),
    ("parameters --hidden-size=4", "layers", ["1", "2", "3"]),
    ("parameters", "steps", ["5", "50"]),
    ("gradients --device reference --steps 4", "hidden-size", ["3", "4"]),
    ("gradients --device reference --hidden-size 3", "sequence-length", ["2", "5"]),
    ("gradients --device reference --hidden-size 3 --steps 3", "forget-bias", ["-1", "2.5"]),
  ])
  func theDocumentsAreThoseOfEachValue(line: String, option: String, values: [String]) throws {
    func documents(_ command: Command) throws -> [[String: Any]] {
      #expect(command.status == 0, "\(command.errors)")
      return try #require(try command.json["cases"] as? [[String: Any]])
    }
    let words = line.split(separator: " ").map(String.init)
    let list = values.joined(separator: ",")
    let together = try Command(words + ["--json", "--\(option)=\(list)"])
    let found = try documents(together)
    #expect(try together.json["values"] as? [String] == values)
    try #require(found.count == values.count)
    for (value, document) in zip(values, found) {
      let alone = try Command(words + ["--json", "--\(option)=\(value)"]).json
      #expect(NSDictionary(dictionary: document) == NSDictionary(dictionary: alone))
    }
    // A value may stand behind the option too, whatever its sign.
    let apart = try Command(words + ["--json", "--\(option)", list])
    #expect(apart.output == together.output, "\(apart.errors)")
  }

  @Test func shorterSequencesLeaveTheTableEmptyPastTheirEnd() throws {
    let command = try run(
      "gradients --cell gru --device reference --hidden-size 3 --sequence-length 2,4")
    let rows = command.output.split(separator: "\n").map { $0.split(separator: " ").count }
    #expect(rows.dropFirst() == [3, 3, 2, 2], "\(command.output)")
  }

  @Test func curvesOfSeveralValuesAreInOnePicture() throws {
    let folder = try Folder()
    let command = try run(
      "gradients --cell gru --device reference --hidden-size 3,5 --steps 6 --plot \(folder["p.svg"])"
    )
    #expect(command.status == 0, "\(command.errors)")
    let picture = try String(contentsOfFile: folder["p.svg"], encoding: .utf8)
    for name in ["hidden-size 3 ∂h", "hidden-size 5 ∂h"] { #expect(picture.contains(">\(name)<")) }
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func profileTimesEachValue() throws {
    let line =
      "profile --hidden-size 8 --input-size 4 --sequence-length 3,6 --batch-size 2 --iterations 2 --wall-only"
    let command = try run(line + " --json")
    #expect(command.status == 0, "\(command.errors)")
    let cases = try #require(try command.json["cases"] as? [[String: Any]])
    #expect(
      cases.compactMap { ($0["case"] as? [String: Any])?["sequenceLength"] as? Int } == [3, 6])
    let plans = try run(line + " --plan").output
    #expect(plans.contains("sequence-length 3: ") && plans.contains("sequence-length 6: "))
    let cells = try run(line.replacing("3,6", with: "3") + " --cell rnn,gru --json")
    let documents = try #require(try cells.json["cells"] as? [Any], "\(cells.errors)")
    #expect(documents.count == 2)
  }

  @Test(arguments: [
    ("parameters --hidden-size 4,,8", "--hidden-size takes values with commas between them"),
    ("parameters --cell rnn,", "one of 'rnn,' is empty"),
    ("gradients --layers 1,2,1", "'1,2,1' has 1 twice"),
    ("parameters --forget-bias 1,1.0", "has 1.0 twice"),
    ("parameters --hidden-size 4,8 --layers 1,2", "--hidden-size and --layers have several values"),
    ("gradients --cell rnn,gru --hidden-size 4,8", "--cell and --hidden-size have several values"),
    ("parameters --steps 1,2 --sequence-length 3,4", "--sequence-length takes one list"),
    ("parameters --hidden-size 4 --hidden-size 4,8", "--hidden-size takes one value, but two"),
    ("parameters --hidden-size 4,many", "--hidden-size takes one whole number, but is 'many'"),
    ("parameters --hidden-size 4,0", "hidden size"), ("gradients --cell rnn,elman", "elman"),
    ("profile --hidden-size 4,8 --tune", "--tune is for one case"),
    ("profile --hidden-size 4,8 --report r.html", "--report is for one case"),
    ("experiment gates --hidden-size 8,16 --sequence-length 5,6", "have several values"),
    ("experiment gates --hidden-size 8,16 --report r.html", "--report is for one case"),
    ("experiment memory --sequence-length 5,6", "has sequence lengths of its own"),
    ("compare --hidden-size 4,8", "--hidden-size takes one whole number, but is '4,8'"),
  ])
  func wrongListsExit64(line: String, words: String) throws {
    let command = try run(line)
    #expect(command.status == 64, "\(command.output)")
    #expect(command.isOneSentence && command.errors.contains(words), "\(command.errors)")
  }
}
