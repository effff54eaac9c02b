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
