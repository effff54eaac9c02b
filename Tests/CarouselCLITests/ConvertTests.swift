import CarouselFormats
import CarouselModel
import Foundation
import Testing

@Suite struct ConvertTests {
  private func source(in folder: Folder) throws -> String {
    let path = folder["a.safetensors"]
    try SafetensorsFile(
      [
        ("lstm.weight_ih_l0", Tensor([2, 3], [1, -2, 3, 4, 5, 6.5])), ("n", Tensor([2], [7, 8])),
      ],
      elementTypes: ["n": .int64], metadata: ["note": "hello"]
    ).write(to: path)
    return path
  }

  @Test func namesAndNumbersSurviveTheWayToNumPyAndBack() throws {
    let folder = try Folder()
    let path = try source(in: folder)
    let there = try Command(["convert", path, folder["b.npz"], "--json"])
    #expect(there.status == 0)
    #expect(try there.json["tensors"] as? [String] == ["lstm.weight_ih_l0", "n"])
    #expect(try there.json["inputFormat"] as? String == "safetensors")
    #expect(there.errors.contains("left out"))
    #expect(try Command(["convert", folder["b.npz"], folder["c.safetensors"]]).status == 0)
    let (first, second) = (try TensorFile(path), try TensorFile(folder["c.safetensors"]))
    for entry in first.entries {
      #expect(try second.tensor(entry.name) == first.tensor(entry))
      #expect(second[entry.name]?.elementType == entry.elementType)
    }
  }

  @Test func inspectionIsTheContractsObject() throws {
    let folder = try Folder()
    let found = try Command(["inspect", try source(in: folder), "--json"])
    #expect(found.status == 0)
    let json = try found.json
    #expect(json["format"] as? String == "safetensors")
    for key in ["inputs", "outputs"] { #expect((json[key] as? [Any])?.isEmpty == true) }
    #expect((json["operators"] as? [String: Int])?.isEmpty == true)
    let tensors = json["tensors"] as? [[String: Any]]
    #expect(tensors?.map { $0["name"] as? String } == ["lstm.weight_ih_l0", "n"])
    #expect(tensors?.map { $0["shape"] as? [Int] } == [[2, 3], [2]])
    #expect(tensors?.map { $0["type"] as? String } == ["F32", "I64"])
    let text = try Command(["inspect", try source(in: folder)])
    #expect(text.output.contains("lstm.weight_ih_l0  [2, 3]  F32"))
  }

  @Test func whatCannotBeConvertedIsOneSentence() throws {
    let folder = try Folder()
    let path = try source(in: folder)
    try folder.create("junk.onnx", Array("not a model".utf8))
    for (arguments, status, word) in [
      (["convert", path, folder["b.npy"]], 65, "expected one tensor"),
      (["convert", path, folder["b.xyz"]], 64, "ends with"),
      (["convert", folder["none"], folder["b.npz"]], 66, "none"),
      (["convert", path, folder["missing/b.npz"]], 74, "cannot be written"),
      (["inspect", folder["junk.onnx"]], 65, "expected an ONNX file"),
    ] as [([String], Int32, String)] {
      let command = try Command(arguments)
      #expect(command.status == status, "\(command.errors)")
      #expect(command.isOneSentence && command.errors.contains(word), "\(command.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder["b.npy"]))
  }

  @Test func layersBecomeAModelThatNamesItsInputs() throws {
    let folder = try Folder()
    let path = folder["lstm.safetensors"]
    let shapes: [(String, Shape)] = [
      ("rnn.weight_ih_l0", [16, 3]), ("rnn.weight_hh_l0", [16, 4]), ("rnn.bias_ih_l0", [16]),
      ("rnn.bias_hh_l0", [16]), ("fc.weight", [2, 4]), ("fc.bias", [2]),
    ]
    try SafetensorsFile(
      shapes.map { name, shape in
        (name, Tensor(shape, (0..<shape.count).map { Double($0 % 7) / 8 - 0.4 }))
      }
    ).write(to: path)
    let model = folder["lstm.onnx"]
    #expect(try Command(["convert", path, model, "--head", "fc", "--states"]).status == 0)
    let json = try Command(["inspect", model, "--json"]).json
    func rows(_ key: String) -> [String] {
      (json[key] as? [[String: Any]])?.map { row in
        let shape = (row["shape"] as? [Any])?.map { "\($0)" } ?? []
        return "\(row["name"] ?? "") [\(shape.joined(separator: ", "))]"
      } ?? []
    }
    #expect(rows("inputs") == ["x [T, N, 3]", "h_0 [1, N, 4]", "c_0 [1, N, 4]"])
    #expect(rows("outputs") == ["y [T, N, 2]", "h_n [1, N, 4]", "c_n [1, N, 4]"])
    #expect((json["operators"] as? [String: Int])?["LSTM"] == 1)
    let refused = try Command(["convert", path, folder["a.npz"], "--head", "fc"])
    #expect(refused.status == 64 && refused.isOneSentence)
  }
}
