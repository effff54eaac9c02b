import Foundation
import Testing

/// What `train text` holds out and tests on, on the reference.
@Suite struct HeldOutTextTests {
  private let data: OwnData
  private let text: String, validation: String, test: String

  /// The held-out texts have bytes that the one to learn from lacks.
  init() throws {
    data = try OwnData()
    text = try data.text()
    validation = try data.file("validation.txt", String(repeating: "a text? ", count: 30))
    test = try data.file("test.txt", String(repeating: "text of a line! ", count: 30))
  }

  private func train(
    _ options: String..., output: String = "run", steps: Int = 6, device: String = "reference"
  ) throws -> Command {
    try Command(
      [
        "train", "text", text, "--output", data.folder[output], "--hidden-size", "4",
        "--batch-size", "4", "--evaluate-every", "3", "--max-steps", "\(steps)", "--device", device,
        "--quiet",
        "--json",
      ] + options)
  }

  private func bits(_ command: Command, _ part: String) throws -> Double {
    #expect(command.status == 0, "\(command.errors)")
    let metrics = try #require(try command.json[part] as? [String: Any])
    return try #require(metrics["bitsPerByte"] as? Double)
  }

  /// What `evaluate` says of the best model.
  private func evaluated(_ file: String, run: String = "run") throws -> Double {
    let command = try Command([
      "evaluate", data.folder[run], file, "--device", "reference", "--json",
    ])
    #expect(command.status == 0, "\(command.errors)")
    #expect(try command.json["leftOut"] as? Int == 0)
    return try #require(try command.json["bitsPerByte"] as? Double)
  }

  @Test func filesAreMeasuredAsEvaluateMeasuresThem() throws {
    let run = try train("--validation", validation, "--test", test)
    #expect(try bits(run, "test") == evaluated(test))
    #expect(try bits(run, "best") == evaluated(validation))
    let told = try Command(
      ["train", "text", text, "--output", data.folder["told"], "--test", test] + OwnData.small)
    #expect(told.output.contains("\ntest: "), "\(told.output)")
  }

  @Test func aShareIsTheEndOfTheText() throws {
    let run = try train("--validation", "0.2", "--test", "0.25")
    let bytes = try Data(contentsOf: URL(filePath: text))
    let (count, quarter) = (bytes.count, Int((Double(bytes.count) * 0.25).rounded()))
    let fifth = Int((Double(count) * 0.2).rounded())
    let end = try data.folder.create("end", Array(bytes.suffix(quarter))).path
    let before = try data.folder.create(
      "before", Array(bytes.dropLast(quarter).suffix(fifth))
    ).path
    #expect(try bits(run, "test") == evaluated(end))
    #expect(try bits(run, "best") == evaluated(before))
  }

  @Test func aResumedRunFindsItsFilesAndAConfigurationRepeatsIt() throws {
    let options = ["--validation", validation, "--test", test]
    let whole = try train("--validation", validation, "--test", test, output: "whole")
    let part = try train(
      "--validation", validation, "--test", test, output: "part", steps: 2)
    #expect(part.status == 0, "\(part.errors)")
    let resume = ["train", "text", "--resume", data.folder["part"], "--quiet"]
    let resumed = try Command(resume + ["--max-steps", "6", "--json"])
    #expect(try bits(resumed, "test") == bits(whole, "test"))
    #expect(try bits(resumed, "best") == bits(whole, "best"))
    let config = data.folder["whole"] + "/config.yaml"
    let again = try Command([
      "train", "text", "--config", config, "--output", data.folder["again"], "--json", "--quiet",
    ])
    #expect(try bits(again, "test") == bits(whole, "test"))
    let refused = try Command(resume + options)
    #expect(refused.status == 64 && refused.isOneSentence, "\(refused.errors)")
    _ = try data.file("test.txt", "another text")
    let other = try Command(resume + ["--max-steps", "8"])
    #expect(other.status == 65 && other.isOneSentence, "\(other.errors)")
    #expect(other.errors.contains("test.txt: expected the text"), "\(other.errors)")
  }

  @Test func ranksTestToTheSameBits() throws {
    let one = try train("--test", test, "--shards", "2", output: "one")
    let both = try train("--test", test, output: "both", device: "reference,reference")
    #expect(try bits(one, "test") == bits(both, "test"))
  }

  @Test(arguments: [
    (["--test", "none.txt"], 66, "none.txt"), (["--validation", "none.txt"], 66, "none.txt"),
    (["--test", "-"], 64, "--test: expected a share, or a regular file"),
    (["--validation", "/dev/null"], 65, "/dev/null"),
    (["--validation", "0.5", "--test", "0.5"], 64, "below 1 together"),
    (["--test", "1.5"], 64, "the test share"),
    (["--test", "0.0001"], 65, "a test share of 0.0001"),
  ])
  func whatCannotBeHeldOutIsOneSentence(
    options: [String], status: Int32, part: String
  ) throws {
    let run = data.folder["refused"]
    let command = try Command(
      ["train", "text", text, "--output", run] + OwnData.small + options)
    #expect(command.status == status && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains(part), "\(command.errors)")
    #expect(!FileManager.default.fileExists(atPath: run))
  }
}
