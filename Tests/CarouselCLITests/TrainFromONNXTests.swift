import CarouselFormats
import CarouselModel
import Foundation
import Testing

/// `train … --from MODEL.onnx`, with a learning rate that changes nothing.
@Suite struct TrainFromONNXTests {
  private let data: OwnData
  private var folder: Folder { data.folder }

  init() throws { data = try OwnData() }

  private func train(
    _ task: [String], _ options: [String], to run: String
  ) throws -> (command: Command, tensors: [String: Tensor]) {
    let command = try Command(
      ["train"] + task + ["--output", folder[run], "--max-steps", "1", "--learning-rate", "1e-30"]
        + ["--batch-size", "2", "--device", "reference", "--quiet"] + options)
    guard command.status == 0 else { return (command, [:]) }
    let file = try SafetensorsFile(contentsOf: folder[run] + "/best.safetensors")
    return (
      command,
      file.tensorsByName.filter {
        $0.key.hasPrefix("recurrent.") || $0.key.hasPrefix("output.")
          || $0.key.hasPrefix("embedding.")
      }
    )
  }

  private func expectEqual(_ found: [String: Tensor], _ expected: [String: Tensor]) {
    #expect(!expected.isEmpty && found.keys.sorted() == expected.keys.sorted())
    for (name, tensor) in expected {
      guard let other = found[name], other.shape == tensor.shape else {
        Issue.record("\(name)")
        continue
      }
      #expect(zip(other.values, tensor.values).allSatisfy { abs($0 - $1) < 1e-20 }, "\(name)")
    }
  }

  /// Trains a run, writes it as a model, and begins another with nothing but that.
  private func roundTrip(_ task: [String], _ options: [String]) throws {
    let (run, model) = ("\(task[0])-first", folder["\(task[0]).onnx"])
    let first = try train(task, options + ["--hidden-size", "4"], to: run)
    #expect(first.command.status == 0, "\(first.command.errors)")
    let made = try Command(["convert", folder[run], model])
    #expect(made.status == 0, "\(made.errors)")
    let again = try train(task, ["--from", model, "--seed", "9"], to: "\(task[0])-again")
    #expect(again.command.status == 0 && again.command.errors.isEmpty, "\(again.command.errors)")
    expectEqual(again.tensors, first.tensors)
  }

  @Test(arguments: [
    ["--layers", "2", "--direction", "bidirectional", "--cell", "gru"],
    ["--cell", "lstm", "--peepholes", "--bias", "single", "--layers", "2"],
    ["--cell", "lstm", "--couple-input-forget", "--direction", "reverse"],
    ["--cell", "lstm", "--projection-size", "2", "--layers", "2"],
    ["--cell", "gru", "--layer-norm", "--direction", "bidirectional", "--merge", "sum"],
    ["--cell", "gru", "--recurrence", "blocks:2"], ["--cell", "rnn", "--recurrence", "diagonal"],
    ["--cell", "mingru", "--layers", "2"], ["--cell", "slstm", "--direction", "bidirectional"],
  ])
  func classifierGoesOnWithItsWeights(options: [String]) throws {
    let path = try data.classes()
    try roundTrip(["classify", path, "--label", "label", "--id", "id", "--time", "time"], options)
  }

  @Test func otherTasksGoOnWithTheirWeights() throws {
    try roundTrip(["text", try data.text()], ["--layers", "2", "--embedding-size", "3"])
    try roundTrip(
      ["forecast", try data.series(), "--target", "y", "--window", "8", "--horizon", "2"], [])
    try roundTrip(["tag", try data.tags()], ["--direction", "bidirectional"])
  }

