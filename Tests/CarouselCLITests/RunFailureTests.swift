import Carousel
import Foundation
import Testing

@Suite struct RunFailureTests {
  typealias Tensors = [(name: String, tensor: Tensor)]

  private func expect(_ command: Command, _ status: Int32, naming word: String) {
    #expect(command.status == status)
    #expect(command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains(word), "\(command.errors)")
  }

  @Test(arguments: ["m", "i"])
  func missingFileExits66(name: String) throws {
    let folder = try Models.folder()
    try FileManager.default.removeItem(atPath: folder[name])
    expect(try folder.run(), 66, naming: folder[name])
  }

  @Test(arguments: ["m", "i"])
  func damagedFileExits65(name: String) throws {
    let folder = try Models.folder()
    let bytes = Array(try Data(contentsOf: URL(filePath: folder[name])))
    let damaged: [[UInt8]] = [
      [], [7], Array(bytes.prefix(bytes.count / 2)),
      [0, 0, 0, 0, 0, 0, 0, 128] + bytes.dropFirst(8),
      Array("not a model, but a text that is long enough to be one".utf8),
    ]
    for bytes in damaged {
      try folder.create(name, bytes)
      expect(try folder.run(), 65, naming: folder[name])
      #expect(!FileManager.default.fileExists(atPath: folder["o"]))
    }
  }

  @Test(arguments: [
    "nan", "missing", "gru", "rows", "reverse", "projection", "peepholes", "shape", "rank", "empty",
    "two stacks", "one bias less", "description", "other description", "senseless description",
  ])
  func modelThatCannotRunExits65(damage: String) throws {
    var metadata: [String: String] = [:]
    var word = "weight_hh_l0"
    func change(_ tensors: Tensors) -> Tensors {
      func replacing(_ name: String, _ tensor: Tensor) -> Tensors {
        tensors.map { $0.name == name ? (name, tensor) : $0 }
      }
      switch damage {
      case "nan":
        var tensor = Models.tensor([20, 5], 1)
        tensor[77] = .nan
        return replacing(word, tensor)
      case "missing":
        word = "weight_ih_l1"
        return tensors.filter { $0.name != word }
      case "gru":
        let changed = replacing(word, Models.tensor([15, 5], 1))
        word = "weight_ih_l0"
        return changed
      case "rows": return replacing(word, Models.tensor([13, 5], 1))
      case "reverse":
        word = "weight_ih_l0_reverse"
        return tensors + [("weight_hh_l0_reverse", Models.tensor([20, 5], 1))]
      case "projection":
        return tensors + [("weight_hr_l0", Models.tensor([2, 5], 1))]
      case "peepholes":
        word = "weight_cf_l0"
        return tensors + [("weight_ci_l0", Models.tensor([5], 1))]
      case "shape":
        word = "bias_hh_l1"
        return replacing(word, Models.tensor([19], 1))
      case "rank": return replacing(word, Models.tensor([4, 5, 5], 1))
      case "empty": return []
      case "two stacks":
        return Models.parameters(prefix: "encoder.") + Models.parameters(prefix: "decoder.")
      case "one bias less":
        word = "bias_hh_l0"
        return tensors.filter { $0.name != "bias_ih_l0" }
      case "description":
        word = "carousel"
        metadata["carousel"] = "[1, 2"
        return tensors
      case "senseless description":
        word = "peepholes"
        let other = RecurrentConfiguration(
          cell: .gru, inputSize: 3, hiddenSize: 5, options: CellOptions(peepholes: true))
        metadata["carousel"] = JSON.encode([
          "network": NetworkConfiguration(vocabularySize: 7, recurrent: other)
        ])
        return Models.parameters(prefix: "recurrent.")
      default:
        word = "carousel"
        let other = RecurrentConfiguration(inputSize: 3, hiddenSize: 5, layers: 1)
        metadata["carousel"] = JSON.encode([
          "network": NetworkConfiguration(vocabularySize: 7, recurrent: other)
        ])
        return Models.parameters(prefix: "recurrent.")
      }
    }
    let tensors = change(Models.parameters())
    let folder = try Models.folder(model: { _ in tensors }, metadata: metadata)
    if damage == "one bias less" { word = "bias_ih_l0" }
    if damage == "two stacks" { word = "decoder." }
    expect(try folder.run(), 65, naming: word)
    #expect(!FileManager.default.fileExists(atPath: folder["o"]))
  }

  @Test(arguments: [
    ("x", Tensor([4, 2, 4], Array(repeating: 1, count: 32))),
    ("x", Tensor([8, 3], Array(repeating: 1, count: 24))),
    ("x", Tensor([0, 2, 3], [])),
    ("x", Tensor([4, 2, 3], Array(repeating: 1, count: 23) + [.nan])),
    ("x", Tensor([4, 2, 3], [.infinity] + Array(repeating: 1, count: 23))),
    ("h_0", Tensor([1, 2, 5], Array(repeating: 1, count: 10))),
    ("c_0", Tensor([2, 2, 5], Array(repeating: .nan, count: 20))),
    ("grad_y", Tensor([4, 2, 3], Array(repeating: 1, count: 24))),
    ("grad_h_n", Tensor([20], Array(repeating: 1, count: 20))),
    ("lengths", Tensor([2], [4, 3])),
  ])
  func badInputExits65(name: String, tensor: Tensor) throws {
    let folder = try Models.folder(inputs: { inputs in
      inputs.filter { $0.name != name } + [(name, tensor)]
    })
    expect(try folder.run("--gradients"), 65, naming: "'\(name)'")
  }

  @Test(arguments: [
    (Tensor([2], [4, 5]), ElementType.int64), (Tensor([2], [-1, 4]), .int64),
    (Tensor([3], [1, 2, 3]), .int64), (Tensor([1, 2], [1, 2]), .int64),
    (Tensor([2], [1, 2]), .uint8),
  ])
  func badLengthsExit65(lengths: Tensor, type: ElementType) throws {
    let folder = try Models.folder()
    let inputs = Models.inputs + [("lengths", lengths)]
    try SafetensorsFile(inputs, elementTypes: ["lengths": type]).write(to: folder["i"])
    expect(try folder.run(), 65, naming: "'lengths'")
  }

  @Test func missingXExits65() throws {
    let folder = try Models.folder(inputs: { Array($0.dropFirst()) })
    expect(try folder.run(), 65, naming: "'x'")
  }

  @Test(arguments: [
    "--hidden-size=6", "--layers=1", "--no-bias", "--input-size=4", "--cell=rnn", "--peepholes",
    "--recurrence=diagonal", "--bidirectional",
  ])
  func optionThatContradictsTheModelExits64(option: String) throws {
    expect(try Models.folder().run(option), 64, naming: "hidden size")
  }

  @Test func optionsThatAgreeWithTheModelAreTaken() throws {
    let command = try Models.folder().run("--cell=lstm", "--hidden-size=5", "--bias=double")
    #expect(command.status == 0)
  }

  @Test func outputThatCannotBeWrittenExits74() throws {
    let folder = try Models.folder()
    let path = folder["missing/o"]
    let command = try Command([
      "run", folder["m"], "--inputs", folder["i"], "--outputs", path, "--device", "reference",
    ])
    expect(command, 74, naming: path)
  }

  @Test func failureLeavesTheOldOutputAsItWas() throws {
    let folder = try Models.folder(inputs: { Array($0.dropFirst()) })
    try folder.create("o", Array("old".utf8))
    #expect(try folder.run().status == 65)
    #expect(try String(contentsOfFile: folder["o"], encoding: .utf8) == "old")
  }
}
