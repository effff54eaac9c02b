import Foundation
import Testing

/// What is wrong with one's own data: one sentence that names it, the status, and nothing written.
@Suite struct OwnDataTests {
  private let data = try? OwnData()

  private func made() throws -> OwnData { try #require(data) }

  private func expectRefusal(
    _ words: [String], _ expected: [String], status: Int32 = 65,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let run = try made().folder["never"]
    let command = try Command(["train"] + words + OwnData.small + ["--output", run])
    #expect(command.status == status, "\(command.errors)", sourceLocation: sourceLocation)
    #expect(command.isOneSentence, "\(command.errors)", sourceLocation: sourceLocation)
    for text in expected {
      #expect(command.errors.contains(text), "\(command.errors)", sourceLocation: sourceLocation)
    }
    #expect(!FileManager.default.fileExists(atPath: run), sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    ("id,label,a\ns,x,1\ns,x\n", ["bad.csv", "3"]),
    ("id,label,a\ns,x,one\n", ["bad.csv", "2", "'a'", "'one'"]),
    ("id,label,a\ns,x,1\ns,x,\n", ["bad.csv", "3", "'a'"]),
    ("id,label,a\ns,x,1\ns,x,NaN\n", ["bad.csv", "3", "'a'"]),
    ("id,label,a\ns,x,1\ns,y,2\n", ["bad.csv", "3", "'y'", "'x'"]),
    ("id,label,a\n", ["bad.csv"]),
    ("", ["bad.csv"]),
    ("id,label,a\nr,x,1\ns,y,2\nt,y,2\n", ["bad.csv", "'x'"]),
  ])
  func aWrongTableIsRefusedWithItsPlace(text: String, expected: [String]) throws {
    let file = try made().file("bad.csv", text)
    try expectRefusal(["classify", file, "--id", "id", "--label", "label"], expected)
  }

  @Test(arguments: [
    ("time,y\n1,1\n2,many\n", ["bad.csv", "line 3", "'y'", "'many'"]),
    ("time,y\n1,1\n2,\n", ["bad.csv", "line 3", "'y'", "--missing"]),
    ("time,y\n1,1\n2,NaN\n", ["bad.csv", "line 3", "'y'", "--missing"]),
    ("time,y\n1,1\n2,inf\n", ["bad.csv", "line 3", "'y'", "'inf'"]),
    ("time,y\n1,1\n2,2,7\n", ["bad.csv", "line 3", "2 cells", "found 3"]),
    ("time,y\nnoon,1\n", ["bad.csv", "line 2", "'time'", "'noon'"]),
    ("time,y\n1,\"1\n", ["bad.csv", "line 2", "closing quote"]),
    ("time,y,y\n1,1,1\n", ["bad.csv", "line 1", "'y' twice"]),
    ("time,y\n", ["bad.csv", "rows"]), ("", ["bad.csv", "an empty file"]),
    ("time,y\n" + (0..<9).map { "\($0),\($0)\n" }.joined(), ["bad.csv", "33 steps", "found 9"]),
  ])
  func aWrongSeriesIsRefusedWithItsPlace(text: String, expected: [String]) throws {
    let file = try made().file("bad.csv", text)
    try expectRefusal(["forecast", file, "--target", "y", "--time", "time"], expected)
  }

  @Test func oneSeriesOfSeveralThatIsShorterThanItsWindowIsNamed() throws {
    let rows = [("a", 60), ("b", 9)].flatMap { id, count in (0..<count).map { "\(id),\($0),\($0)" }
    }
    let file = try made().file("bad.csv", (["id,time,y"] + rows).joined(separator: "\n"))
    try expectRefusal(
      ["forecast", file, "--target", "y", "--time", "time", "--id", "id"],
      ["bad.csv", "id 'b'", "33 steps", "found 9"])
  }

  @Test func sharesThatLeaveNothingToLearnFromAreRefused() throws {
    let words = ["forecast", try made().series(), "--target", "y", "--time", "time"]
    try expectRefusal(words + ["--test", "0.85"], ["series.csv", "validation part"])
    try expectRefusal(
      words + ["--test", "0.6", "--validation", "0.5"], ["below 1 together"], status: 64)
  }

  @Test(arguments: [
    ("the O\nred B-X 3\n", ["bad.txt", "line 2", "2 columns", "found 3"]),
    ("the\nred\n", ["bad.txt", "line 1", "a word and its tag"]),
    ("\n\n\n", ["bad.txt", "expected words"]), ("", ["bad.txt", "expected words"]),
    ("the O\n\nred O\n\na O\n", ["bad.txt", "at least 2 tags", "'O'"]),
    ("the O\nred B-X\n", ["bad.txt", "more sequences than are held out"]),
  ])
  func wrongTagsAreRefusedWithTheirPlace(text: String, expected: [String]) throws {
    try expectRefusal(["tag", made().file("bad.txt", text)], expected)
  }

  @Test func aTagThatTrainingLacksIsRefused() throws {
    let test = try made().file("test.txt", "the O\nred B-Z\n")
    try expectRefusal(["tag", made().tags(), "--test", test], ["test.txt", "line", "'B-Z'"])
  }

