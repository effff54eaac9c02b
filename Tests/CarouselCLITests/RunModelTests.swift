import Carousel
import Foundation
import Testing

/// The forms in which `run` finds a model: names, stacks, heads, folders.
@Suite struct RunModelTests {
  typealias Tensors = [(name: String, tensor: Tensor)]

  /// The tensors that `o` holds.
  private func outputs(_ folder: Folder, _ options: String...) throws -> [String: Tensor] {
    let command = try Command(
      [
        "run", folder["m"], "--inputs", folder["i"], "--outputs", folder["o"], "--device",
        "reference", "--gradients",
      ] + options)
    #expect(command.status == 0, "\(command.errors)")
    return try SafetensorsFile(contentsOf: folder["o"]).tensorsByName
  }

  private func agree(_ actual: [String: Tensor], _ expected: [String: Tensor]) {
    #expect(Set(actual.keys) == Set(expected.keys))
    for (name, tensor) in expected {
      #expect(actual[name]?.shape == tensor.shape, "\(name)")
      let values = actual[name]?.values ?? []
      #expect(TensorComparison(name: name, actual: values, reference: tensor.values).ok, "\(name)")
    }
  }

  /// g and v of a weight: the norm of each row, and the rows at another length.
  private func factors(of weight: Tensor) -> (g: Tensor, v: Tensor) {
    let (rows, width) = (weight.shape[0], weight.shape[1])
    let norms = (0..<rows).map { row in
      weight.values[(row * width)..<((row + 1) * width)].reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    return (
      Tensor([rows, 1], norms), Tensor(weight.shape, weight.values.map { $0 * 3 })
    )
  }

  @Test(arguments: ["_g _v", "parametrizations", "_raw", "module", "norms of columns", "one norm"])
  func otherNamesOfTheSameParametersAreRead(form: String) throws {
    let expected = try outputs(Models.folder())
    let folder = try Models.folder(model: { tensors in
      tensors.flatMap { name, tensor -> Tensors in
        guard name.hasPrefix("weight_hh") else {
          return [("rnn." + (form == "module" ? "module." : "") + name, tensor)]
        }
        let (g, v) = factors(of: tensor)
        switch form {
        case "_g _v": return [("rnn.\(name)_g", g), ("rnn.\(name)_v", v)]
        case "parametrizations":
          let path = "rnn.parametrizations.\(name).original"
          return [(path + "0", g), (path + "1", v)]
        case "_raw":
          return [("rnn.\(name)_raw", tensor), ("rnn.\(name)", Tensor(zeros: tensor.shape))]
        case "module":
          return [
            ("rnn.\(name)_raw", tensor), ("rnn.module.\(name)", Tensor(zeros: tensor.shape)),
          ]
        case "one norm":
          let norm = tensor.values.reduce(0) { $0 + $1 * $1 }.squareRoot()
          return [("rnn.\(name)_g", Tensor([], [norm])), ("rnn.\(name)_v", v)]
        default:
          let (rows, width) = (tensor.shape[0], tensor.shape[1])
          let norms = (0..<width).map { column in
            (0..<rows).reduce(0.0) {
              $0 + tensor.values[$1 * width + column] * tensor.values[$1 * width + column]
            }.squareRoot()
          }
          return [("rnn.\(name)_g", Tensor([1, width], norms)), ("rnn.\(name)_v", v)]
        }
      }
    })
    agree(try outputs(folder), expected)
  }

  @Test func normsOfAnotherShapeAreRefused() throws {
    let folder = try Models.folder(model: { tensors in
      tensors.flatMap { name, tensor -> Tensors in
        name == "weight_hh_l1"
          ? [(name + "_g", Models.tensor([3, 1], 9)), (name + "_v", tensor)] : [(name, tensor)]
      }
    })
    let command = try folder.run()
    #expect(command.status == 65 && command.isOneSentence, "\(command.errors)")
    #expect(command.errors.contains("'weight_hh_l1_g' has the shape [3, 1]"))
  }

  @Test(arguments: [Cell.rnn, .gru, .lstm])
  func singleCellIsALayer(cell: Cell) throws {
    let configuration = RecurrentConfiguration(cell: cell, inputSize: 3, hiddenSize: 5)
    let folder = try Folder()
    let parameters = Models.parameters(of: configuration)
    try Models.inputs(for: configuration).write(to: folder["i"])
    try SafetensorsFile(parameters).write(to: folder["m"])
    let expected = try outputs(folder)
    try SafetensorsFile(
      parameters.map { ("cell." + $0.name.replacing("_l0", with: ""), $0.tensor) }
    ).write(to: folder["m"])
    agree(try outputs(folder), expected)
  }

  @Test func prefixChoosesOneOfSeveralStacks() throws {
    let expected = try outputs(Models.folder())
    let folder = try Models.folder(model: { tensors in
      tensors.map { ("encoder." + $0.name, Tensor(zeros: $0.tensor.shape)) }
        + tensors.map { ("net.decoder." + $0.name, $0.tensor) }
    })
    for prefix in ["net.decoder", "net.decoder."] {
      agree(try outputs(folder, "--prefix", prefix), expected)
    }
    for (options, status) in [([], 65), (["--prefix", "decoder"], 64)] as [([String], Int32)] {
      let command = try Command(
        ["run", folder["m"], "--inputs", folder["i"], "--outputs", folder["none"]] + options)
      #expect(command.status == status && command.isOneSentence, "\(command.errors)")
      #expect(command.errors.contains("'encoder.', 'net.decoder.'"), "\(command.errors)")
      #expect(options != [] || command.errors.contains("--prefix"))
    }
  }

  /// Σₖ a·b for each row and column; `indices` finds the two elements of (row, column, k).
  private func product(
    _ a: [Double], _ b: [Double], _ sizes: (rows: Int, columns: Int, sum: Int),
    _ indices: (Int, Int, Int) -> (Int, Int)
  ) -> [Double] {
    (0..<(sizes.rows * sizes.columns)).map { place in
      var sum = 0.0
      for k in 0..<sizes.sum {
        let (first, second) = indices(place / sizes.columns, place % sizes.columns, k)
        sum += a[first] * b[second]
      }
      return sum
    }
  }

  @Test func headIsNamedAndApplied() throws {
    let weight = Models.tensor([2, 5], 50)
    let bias = Models.tensor([2], 51)
    let folder = try Models.folder(
      model: {
        $0 + [
          ("net.fc.weight", weight), ("net.fc.bias", bias), ("conv", Models.tensor([2, 5], 1)),
        ]
      },
      inputs: { inputs in
        inputs.map { $0.name == "grad_y" ? ("grad_y", Models.tensor([4, 2, 2], 103)) : $0 }
      })
    let plain = try folder.run()
    #expect(plain.errors.contains("--head net.fc applies it"), "\(plain.errors)")
    #expect(plain.errors.contains("not used: 'net.fc.weight', 'net.fc.bias', 'conv'"))
    let y = try #require(try SafetensorsFile(contentsOf: folder["o"])["y"]).values
    let gradY = Models.tensor([4, 2, 2], 103).values
    let out = try outputs(folder, "--head", "fc")
    let found = try #require(out["y"])
    #expect(found.shape == [4, 2, 2])
    let expected = product(y, weight.values, (8, 2, 5)) { ($0 * 5 + $2, $1 * 5 + $2) }
    for (index, value) in expected.enumerated() {
      #expect(abs(found.values[index] - value - bias.values[index % 2]) < 1e-6)
    }
    let gradWeight = product(gradY, y, (2, 5, 8)) { ($2 * 2 + $0, $2 * 5 + $1) }
    for (index, value) in gradWeight.enumerated() {
      #expect(abs((out["grad_net.fc.weight"]?.values[index] ?? .nan) - value) < 1e-6)
    }
    let throughHead = Tensor(
      [4, 2, 5], product(gradY, weight.values, (8, 5, 2)) { ($0 * 2 + $2, $2 * 5 + $1) })
    let without = try outputs(
      Models.folder(inputs: { $0.map { $0.name == "grad_y" ? ("grad_y", throughHead) : $0 } }))
    for name in ["grad_x", "grad_weight_hh_l0", "h_n"] {
      let values = try #require(out[name]).values
      #expect(
        TensorComparison(name: name, actual: values, reference: without[name]!.values).ok, "\(name)"
      )
    }
    let wrong = try folder.run("--head", "conv")
    #expect(wrong.status == 64 && wrong.errors.contains("'net.fc'"), "\(wrong.errors)")
  }