  /// A model's layers are layers to other commands too.
  @Test func parametersOfAModelAreCounted() throws {
    let layers = RecurrentConfiguration(
      cell: .gru, inputSize: 2, hiddenSize: 4, layers: 2, direction: .bidirectional)
    let model = folder["m.onnx"]
    try SafetensorsFile(Models.parameters(prefix: "net.", of: layers))
      .write(to: folder["m.safetensors"])
    #expect(try Command(["convert", folder["m.safetensors"], model]).status == 0)
    let (found, expected) = try (
      Command(["parameters", model, "--json"]).json,
      Command(["parameters", folder["m.safetensors"], "--json"]).json
    )
    let count = layers.parameterDescriptions.reduce(0) { $0 + $1.shape.count }
    #expect(found["total"] as? Int == count)
    #expect(found["tensors"] as? NSObject == expected["tensors"] as? NSObject)
    // And are written again as they were.
    let again = folder["again.onnx"]
    let made = try Command(["convert", model, again])
    #expect(made.status == 0, "\(made.errors)")
    let back = try Command(["parameters", again, "--json"])
    #expect(try back.json["total"] as? Int == found["total"] as? Int, "\(back.errors)")
  }

  @Test func whatDoesNotMatchIsNamed() throws {
    let layers = RecurrentConfiguration(inputSize: 2, hiddenSize: 4)
    try SafetensorsFile(
      Models.parameters(prefix: "net.", of: layers) + [
        ("fc.weight", Models.tensor([7, 4], 50)), ("fc.bias", Models.tensor([7], 51)),
      ]
    ).write(to: folder["m.safetensors"])
    let made = try Command([
      "convert", folder["m.safetensors"], folder["m.onnx"], "--head", "fc",
    ])
    #expect(made.status == 0, "\(made.errors)")
    let task = [
      "classify", try data.classes(), "--label", "label", "--id", "id", "--time", "time",
    ]
    let found = try train(task, ["--from", folder["m.onnx"], "--layers", "2"], to: "run")
    #expect(found.command.status == 0, "\(found.command.errors)")
    #expect(
      found.command.errors.contains("missing, so drawn: recurrent.weight_ih_l1, "),
      "\(found.command.errors)")
    #expect(
      found.command.errors.contains(
        "of another shape, so drawn: output.weight [2, 4], there [7, 4], output.bias [2], there [7]"
      ), "\(found.command.errors)")
    let weight = try #require(found.tensors["recurrent.weight_hh_l0"])
    #expect(weight.values == Models.parameters(of: layers)[1].tensor.values)
  }

  @Test func whatCannotBeTakenIsOneSentence() throws {
    try folder.create("junk.onnx", Array("not a model".utf8))
    // Version 8; a graph with the node Relu, x to y, each [N] of Float32; operators of version 17.
    let relu: [UInt8] = [
      8, 8, 58, 53, 10, 12, 10, 1, 120, 18, 1, 121, 34, 4, 82, 101, 108, 117, 18, 1, 103, 90, 16,
      10, 1, 120, 18, 11, 10, 9, 8, 1, 18, 5, 10, 3, 18, 1, 78, 98, 16, 10, 1, 121, 18, 11, 10, 9,
      8, 1, 18, 5, 10, 3, 18, 1, 78, 66, 4, 10, 0, 16, 17,
    ]
    try folder.create("relu.onnx", relu)
    let wide = RecurrentConfiguration(cell: .gru, inputSize: 5, hiddenSize: 6)
    try SafetensorsFile(Models.parameters(of: wide)).write(to: folder["m.safetensors"])
    let made = try Command(["convert", folder["m.safetensors"], folder["m.onnx"]])
    #expect(made.status == 0, "\(made.errors)")
    let task = [
      "classify", try data.classes(), "--label", "label", "--id", "id", "--time", "time",
    ]
    for (options, status, words) in [
      (["--from", folder["junk.onnx"]], 65, "expected an ONNX file"),
      (["--from", folder["none.onnx"]], 66, "none.onnx"),
      (["--from", folder["relu.onnx"]], 65, "found no RNN, LSTM or GRU node"),
      (["--from", folder["m.onnx"], "--prefix", "lstm"], 64, "expected recurrent layers behind"),
      (
        ["--from", folder["m.onnx"], "--hidden-size", "3", "--cell", "rnn"], 65,
        "expected a tensor with the name and the shape"
      ),
    ] as [([String], Int32, String)] {
      let command = try train(task, options, to: "none").command
      #expect(command.status == status && command.isOneSentence, "\(command.errors)")
      #expect(command.errors.contains(words), "\(command.errors)")
    }
  }
}