  @Test(arguments: [
    ("@univariate maybe\n@classLabel true a b\n@data\n1,2:a\n", ["line 1", "'@univariate true'"]),
    ("@unvariate true\n@data\n1,2:a\n", ["line 1", "'@unvariate'", "did you mean '@univariate'?"]),
    ("@univariate true\n@classLabel true a b\n1,2:a\n", ["line 3", "'@data'"]),
    ("@univariate true\n@classLabel true\n@data\n1,2:a\n", ["line 2", "the classes"]),
    ("@univariate true\n@classLabel false\n@data\n1,2\n", ["'@classLabel true'"]),
    ("@univariate true\n@classLabel true up down\n@data\n1,2:op\n", ["line 4", "'op'"]),
    ("@univariate true\n@classLabel true a b\n@data\n1,two:a\n", ["line 4", "'two'"]),
    ("@dimensions 2\n@classLabel true a b\n@data\n1,2:3,4:a\n1,2:b\n", ["line 5", "2 channels"]),
    ("@univariate true\n@classLabel true a b\n@data\n", ["expected cases"]),
    ("", ["'@data'"]),
  ])
  func aWrongTimeSeriesFileIsRefusedWithItsLine(text: String, expected: [String]) throws {
    try expectRefusal(["classify", made().file("bad.ts", text)], ["bad.ts"] + expected)
  }

  /// CRLF, a byte order mark, quotes, semicolons and tabs with decimal commas.
  @Test func everyFormOfATableTrainsToTheSameBits() throws {
    let made = try made()
    let rows = (0..<24).flatMap { sequence in
      (0..<2).map { step in
        [
          "s\(sequence)", "\(step)", sequence % 2 == 0 ? "1.5" : "-0.25",
          ["up", "down"][sequence % 2],
        ]
      }
    }
    let table = [["id", "time", "a", "label"]] + rows
    func text(_ separator: String, end: String = "\n", quotes: Bool = false) -> String {
      table.map { cells in
        cells.map { cell in
          let cell = separator == "," ? cell : cell.replacing(".", with: ",")
          return quotes ? "\"\(cell)\"" : cell
        }.joined(separator: separator) + end
      }.joined()
    }
    let forms = [
      text(","), text(",", end: "\r\n"), "\u{FEFF}" + text(","), text(",", quotes: true),
      text(";"), text("\t"), "\u{FEFF}" + text(";", end: "\r\n", quotes: true),
      text(",", end: "\r"),
    ]
    var first: Data?
    for (index, form) in forms.enumerated() {
      let (file, run) = (try made.file("t\(index).csv", form), made.folder["run\(index)"])
      let command = try Command(
        ["train", "classify", file, "--id", "id", "--time", "time", "--label", "label"]
          + OwnData.small + ["--output", run])
      #expect(command.status == 0, "\(command.errors)")
      let tensors = try OwnData.tensors(run + "/last.safetensors")
      #expect(!tensors.isEmpty && tensors == first ?? tensors, "form \(index)")
      first = first ?? tensors
    }
  }

  @Test(arguments: ["zero", "forward"])
  func missingNumbersAreReplacedWhereThatIsAskedFor(how: String) throws {
    let made = try made()
    let rows = (0..<80).map { "\($0),\($0 % 9 == 4 ? "" : "\($0 % 4)")" }
    let file = try made.file("gaps.csv", (["time,y"] + rows).joined(separator: "\n"))
    let command = try Command(
      ["train", "forecast", file, "--target", "y", "--time", "time", "--missing", how]
        + OwnData.small + ["--output", made.folder["run"]])
    #expect(command.status == 0, "\(command.errors)")
  }

  @Test func twoStepsOfOneTimeAreRefused() throws {
    let file = try made().file("bad.csv", "id,t,label,a\ns,1,x,1\ns,1,x,2\n")
    try expectRefusal(
      ["classify", file, "--id", "id", "--label", "label", "--time", "t"],
      ["bad.csv", "line 3", "'t'"])
    let series = try made().file("bad.csv", "t,y\n1,1\n1,2\n2,3\n")
    try expectRefusal(["forecast", series, "--time", "t"], ["bad.csv", "3"])
  }

  @Test func aColumnThatIsNotThereIsSaidWithTheNearest() throws {
    let file = try made().classes()
    try expectRefusal(
      ["classify", file, "--id", "id", "--label", "lable"],
      ["classes.csv", "--label", "'lable'", "did you mean 'label'?"])
    try expectRefusal(
      ["forecast", made().series(), "--target", "q", "--time", "time"], ["series.csv", "'q'"])
  }

  @Test func aLabelThatTrainingLacksIsRefused() throws {
    let file = try made().classes()
    let test = try made().file("test.csv", "id,time,a,b,label\nq,0,1,1,sideways\n")
    try expectRefusal(
      ["classify", file, "--id", "id", "--label", "label", "--time", "time", "--test", test],
      ["test.csv", "2", "'sideways'"])
  }
}
