import CarouselFormats
import CarouselModel
import Foundation
import Testing

/// `train graph`, on the reference: a model of 5 steps of 2 sequences learns what another one does.
@Suite struct TrainGraphTests {
  private let folder: Folder

  init() throws {
    folder = try Folder()
    let layers = RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 4)
    func head(_ index: Int) -> [(name: String, tensor: Tensor)] {
      [("fc.weight", Models.tensor([2, 4], index)), ("fc.bias", Models.tensor([2], index + 1))]
    }
    try SafetensorsFile(Models.parameters(prefix: "rnn.", of: layers) + head(50))
      .write(to: folder["m.safetensors"])
    let made = try Command([
      "convert", folder["m.safetensors"], folder["m.onnx"], "--head", "fc",
    ])
    #expect(made.status == 0, "\(made.errors)")
    // The sum of what was read so far.
    let x = Models.tensor([12, 5, 2, 3], 60)
    var targets = [Double](repeating: 0, count: 12 * 5 * 2 * 2)
    for example in 0..<12 {
      for sequence in 0..<2 {
        var sum = 0.0
        for step in 0..<5 {
          for channel in 0..<3 { sum += x[((example * 5 + step) * 2 + sequence) * 3 + channel] / 6 }
          targets[((example * 5 + step) * 2 + sequence) * 2] = sum
          targets[((example * 5 + step) * 2 + sequence) * 2 + 1] = -sum / 2
        }
      }
    }
    try SafetensorsFile([("x", x), ("goal", Tensor([12, 5, 2, 2], targets))])
      .write(to: folder["data.safetensors"])
  }

  private func train(_ options: [String], to run: String? = nil) throws -> Command {
    try Command(
      ["train", "graph"] + options + ["--device", "reference", "--quiet", "--json"]
        + (run.map { ["--output", folder[$0]] } ?? []))
  }

  private var work: [String] {
    [
      folder["m.onnx"], folder["data.safetensors"], "--loss", "mse=y,goal", "--learning-rate",
      "0.01", "--validation", "0.25",
    ]
  }

  private func tensors(_ path: String) throws -> [String: Tensor] {
    try SafetensorsFile(contentsOf: path).tensorsByName
  }

  @Test func modelComesBackWithOtherWeights() throws {
    let command = try train(work + ["--max-epochs", "15"], to: "run")
    #expect(command.status == 0, "\(command.errors)")
    let document = try command.json
    func loss(_ part: String) -> Double {
      (document[part] as? [String: Any])?["loss"] as? Double ?? .nan
    }
    let metrics = try String(contentsOfFile: folder["run"] + "/metrics.jsonl", encoding: .utf8)
    let first = try #require(
      JSONSerialization.jsonObject(with: Data(metrics.split(separator: "\n")[0].utf8))
        as? [String: Any])
    let before = try #require(first["validationLoss"] as? Double)
    #expect(first["step"] as? Int == 0)
    #expect(loss("validation") < 0.5 * before, "\(before) \(document)")

    // The model that came back has the loss that was reported, and the same face.
    let trained = folder["run"] + "/model.onnx"
    let (old, new) = try (
      Command(["inspect", folder["m.onnx"], "--json"]).json,
      Command(["inspect", trained, "--json"]).json
    )
    for key in ["inputs", "outputs", "operators", "tensors"] {
      let (a, b) = (old[key] as? NSObject, new[key] as? NSObject)
      #expect(a != nil && a == b, "\(key)")
    }
    let again = try train(
      [
        trained, folder["data.safetensors"], "--loss", "mse=y,goal", "--validation",
        "0.25", "--max-steps", "1", "--learning-rate", "1e-30",
      ], to: "again")
    let found = (try again.json["validation"] as? [String: Any])?["loss"] as? Double ?? .nan
    // The reference trains in Float64, the file holds Float32.
    #expect(abs(found - loss("validation")) < 1e-6)
  }

  @Test func frozenParametersKeepTheirBits() throws {
    let command = try train(
      work + ["--max-steps", "3", "--freeze", "output.*", "--learning-rate-for", "*bias*=1e-3"],
      to: "run")
    #expect(command.status == 0, "\(command.errors)")
    let (before, after) = (folder["before.npz"], folder["after.npz"])
    for (model, file) in [(folder["m.onnx"], before), (folder["run"] + "/model.onnx", after)] {
      let made = try Command(["convert", model, file])
      #expect(made.status == 0, "\(made.errors)")
    }
    let (old, new) = (try TensorFile(before), try TensorFile(after))
    #expect(old.entries.map(\.name) == new.entries.map(\.name))
    for entry in old.entries {
      let same = try old.tensor(entry).values == new.tensor(entry.name)?.values
      #expect(same != entry.name.hasPrefix("recurrent."), "\(entry.name)")
    }
  }

  @Test func resumedRunHasTheSameBits() throws {
    let options = work + ["--schedule", "constant", "--learning-rate-for", "output.*=0.1"]
    let whole = try train(options + ["--max-steps", "6"], to: "whole")
    #expect(whole.status == 0, "\(whole.errors)")
    #expect(try train(options + ["--max-steps", "3"], to: "part").status == 0)
    let resumed = try train(["--resume", folder["part"], "--max-steps", "6"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    let (a, b) = try (
      tensors(folder["whole"] + "/last.safetensors"), tensors(folder["part"] + "/last.safetensors")
    )
    #expect(!a.isEmpty && a == b)
  }

  @Test func ranksShareTheExamplesOfAnUpdate() throws {
    func tensors(_ name: String, _ words: [String]) throws -> [String: Tensor] {
      let run = folder[name]
      let command = try Command(
        ["train", "graph"] + work + ["--max-steps", "5", "--output", run, "--json"] + words)
      #expect(command.status == 0, "\(command.errors)")
      let ranks = try command.json["ranks"] as? Int
      #expect(ranks == (words.contains("reference,reference") ? 2 : 1))
      return try self.tensors(run + "/last.safetensors")
    }
    let one = try tensors("one", ["--device", "reference", "--batch-size", "4"])
    let two = try tensors("two", ["--device", "reference,reference", "--batch-size", "4"])
    #expect(!one.isEmpty && one == two)
    // As many batches of one example.
    let batches = try tensors("batches", ["--device", "reference", "--accumulate", "4"])
    #expect(one == batches)
    let resumed = try Command([
      "train", "graph", "--resume", folder["two"], "--max-steps", "7", "--device", "reference",
      "--json",
    ])
    #expect(try resumed.status == 0 && resumed.json["shards"] as? Int == 2, "\(resumed.errors)")
    let refused = try Command(
      ["train", "graph"] + work + ["--device", "reference,reference", "--output", folder["none"]])
    #expect(refused.status == 64 && refused.errors.contains("batch size 1"), "\(refused.errors)")
  }

  @Test func aRunHasAPageEventsAndAConfigurationThatRepeatsIt() throws {
    let (page, events) = (folder["page.html"], folder["events"])
    let options = [
      "--max-steps", "6", "--freeze", "output.b*", "--learning-rate-for", "*bias*=0.1",
      "--log-every", "1",
    ]
    let command = try train(
      work + options + ["--report", page, "--tensorboard", events, "--ema", "0.9"], to: "run")
    #expect(command.status == 0, "\(command.errors)")
    let html = try String(contentsOfFile: page, encoding: .utf8)
    for text in ["carousel train graph", "mse=y,goal", "learning rate", "trained parameters"] {
      #expect(html.contains(text), "\(text)")
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: events)
    #expect(files.count == 1 && files[0].contains("tfevents"))
    let config = folder["run"] + "/config.yaml"
    let again = try train(["--config", config], to: "again")
    #expect(again.status == 0, "\(again.errors)")
    let (a, b) = try (
      tensors(folder["run"] + "/last.safetensors"),
      tensors(folder["again"] + "/last.safetensors")
    )
    #expect(!a.isEmpty && a == b)
    #expect(try String(contentsOfFile: config, encoding: .utf8).contains("loss: \"mse=y,goal\""))
    let refused = try train(work + ["--report", "/nowhere/page.html"], to: "never")
    #expect(refused.status == 74 && refused.isOneSentence, "\(refused.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder["never"] + "/last.safetensors"))
  }

  @Test func whatDoesNotFitIsOneSentence() throws {
    let data = folder["data.safetensors"]
    for (arguments, status, word) in [
      ([folder["m.onnx"], data], 64, "--loss"),
      (work + ["--freeze", "nothing*"], 64, "no parameter of the model has such a name"),
      (work + ["--freeze", "*"], 64, "no parameter is left to train"),
      ([folder["m.onnx"], data, "--loss", "mse=z,goal"], 64, "no output 'z'"),
      ([folder["m.onnx"], data, "--loss", "mse=y"], 64, "mse=y,target"),
      ([folder["m.onnx"], data, "--loss", "mse=y,none"], 65, "expected a tensor 'none'"),
      ([folder["m.onnx"], data, "--loss", "mse=y,x"], 65, "targets of shape [5, 2, 3]"),
      ([folder["m.onnx"], data, "--loss", "cross-entropy=y,goal"], 65, "is of the type"),
      ([data, data, "--loss", "mse=y,goal"], 65, "expected an ONNX file"),
      (["--resume", folder["none"]], 66, "none"),
    ] as [([String], Int32, String)] {
      let command = try train(arguments + (arguments[0] == "--resume" ? [] : ["--max-steps", "1"]))
      #expect(command.status == status && command.errors.contains(word), "\(command.errors)")
      #expect(command.isOneSentence, "\(command.errors)")
    }
  }
}
