import Carousel
import Foundation
import Testing

@Suite struct RunTests {
  @Test func outputsHaveTheContractsNamesAndShapes() throws {
    let folder = try Models.folder()
    let command = try folder.run("--gradients")
    #expect(command.status == 0, "\(command.errors)")
    #expect(command.output.isEmpty)
    #expect(
      command.errors == """
        carousel: \(folder["m"]): 2 layers of lstm with input size 3, hidden size 5, bias double
        carousel: \(folder["i"]): 4 steps (T) of 2 sequences (N) with 3 features (C)

        """)
    let out = try SafetensorsFile(contentsOf: folder["o"])
    var shapes: [String: Shape] = [
      "y": [4, 2, 5], "h_n": [2, 2, 5], "c_n": [2, 2, 5], "grad_x": [4, 2, 3],
      "grad_h_0": [2, 2, 5], "grad_c_0": [2, 2, 5],
    ]
    for description in Models.configuration.parameterDescriptions {
      shapes["grad_" + description.name] = description.shape
    }
    #expect(out.tensorsByName.mapValues(\.shape) == shapes)
    for (name, tensor) in out.tensors {
      #expect(tensor.values.allSatisfy { $0.isFinite && $0 != 0 }, "\(name)")
      #expect(out.elementTypes[name] == .float32)
    }
  }

  @Test func withoutGradientsThereAreThreeOutputs() throws {
    let folder = try Models.folder()
    #expect(try folder.run().status == 0)
    let out = try SafetensorsFile(contentsOf: folder["o"])
    #expect(out.tensors.map(\.name) == ["y", "h_n", "c_n"])
  }

  @Test func theEndingOfTheOutputsSaysTheirFormat() throws {
    let folder = try Models.folder()
    #expect(try folder.run().status == 0)
    let expected = try SafetensorsFile(contentsOf: folder["o"]).tensorsByName
    func run(_ name: String) throws -> Command {
      try Command([
        "run", folder["m"], "--inputs", folder["i"], "--outputs", folder[name], "--device",
        "reference",
      ])
    }
    #expect(try run("o.npz").status == 0)
    #expect(try TensorFile(folder["o.npz"]).format == .npz)
    #expect(try SafetensorsFile(contentsOf: folder["o.npz"]).tensorsByName == expected)
    let several = try run("o.npy")
    #expect(several.status == 64)
    #expect(several.errors.contains("expected one tensor, found y, h_n, c_n; .npz holds several"))
  }

  @Test func oneUnitIsWhatThePaperSays() throws {
    let weights: [(String, Tensor)] = [
      ("weight_ih_l0", Tensor([4, 1], [0.5, -0.25, 0.75, 1])),
      ("weight_hh_l0", Tensor([4, 1], [0.1, 0.2, -0.3, 0.4])),
      ("bias_ih_l0", Tensor([4], [0.05, 1, -0.1, 0.2])),
    ]
    let x = [0.5, -1, 2]
    let folder = try Models.folder(
      model: { _ in weights }, inputs: { _ in [("x", Tensor([3, 1, 1], x))] })
    #expect(try folder.run().status == 0)
    func sigmoid(_ value: Double) -> Double { 1 / (1 + exp(-value)) }
    var (h, c) = (0.0, 0.0)
    let expected = x.map { x in
      let i = sigmoid(0.5 * x + 0.1 * h + 0.05)
      let f = sigmoid(-0.25 * x + 0.2 * h + 1)
      let g = tanh(0.75 * x - 0.3 * h - 0.1)
      let o = sigmoid(x + 0.4 * h + 0.2)
      c = f * c + i * g
      h = o * tanh(c)
      return h
    }
    let y = try #require(try SafetensorsFile(contentsOf: folder["o"])["y"])
    for (actual, expected) in zip(y.values, expected) { #expect(abs(actual - expected) < 1e-6) }
  }

  @Test func absentStatesAndGradientsAreZeros() throws {
    let sparse = try Models.folder(inputs: { Array($0.prefix(1)) })
    let explicit = try Models.folder(inputs: { inputs in
      inputs.map { ($0.name, $0.name == "x" ? $0.tensor : Tensor(zeros: $0.tensor.shape)) }
    })
    #expect(try sparse.run("--gradients").status == 0)
    #expect(try explicit.run("--gradients").status == 0)
    let (first, second) = (
      try SafetensorsFile(contentsOf: sparse["o"]).tensorsByName,
      try SafetensorsFile(contentsOf: explicit["o"]).tensorsByName
    )
    #expect(first == second)
    #expect(first["grad_x"] == Tensor(zeros: [4, 2, 3]))
  }

  @Test func prefixMakesNoDifference() throws {
    let bare = try Models.folder()
    let prefixed = try Models.folder(model: { _ in
      Models.parameters(prefix: "net.lstm.") + [("fc.weight", Models.tensor([2, 5], 50))]
    })
    #expect(try bare.run("--gradients").status == 0)
    #expect(try prefixed.run("--gradients").status == 0)
    let outputs = try [bare, prefixed].map { try Data(contentsOf: URL(filePath: $0["o"])) }
    #expect(outputs[0] == outputs[1])
  }

  @Test func checkpointsRecurrentPartRuns() throws {
    let bare = try Models.folder()
    let network = NetworkConfiguration(vocabularySize: 7, recurrent: Models.configuration)
    let description = JSON.encode(["network": network])
    let moments = Models.parameters(prefix: "optimizer.0.recurrent.")
    let checkpoint = try Models.folder(
      model: { _ in
        Models.parameters(prefix: "recurrent.") + moments
          + [("embedding.weight", Models.tensor([7, 3], 60))]
      }, metadata: ["carousel": description])
    #expect(try bare.run("--gradients").status == 0)
    #expect(try checkpoint.run("--gradients").status == 0)
    let outputs = try [bare, checkpoint].map { try Data(contentsOf: URL(filePath: $0["o"])) }
    #expect(outputs[0] == outputs[1])
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func deviceAgreesWithTheReference() throws {
    let folder = try Models.folder()
    #expect(try folder.run("--gradients").status == 0)
    let reference = try SafetensorsFile(contentsOf: folder["o"])
    #expect(try folder.run("--gradients", device: "auto").status == 0)
    let actual = try SafetensorsFile(contentsOf: folder["o"])
    for (name, tensor) in reference.tensors {
      let values = try #require(actual[name]).values
      #expect(TensorComparison(name: name, actual: values, reference: tensor.values).ok, "\(name)")
    }
  }

  @Test func unusedInputIsWarnedOf() throws {
    let folder = try Models.folder(inputs: { $0 + [("h0", Models.tensor([1], 70))] })
    let command = try folder.run()
    #expect(command.status == 0)
    #expect(command.output.isEmpty)
    #expect(command.errors.contains("'h0'"))
  }
}