  @Test func headPutsOutZerosPastALength() throws {
    let folder = try Models.folder(model: {
      $0 + [("fc.weight", Models.tensor([2, 5], 50)), ("fc.bias", Models.tensor([2], 51))]
    })
    let gradY = Models.tensor([4, 2, 2], 103)
    func write(_ gradY: Tensor) throws {
      try SafetensorsFile(
        [
          ("x", Models.tensor([4, 2, 3], 100)), ("lengths", Tensor([2], [1, 4])), ("grad_y", gradY),
        ],
        elementTypes: ["lengths": .int64]
      ).write(to: folder["i"])
    }
    try write(gradY)
    let out = try outputs(folder, "--head", "fc")
    let y = try #require(out["y"]).values
    #expect(y.indices.allSatisfy { (y[$0] == 0) == ($0 / 4 >= 1 && $0 % 4 < 2) }, "\(y)")
    var changed = gradY
    for index in [4, 5, 8, 9, 12, 13] { changed[index] = .nan }
    try write(changed)
    #expect(try outputs(folder, "--head", "fc") == out)
  }

  @Test func runsFolderIsAModel() throws {
    let folder = try Folder()
    try folder.create("t", String(repeating: "to be or not to be, ", count: 30).utf8)
    let training = try Command([
      "train", "text", folder["t"], "--output", folder["m"], "--device", "reference",
      "--max-steps", "1", "--steps", "4", "--batch-size", "2", "--hidden-size", "5",
      "--embedding-size", "3", "--cell", "gru", "--gru-reset", "before",
    ])
    #expect(training.status == 0, "\(training.errors)")
    try SafetensorsFile(Models.inputs.filter { $0.name == "x" }).write(to: folder["i"])
    let command = try folder.run("--json", "--head", "output")
    #expect(command.status == 0, "\(command.errors)")
    let used = try #require(try command.json["used"] as? [String: [String]])
    #expect(used["model"]?.contains("recurrent.weight_hh_l0") == true)
    #expect(used["model"]?.contains("output.bias") == true)
    #expect((try command.json["options"] as? [String: String])?["gruReset"] == "before")
  }

  @Test func pyTorchFileIsAModel() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../CarouselFormatsTests/PyTorch/checkpoint.pt"
    ).standardizedFileURL.path
    let folder = try Folder()
    try SafetensorsFile([("x", Models.tensor([4, 2, 3], 100))]).write(to: folder["i"])
    let shared = ["--inputs", folder["i"], "--outputs", folder["o"], "--device", "reference"]
    let command = try Command(["run", file, "--head", "fc", "--json"] + shared)
    #expect(command.status == 0, "\(command.errors)")
    #expect(try command.json["prefix"] as? String == "model_state.lstm.")
    let out = try SafetensorsFile(contentsOf: folder["o"]).tensorsByName
    let tensors = try TensorFile(file)
    let names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"].map { "lstm." + $0 }
    try SafetensorsFile(
      try (names + ["fc.weight", "fc.bias"]).map {
        ($0, try #require(try tensors.tensor("model_state." + $0)))
      }
    ).write(to: folder["m"])
    #expect(try folder.run("--head", "fc").status == 0)
    #expect(try SafetensorsFile(contentsOf: folder["o"]).tensorsByName == out)
    #expect(out["y"]?.shape == [4, 2, 4])
  }
}
