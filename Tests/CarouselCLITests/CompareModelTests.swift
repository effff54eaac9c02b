import CarouselFormats
import CarouselModel
import Foundation
import Testing

/// `compare MODEL` and `profile MODEL`.
@Suite struct CompareModelTests {
  private static let layers: RecurrentConfiguration = Models.configuration

  /// Two layers with a linear layer, as safetensors and as an ONNX model.
  private func files(_ folder: Folder) throws -> (layers: String, model: String) {
    let (layers, model) = (folder["m.safetensors"], folder["m.onnx"])
    let head = [("fc.weight", Models.tensor([2, 5], 50)), ("fc.bias", Models.tensor([2], 51))]
    try SafetensorsFile(Models.parameters(prefix: "rnn.") + head.map { (name: $0.0, tensor: $0.1) })
      .write(to: layers)
    let made = try Command(["convert", layers, model, "--head", "fc"])
    #expect(made.status == 0, "\(made.errors)")
    return (layers, model)
  }

  private func cases(_ command: Command) throws -> [[String: Any]] {
    #expect(command.status == 0, "\(command.errors)")
    let document = try command.json
    #expect(document["ok"] as? Bool == true)
    return document["cases"] as? [[String: Any]] ?? []
  }

  private func operators(_ cases: [[String: Any]]) -> [String] {
    cases.compactMap { ($0["options"] as? [String: String])?["operator"] }
  }

  @Test(.enabled(if: Command.hasDevice)) func everyOperatorOfAModelAgrees() throws {
    let folder = try Folder()
    let (_, model) = try files(folder)
    let command = try Command([
      "compare", model, "--sequence-length", "4", "--batch-size", "2", "--json",
    ])
    let cases = try cases(command)
    let names = operators(cases)
    #expect(names.count { $0 == "lstm" } == 2 && names.last == "all", "\(names)")
    #expect(cases.contains { $0["cell"] as? String == "lstm" })
    let tensors = (cases.last?["tensors"] as? [[String: Any]] ?? []).compactMap {
      $0["name"] as? String
    }
    #expect(tensors.contains("y") && tensors.contains("grad_x"), "\(tensors)")
    #expect(tensors.contains { $0.hasPrefix("grad_") && $0.contains("weight_ih_l0") })
    #expect(command.errors.contains("x [T=4, N=2, 3] F32, drawn with the seed 1"))
  }

  @Test(.enabled(if: Command.hasDevice)) func everyLayerOfAFileAgrees() throws {
    let folder = try Folder()
    let (layers, _) = try files(folder)
    let cases = try cases(
      Command(["compare", layers, "--lengths", "4,0,2", "--sequence-length", "4", "--json"]))
    #expect(operators(cases) == ["layer 0", "layer 1", "all"])
    let options = cases.last?["options"] as? [String: String]
    #expect(options?["head"] == "fc")
  }

  @Test(.enabled(if: Command.hasDevice)) func operatorsOfAModelAreTimed() throws {
    let folder = try Folder()
    let (_, model) = try files(folder)
    let command = try Command([
      "profile", model, "--iterations", "1", "--warmup", "1", "--sequence-length", "4", "--json",
    ])
    #expect(command.status == 0, "\(command.errors)")
    let document = try command.json
    let operators = try #require(document["operators"] as? [[String: Any]])
    let kernels = try #require(document["kernels"] as? [[String: Any]])
    func launches(_ rows: [[String: Any]]) -> Int {
      rows.reduce(0) { $0 + ($1["launches"] as? Int ?? 0) }
    }
    #expect(operators.contains { $0["name"] as? String == "lstm" })
    #expect(launches(operators) == launches(kernels) && launches(kernels) > 0)
  }

  @Test func whatDoesNotFitIsOneSentence() throws {
    let folder = try Folder()
    let (layers, model) = try files(folder)
    for (arguments, status, word) in [
      (["compare", model, "--shape", "z=1,2"], 64, "no input 'z'"),
      (["compare", model, "--shape", "x=4,1,2"], 65, "expected [T, N, 3]"),
      (["compare", model, "--layers", "2"], 64, "says all of itself"),
      (["compare", layers, "--value", "x=1"], 64, "for ONNX models"),
      (["compare", "--value", "x=1"], 64, "for a MODEL"),
      (["compare", folder["none.onnx"]], 66, "none.onnx"),
    ] as [([String], Int32, String)] {
      let command = try Command(arguments + ["--device", "reference"])
      #expect(command.status == status && command.errors.contains(word), "\(command.errors)")
      #expect(command.output.isEmpty)
      #expect(command.sentences.count >= 1)
    }
  }
}
