import CarouselFormats
import CarouselModel
import Foundation
import Testing

/// `train … --from`, with a learning rate that changes nothing.
@Suite struct TrainFromTests {
  private let folder = try? Folder()

  private func path(_ name: String) throws -> String { try #require(folder)[name] }

  private func train(
    _ text: String, _ options: [String], to name: String
  ) throws -> (command: Command, tensors: [String: Tensor]) {
    try #require(folder).create("text", String(repeating: text, count: 20).utf8)
    let command = try Command(
      [
        "train", "text", path("text"), "--output", path(name), "--batch-size", "2", "--steps", "6",
        "--max-steps", "1", "--learning-rate", "1e-30", "--device", "reference", "--quiet",
      ] + options)
    let model = try path(name) + "/best.safetensors"
    guard command.status == 0 else { return (command, [:]) }
    return (command, try SafetensorsFile(contentsOf: model).tensorsByName)
  }

  private func expectEqual(_ found: Tensor?, _ expected: Tensor?) throws {
    let (found, expected) = (try #require(found), try #require(expected))
    #expect(found.shape == expected.shape)
    for (found, expected) in zip(found.values, expected.values) {
      #expect(abs(found - expected) < 1e-20)
    }
  }

  @Test func anotherTextGoesOnWithTheRunsWeights() throws {
    let options = ["--hidden-size", "4", "--embedding-size", "3", "--layers", "2", "--cell", "gru"]
    let first = try train("to be or not; ", options, to: "first").tensors
    let same = try train("not to be; ", ["--from", path("first"), "--seed", "9"], to: "same")
    #expect(same.command.status == 0 && same.command.errors.isEmpty, "\(same.command.errors)")
    #expect(first.keys.sorted() == same.tensors.keys.sorted())
    for (name, tensor) in first { try expectEqual(same.tensors[name], tensor) }

    // Of the bytes from ' ' to 't' A is new, between ';' and 'b'.
    let more = try train(
      "Ab; ", ["--from", path("first"), "--optimizer", "sgd"], to: "more")
    #expect(more.command.errors.contains("embedding.weight 8 of 9"), "\(more.command.errors)")
    let old = try #require(first["embedding.weight"])
    let new = try #require(more.tensors["embedding.weight"])
    #expect(old.shape == [8, 3] && new.shape == [9, 3])
    for (found, expected) in [(0..<6, 0..<6), (9..<27, 6..<24)] {
      try expectEqual(
        Tensor([found.count], Array(new.values[found])),
        Tensor([found.count], Array(old.values[expected])))
    }
    let settings = try String(contentsOfFile: path("more") + "/settings.json", encoding: .utf8)
    #expect(settings.contains("first/best.safetensors"))
  }

  @Test func aStateDictNamesWhatDoesNotMatch() throws {
    let layers = RecurrentConfiguration(inputSize: 3, hiddenSize: 4)
    let parameters = Models.parameters(prefix: "net.lstm.", of: layers)
    try SafetensorsFile(
      parameters + [
        ("net.encoder.weight", Models.tensor([256, 3], 50)),
        ("net.fc.weight", Models.tensor([256, 4], 51)), ("net.fc.bias", Models.tensor([256], 52)),
        ("norm.weight", Models.tensor([7], 53)),
      ]
    ).write(to: path("m.safetensors"))
    let from = ["--from", try path("m.safetensors")]
    let bytes = try train("to be; ", from + ["--vocabulary", "bytes"], to: "bytes")
    #expect(bytes.command.status == 0, "\(bytes.command.errors)")
    #expect(bytes.command.errors.contains("not used: norm.weight\n"), "\(bytes.command.errors)")
    for (name, tensor) in parameters {
      try expectEqual(bytes.tensors["recurrent." + name.dropFirst("net.lstm.".count)], tensor)
    }
    try expectEqual(bytes.tensors["embedding.weight"], Models.tensor([256, 3], 50))
    try expectEqual(bytes.tensors["output.bias"], Models.tensor([256], 52))

    let data = try train("to be; ", from + ["--layers", "2", "--vocabulary", "data"], to: "data")
    #expect(data.command.status == 0, "\(data.command.errors)")
    #expect(
      data.command.errors.contains("missing, so drawn: recurrent.weight_ih_l1, "),
      "\(data.command.errors)")
    #expect(
      data.command.errors.contains(
        "of another shape, so drawn: embedding.weight [6, 3], there [256, 3], "),
      "\(data.command.errors)")
    let bias = try #require(data.tensors["recurrent.bias_ih_l1"])
    #expect(bias.values[4..<8] == [1, 1, 1, 1])

    let other = try train("to be; ", from + ["--hidden-size", "5", "--cell", "gru"], to: "other")
    #expect(other.command.status == 65 && other.command.isOneSentence, "\(other.command.errors)")
    #expect(other.command.errors.contains("expected a tensor with the name and the shape"))
  }

  @Test func whatCannotBeReadIsOneSentence() throws {
    try #require(folder).create("m.pt", [0x50, 0x4B, 3, 4])
    for (options, status, words) in [
      (["--from", try path("m.pt")], 65, "m.pt: "), (["--from", "m.onnx"], 66, "m.onnx"),
      (["--from", try path("none.safetensors")], 66, "none.safetensors"),
      (["--prefix", "lstm"], 64, "--from"),
    ] as [([String], Int32, String)] {
      let command = try train("to be; ", options, to: "none").command
      #expect(command.status == status && command.isOneSentence, "\(command.errors)")
      #expect(command.errors.contains(words), "\(command.errors)")
    }
    let both = try Command(["train", "text", "--resume", "run", "--from", "run"])
    #expect(both.status == 64 && both.isOneSentence && both.errors.contains("only one of them"))
    let resumed = try Command(["train", "text", "--resume", "run", "--learning-rate", "0.1"])
    #expect(resumed.status == 64 && resumed.errors.contains("--from FOLDER"), "\(resumed.errors)")
  }
}
