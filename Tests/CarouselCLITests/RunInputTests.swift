import Carousel
import Foundation
import Testing

/// How `run` takes its inputs, and what it says of them and of the outputs.
@Suite struct RunInputTests {
  private func outputs(_ folder: Folder) throws -> [String: Tensor] {
    try SafetensorsFile(contentsOf: folder["o"]).tensorsByName
  }

  @Test func batchFirstTakesAndGivesSequencesFirst() throws {
    let folder = try Models.folder()
    #expect(try folder.run("--gradients").status == 0)
    let expected = try outputs(folder)
    let swapped = try Models.folder(inputs: { inputs in
      inputs.map {
        ["x", "grad_y"].contains($0.name) ? ($0.name, $0.tensor.withOuterDimensionsSwapped) : $0
      }
    })
    let command = try swapped.run("--gradients", "--batch-first")
    #expect(command.status == 0, "\(command.errors)")
    #expect(command.errors.contains("4 steps (T) of 2 sequences (N) with 3 features (C)"))
    let found = try outputs(swapped)
    #expect(found["y"]?.shape == [2, 4, 5] && found["grad_x"]?.shape == [2, 4, 3])
    for name in ["y", "grad_x"] {
      #expect(found[name]?.withOuterDimensionsSwapped == expected[name])
    }
    for name in ["h_n", "grad_weight_ih_l0"] { #expect(found[name] == expected[name]) }
  }

  @Test(arguments: ["h_0", "lengths", "grad_y"], [false, true])
  func sizesThatOnlyMakeSenseTheOtherWayArePointedOut(name: String, isBatchFirst: Bool) throws {
    // Sequences first without the flag, and steps first with it.
    let x = Models.tensor(isBatchFirst ? [4, 2, 3] : [2, 4, 3], 100)
    let tensor =
      switch name {
      case "lengths": Tensor([2], [1, 3])
      case "h_0": Models.tensor([2, 2, 5], 101)
      default: Models.tensor(isBatchFirst ? [2, 4, 5] : [4, 2, 5], 103)
      }
    let folder = try Models.folder()
    try SafetensorsFile([("x", x), (name, tensor)], elementTypes: ["lengths": .int64])
      .write(to: folder["i"])
    let command = try Command(
      ["run", folder["m"], "--inputs", folder["i"], "--outputs", folder["o"], "--gradients"]
        + (isBatchFirst ? ["--batch-first"] : []))
    #expect(command.status == 65 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("'\(name)'") && command.errors.contains("--batch-first"))
  }

  @Test(arguments: ["reference", "auto"])
  func whatStandsPastALengthDoesNotMatter(device: String) throws {
    guard device == "reference" || Command.hasDevice else { return }
    let configuration = RecurrentConfiguration(
      cell: .gru, inputSize: 3, hiddenSize: 5, direction: .bidirectional)
    let folder = try Folder()
    try SafetensorsFile(Models.parameters(of: configuration)).write(to: folder["m"])
    var results: [[String: Tensor]] = []
    for padding in [0, Double.nan, .infinity] {
      var inputs = Models.inputs(for: configuration)
      for index in inputs.tensors.indices
      where ["x", "grad_y"].contains(inputs.tensors[index].name) {
        let width = inputs.tensors[index].tensor.shape[2]
        for (sequence, length) in [2, 0, 4].enumerated() {
          for step in length..<4 {
            for feature in 0..<width {
              inputs.tensors[index].tensor[(step * 3 + sequence) * width + feature] = padding
            }
          }
        }
      }
      try inputs.write(to: folder["i"])
      let command = try folder.run("--gradients", device: device)
      #expect(command.status == 0, "\(command.errors)")
      results.append(try outputs(folder))
    }
    #expect(results[0] == results[1] && results[0] == results[2])
    #expect(results[0]["grad_x"]?.values.contains { $0 != 0 } == true)
  }

  @Test func outputsThatAreNotFiniteAreWarnedOf() throws {
    let configuration = RecurrentConfiguration(
      cell: .rnn, inputSize: 1, hiddenSize: 1, options: CellOptions(bias: .none))
    let folder = try Folder()
    try SafetensorsFile(
      configuration.parameterDescriptions.map { ($0.name, Tensor($0.shape, [1e30])) }
    ).write(to: folder["m"])
    try SafetensorsFile([("x", Tensor([2, 1, 1], [1, 1]))]).write(to: folder["i"])
    let command = try folder.run("--activation", "relu", "--json")
    #expect(command.status == 0)
    #expect(
      command.errors.contains(
        "warning: \(folder["o"]): the tensor 'y' holds 1 of 2 values that are not finite in Float32, "
          + "the first is inf at element 1"), "\(command.errors)")
    #expect(try command.json["nonFinite"] as? [String] == ["y", "h_n"])
  }

  @Test func jsonSaysWhatWasReadAndWritten() throws {
    let folder = try Models.folder(
      model: { $0.map { ("rnn." + $0.name, $0.tensor) } + [("extra", Models.tensor([1], 1))] },
      inputs: { $0 + [("h0", Models.tensor([1], 70))] })
    let command = try folder.run("--json")
    #expect(command.status == 0)
    let json = try command.json
    #expect(json["cell"] as? String == "lstm" && json["prefix"] as? String == "rnn.")
    #expect(
      json["sizes"] as? [String: Int] == [
        "sequenceLength": 4, "batchSize": 2, "inputSize": 3, "hiddenSize": 5, "layers": 2,
        "directions": 1,
      ])
    let unused = try #require(json["unused"] as? [String: [String]])
    #expect(unused["model"] == ["extra"])
    #expect(unused["inputs"] == ["grad_y", "grad_h_n", "grad_c_n", "h0"])
    let used = try #require(json["used"] as? [String: [String]])
    #expect(used["model"]?.count == 8 && used["inputs"] == ["x", "h_0", "c_0"])
    let outputs = try #require(json["outputs"] as? [[String: Any]])
    #expect(outputs.map { $0["name"] as? String } == ["y", "h_n", "c_n"])
    #expect(outputs.map { $0["shape"] as? [Int] } == [[4, 2, 5], [2, 2, 5], [2, 2, 5]])
  }

  @Test func tensorThatIsNotUsedCostsNothing() throws {
    let folder = try Models.folder()
    // A terabyte of booleans behind the parameters, none of which is on the disk.
    let bytes = Array(try Data(contentsOf: URL(filePath: folder["m"])))
    let length = bytes[..<8].enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    let data = bytes.count - 8 - length
    let text = String(decoding: bytes[8..<(8 + length)], as: UTF8.self)
    let end = try #require(text.lastIndex(of: "}"))
    let entry = """
      ,"mask":{"dtype":"BOOL","shape":[\(1 << 40)],"data_offsets":[\(data),\(data + (1 << 40))]}}
      """
    let header = Array((text[..<end] + entry).utf8)
    let prefix = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    try folder.create("m", prefix + header + bytes[(8 + length)...])
    #expect(truncate(folder["m"], off_t(8 + header.count + data + (1 << 40))) == 0)
    let command = try folder.run()
    #expect(command.status == 0, "\(command.errors)")
    #expect(command.errors.contains("not used: 'mask'"))
  }
}
