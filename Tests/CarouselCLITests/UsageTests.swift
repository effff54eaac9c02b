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
      "compare --tiny --seed 1 --seed 2", "compare --steps 3 --sequence-length=3",
      "train adding --max-steps 1 --max-steps 2 --device reference",
    ])
  func wrongUsageExits64(line: String) throws {
    let command = try Command(line.split(separator: " ").map(String.init))
    #expect(command.status == 64)
    #expect(command.isOneSentence, "\(command.errors)")
  }

  @Test(arguments: [
    ["train", "adding", "--output", "", "--device", "reference"], ["train", "copy", "--output="],
    ["train", "text", ""], ["train", "text", "--resume", ""], ["evaluate", ""],
    ["run", "m", "--inputs", "i", "--outputs", ""], ["run", "m", "--inputs=", "--outputs", "o"],
    ["gradients", "--plot", ""], ["profile", "--trace", ""], ["profile", "--report", ""],
    ["generate", "", "--prompt", ""],
  ])
  func emptyTextsAreNoFilesAndNoFolders(arguments: [String]) throws {
    let command = try Command(arguments)
    #expect(command.status == 64 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("found an empty text"))
  }

  @Test func anEmptyPromptIsOne() throws {
    #expect(try Command(["generate", "none", "--prompt", ""]).status == 66)
  }

  /// The next file that is opened must not take the number of a closed descriptor.
  @Test func closedDescriptorsFailAsClosedOnesDo() throws {
    let output = try Command(shell: "$carousel parameters >&-")
    #expect(output.status == 74 && output.isOneSentence, "\(output.errors)")
    #expect(try Command(shell: "$carousel parameters 2>&- 0<&-").status == 0)
  }

  @Test(arguments: [
    ("devices --jsom", "'--json'"), ("trian text x", "'carousel train'"),
    ("train txt", "'carousel train text'"), ("compare --hiden-size 3", "'--hidden-size'"),
    ("compare --forget-bais 3", "'--forget-bias'"), ("compare --override forgt=0", "'forget'"),
    ("compare --cell lsmt", "'lstm'"), ("compare --activation ouput=relu", "'output'"),
    ("gradients --cell lstm,gru --override updat=0", "'update'"),
  ])
  func misspeltWordIsCorrected(line: String, word: String) throws {
    let command = try Command(line.split(separator: " ").map(String.init))
    #expect(command.status == 64)
    #expect(command.errors.contains("did you mean \(word)?"), "\(command.errors)")
  }

  @Test func twoValuesOfOneOptionAreNamed() throws {
    let errors = try Command(["compare", "--seed", "1", "--tiny", "--seed=2"]).errors
    #expect(
      errors == "carousel: --seed takes one value, but two are given: '1' and '2'\n")
  }

  @Test func negativeNumberIsAValue() throws {
    let command = try Command(["generate", "model", "--temperature", "-1"])
    #expect(command.status == 64)
    #expect(command.errors.contains("temperature must be at least 0"), "\(command.errors)")
  }

  @Test func listWhereOneNumberBelongsIsSaidSo() throws {
    #expect(
      try Command(["compare", "--sequence-length", "5,10"]).errors
        == "carousel: --sequence-length takes one whole number, but is '5,10'\n")
  }

  @Test func controlCharactersOfNamesAreEscaped() throws {
    let name = "a\u{1B}[31m\nb\u{202E}c\u{9B}"
    let command = try Command(["evaluate", name, "text", "--device", "reference"])
    #expect(command.status == 66)
    #expect(command.isOneSentence)
    #expect(command.errors.contains("a\\u{1b}[31m\\nb\\u{202e}c\\u{9b}"), "\(command.errors)")
  }

  @Test func controlCharactersInJSONAreEscapedAndTheSameText() throws {
    let folder = try Folder()
    let run = folder["a\u{202E}b\u{9B}c"]
    let command = try Command([
      "train", "adding", "--device", "reference", "--output", run, "--max-steps", "1",
      "--sequence-length", "2", "--hidden-size", "2", "--batch-size", "500", "--json", "--quiet",
    ])
    #expect(command.output.contains("a\\u202eb\\u009bc"), "\(command.output)")
    #expect(try command.json["run"] as? String == run)
  }

  @Test func longNameLosesItsMiddle() throws {
    let command = try Command(
      ["evaluate", String(repeating: "x", count: 100_000), "text", "--device", "reference"])
    #expect(command.isOneSentence)
    #expect(command.errors.count < 1000)
  }

  @Test func dropoutOfOneLayerIsWarnedAbout() throws {
    let small = ["--device", "reference", "--dropout", "0.5", "--hidden-size", "3"]
    for arguments in [
      ["parameters"], ["compare", "--sequence-length", "2", "--batch-size", "1"],
    ] {
      let one = try Command(arguments + small)
      #expect(one.status == 0)
      #expect(one.errors.count { $0 == "\n" } == 1)
      #expect(one.errors.contains("--dropout 0.5 changes nothing with one layer"))
      #expect(try Command(arguments + small + ["--layers", "2"]).errors.isEmpty)
    }
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
