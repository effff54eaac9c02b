import CarouselFormats
import CarouselModel
import Foundation
import Testing

/// What models of text read and write, on the reference.
@Suite struct TextTests {
  private let folder = try? Folder()
  private let device = ["--device", "reference"]

  private func path(_ name: String) throws -> String { try #require(folder)[name] }

  /// Trains next to nothing on a text.
  private func model(_ text: String, _ options: String..., name: String = "run") throws -> String {
    try #require(folder).create("text", String(repeating: text, count: 20).utf8)
    let command = try Command(
      [
        "train", "text", path("text"), "--output", path(name), "--quiet", "--hidden-size", "4",
        "--batch-size", "2", "--steps", "6", "--max-steps", "2",
      ] + device + options)
    #expect(command.status == 0, "\(command.errors)")
    return try path(name)
  }

  private func bytes(_ command: [String]) throws -> [UInt8] {
    let words = command.map { "'\($0)'" }.joined(separator: " ")
    let run = try Command(shell: "$carousel \(words) --device reference | od -An -v -tu1")
    #expect(run.status == 0, "\(run.errors)")
    return run.output.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0) }
  }

  @Test func aByteThatTheTextLackedIsLeftOutAndCounted() throws {
    let model = try model("to be or not; ")
    let other = try #require(folder).create("other", "to be, or not to Be".utf8).path
    let evaluated = try Command(["evaluate", model, other, "--json"] + device)
    #expect(evaluated.status == 0, "\(evaluated.errors)")
    #expect(try evaluated.json["leftOut"] as? Int == 2)
    #expect(try evaluated.json["count"] as? Int == 16)
    #expect(
      evaluated.errors.contains("2 bytes") && evaluated.errors.contains("0x2C ',' at offset 5"))
    let generated = try Command(
      ["generate", model, "--prompt", "to, be", "--length", "5"] + device)
    #expect(generated.status == 0 && generated.output.utf8.count == 5, "\(generated.errors)")
    #expect(generated.errors.contains("--prompt: 1 byte that the model does not know is left out"))
    let unknown = try Command(["generate", model, "--prompt", "XYZ"] + device)
    #expect(unknown.status == 65 && unknown.isOneSentence, "\(unknown.errors)")
    let strange = try #require(folder).create("strange", "XYZ".utf8).path
    let nothing = try Command(["evaluate", model, strange] + device)
    #expect(
      nothing.status == 65 && nothing.errors.contains("at least 2 bytes that the model knows"))
  }

  @Test func aModelLearnsFromATextAsItReads() throws {
    let model = try model("to be or not; ")
    let text = try path("text")
    func bits(_ options: String...) throws -> (bits: Double, document: [String: Any]) {
      let command = try Command(["evaluate", model, text, "--json"] + options + device)
      #expect(command.status == 0, "\(command.errors)")
      return (try #require(try command.json["bitsPerByte"] as? Double), try command.json)
    }
    let (fixed, dynamic) = (try bits(), try bits("--dynamic", "0.02"))
    #expect(dynamic.bits < fixed.bits)
    #expect(try bits("--dynamic", "0.02").bits == dynamic.bits, "the model's file has changed")
    #expect(fixed.document["learningRate"] == nil)
    #expect(dynamic.document["learningRate"] as? Double == 0.02)
    #expect(dynamic.document["count"] as? Int == fixed.document["count"] as? Int)
    let told = try Command(["evaluate", model, text, "--dynamic", "0.02"] + device)
    #expect(told.output.contains("learning at 0.02 as it read"))
    for (options, words) in [
      (["--dynamic", "0"], "learning rate"), (["--dynamic", "0.1", "--shards", "2"], "--shards"),
      (["--dynamic", "fast"], "--dynamic"),
    ] {
      let refused = try Command(["evaluate", model, text] + options + device)
      #expect(refused.status == 64 && refused.isOneSentence, "\(refused.errors)")
      #expect(refused.errors.contains(words), "\(refused.errors)")
    }
  }

  @Test func aVocabularyOfAllBytesKnowsEveryText() throws {
    let model = try model("to be or not; ", "--vocabulary", "bytes")
    let other = try #require(folder).create("other", 0...255).path
    let evaluated = try Command(["evaluate", model, other, "--json"] + device)
    #expect(evaluated.status == 0 && evaluated.errors.isEmpty, "\(evaluated.errors)")
    #expect(try evaluated.json["leftOut"] as? Int == 0)
    let refused = try Command(["train", "text", "--resume", model, "--vocabulary", "data"])
    #expect(refused.status == 64 && refused.isOneSentence, "\(refused.errors)")
  }

  @Test func aModelOfUTF8WritesWholeCharactersUnlessRaw() throws {
    let model = try model("άλφα βήτα; ")
    let written = try bytes(["generate", model, "--length", "41", "--seed", "3"])
    #expect(written.count == 41 && String(validating: written, as: UTF8.self) != nil, "\(written)")
    let raw = try bytes(["generate", model, "--length", "41", "--seed", "3", "--raw"])
    #expect(raw.count == 41 && String(validating: raw, as: UTF8.self) == nil, "\(raw)")
  }

  @Test func logitsThatAreNotFiniteExit1() throws {
    let model = try model("to be or not; ", "--cell", "rnn")
    var file = try SafetensorsFile(contentsOf: model + "/best.safetensors")
    // h is 1 everywhere, and four weights of the output are more than a number holds.
    for (index, (name, tensor)) in file.tensors.enumerated() {
      let value = name == "output.weight" ? 1.7e308 : name.hasSuffix("bias_ih_l0") ? 1000 : 0
      file.tensors[index].tensor = Tensor(
        tensor.shape, [Double](repeating: value, count: tensor.shape.count))
    }
    try file.write(to: model + "/best.safetensors", elementType: .float64)
    let command = try Command(["generate", model, "--length", "20"] + device)
    #expect(command.status == 1 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("expected finite logits"), "\(command.errors)")
  }

  /// Names and a prompt in Latin-1.
  @Test func argumentsAreBytes() throws {
    let root = try #require(folder)[""]
    let run = try Command(
      shell: """
        cd "\(root)" && name=$'caf\\xe9.txt' run=$'r\\xe9/run' && for i in {1..20}; do printf 'th\\xe9 au caf\\xe9; '; done >"$name"
        "$carousel" train text "$name" --output "$run" --quiet --hidden-size 4 --batch-size 2 --steps 6 \
          --max-steps 2 --device reference >/dev/null && "$carousel" evaluate "$run" "$name" --device reference &&
        "$carousel" generate "$run" --prompt $'th\\xe9' --length 3 --device reference | wc -c &&
        "$carousel" train text --resume "$run" --max-steps 3 --quiet
        """)
    #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
    #expect(run.output.hasPrefix("caf\\xE9.txt: "), "\(run.output)")
    #expect(run.output.contains(" bits per byte, perplexity"), "\(run.output)")
    let missing = try Command(
      shell: "$carousel evaluate $'\(root)/r\\xe9/run' $'\\xe9' --device reference")
    #expect(missing.status == 66 && missing.errors.contains("\\xE9: "), "\(missing.errors)")
  }

  @Test func pipesAreRead() throws {
    let root = try #require(folder)[""]
    try #require(folder).create("text", String(repeating: "to be or not; ", count: 20).utf8)
    let small =
      "--hidden-size 4 --batch-size 2 --steps 6 --max-steps 2 --device reference --json --quiet"
    for (index, words) in ["- <text", "/dev/stdin <text", "<(cat text)"].enumerated() {
      let run = try Command(
        shell: """
          cd "\(root)" && "$carousel" train text \(words) --output p\(index) \(small) &&
          cat text | "$carousel" evaluate p\(index) - --device reference >&2
          """)
      #expect(run.status == 0, "\(words): \(run.errors)")
      #expect(run.errors.contains("279 bytes predicted"), "\(run.errors)")
    }
    let models = try (0..<3).map {
      try SafetensorsFile(contentsOf: path("p\($0)/best.safetensors")).tensorsByName
    }
    #expect(models[0] == models[1] && models[1] == models[2])
    let resume = "cd \(root) && $carousel train text --resume p0 --max-steps 3 --quiet"
    let again = try Command(shell: resume)
    #expect(again.status == 64 && again.isOneSentence, "\(again.errors)")
    #expect(again.errors.contains("came from a pipe"))
    #expect(try Command(shell: "\(resume) - < \(root)/text").status == 0)
    let closed = try Command(shell: "cd \(root) && $carousel evaluate p0 - </dev/null")
    #expect(closed.status == 65 && closed.isOneSentence, "\(closed.errors)")
  }
}
