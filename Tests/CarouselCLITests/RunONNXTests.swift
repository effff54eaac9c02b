import CarouselFormats
import CarouselModel
import Foundation
import Testing

@Suite struct RunONNXTests {
  private func tensor(_ shape: Shape, seed: Int) throws -> Tensor {
    let random = Philox(seed: 7, stream: UInt64(seed))
    return try Tensor(
      shape: shape, values: (0..<shape.count).map { Double(Float(random.normal($0) / 2)) })
  }

  /// Layers with a linear layer, the same as an ONNX model, and inputs of both.
  private func files(in folder: Folder, projection: Int? = nil) throws -> [String] {
    let (H, C, P) = (5, 3, projection ?? 5)
    var shapes: [(String, Shape)] = [
      ("rnn.weight_ih_l0", [4 * H, C]), ("rnn.weight_hh_l0", [4 * H, P]),
      ("rnn.bias_ih_l0", [4 * H]), ("rnn.bias_hh_l0", [4 * H]), ("fc.weight", [2, P]),
      ("fc.bias", [2]),
    ]
    if projection != nil { shapes.append(("rnn.weight_hr_l0", [P, H])) }
    let weights = folder["lstm.safetensors"]
    try SafetensorsFile(
      shapes.enumerated().map { ($1.0, try tensor($1.1, seed: $0)) }
    ).write(to: weights)
    let given: [(String, Shape)] = [
      ("x", [6, 2, C]), ("h_0", [1, 2, P]), ("c_0", [1, 2, H]), ("grad_y", [6, 2, 2]),
    ]
    let inputs = folder["in.safetensors"]
    try SafetensorsFile(given.enumerated().map { ($1.0, try tensor($1.1, seed: 50 + $0)) })
      .write(to: inputs)
    let model = folder["lstm.onnx"]
    let made = try Command(["convert", weights, model, "--head", "fc", "--states"])
    #expect(made.status == 0, "\(made.errors)")
    return [weights, model, inputs]
  }

  private func distance(_ a: Tensor, _ b: Tensor) -> Double {
    guard a.shape == b.shape else { return .infinity }
    return zip(a.values, b.values).map { ($0 - $1).magnitude }.max() ?? 0
  }

  private func compare(_ files: [String], in folder: Folder, device: String) throws {
    let common = ["--inputs", files[2], "--gradients", "--device", device]
    let (layers, model) = (folder["layers.safetensors"], folder["model.safetensors"])
    let first = try Command(["run", files[0], "--head", "fc", "--outputs", layers] + common)
    #expect(first.status == 0, "\(first.errors)")
    let second = try Command(["run", files[1], "--outputs", model, "--json"] + common)
    #expect(second.status == 0, "\(second.errors)")
    let (expected, found) = (try TensorFile(layers), try TensorFile(model))
    for name in ["y", "h_n", "c_n", "grad_x", "grad_h_0", "grad_c_0"] {
      let a = try #require(try expected.tensor(name))
      let b = try #require(try found.tensor(name))
      // Sums of at most 20 products of numbers below 4, six steps long.
      let bound = 64 * Double(Float.ulpOfOne)
      #expect(distance(a, b) <= bound, "\(name)")
    }
    let outputs = try second.json["outputs"] as? [[String: Any]]
    #expect(outputs?.prefix(3).map { $0["name"] as? String } == ["y", "h_n", "c_n"])
  }

  @Test func modelGivesWhatItsLayersGive() throws {
    let folder = try Folder()
    try compare(try files(in: folder), in: folder, device: "reference")
  }

  @Test func scanGivesWhatItsLayersGive() throws {
    let folder = try Folder()
    try compare(try files(in: folder, projection: 2), in: folder, device: "reference")
  }

  @Test(.enabled(if: Command.hasDevice)) func deviceAgreesWithTheReference() throws {
    let folder = try Folder()
    try compare(try files(in: folder), in: folder, device: "auto")
  }

  @Test func inputsThatDoNotFitAreOneSentence() throws {
    let folder = try Folder()
    let files = try files(in: folder)
    let out = folder["out.safetensors"]
    func run(_ tensors: [(name: String, tensor: Tensor)], _ more: [String] = []) throws -> Command {
      let inputs = folder["bad.safetensors"]
      try SafetensorsFile(tensors, elementTypes: ["h_0": .int64]).write(to: inputs)
      return try Command(
        ["run", files[1], "--inputs", inputs, "--outputs", out, "--device", "reference"] + more)
    }
    let x = try tensor([4, 2, 3], seed: 1)
    let zeros = try Tensor(shape: [1, 2, 5], values: [Double](repeating: 0, count: 10))
    for (command, status, word) in [
      (try run([("x", x)]), 65, "expected the input 'h_0'"),
      (try run([("x", x), ("h_0", zeros), ("c_0", zeros)]), 65, "is of the type I64"),
      (try run([("x", x)], ["--layers", "2"]), 64, "says all of itself"),
    ] as [(Command, Int32, String)] {
      #expect(command.status == status && command.errors.contains(word), "\(command.errors)")
      #expect(command.isOneSentence, "\(command.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: out))
  }
}
