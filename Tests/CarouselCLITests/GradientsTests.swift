import Foundation
import Testing

@testable import Carousel

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite struct GradientsTests {
  private func norms(_ json: [String: Any], _ key: String) throws -> [Double] {
    try #require(json["norms"] as? [[String: Any]]).map { try #require($0[key] as? Double) }
  }

  @Test func oneCellIsTheContractsObject() throws {
    let command = try Command(
      ["gradients", "--device", "reference", "--json", "--steps", "7", "--hidden-size", "6"])
    #expect(command.status == 0 && command.errors.isEmpty)
    let json = try command.json
    #expect(json["cell"] as? String == "lstm")
    #expect(json["steps"] as? Int == 7)
    let sequenceLength = try #require(json["norms"] as? [[String: Any]]).map { $0["step"] as? Int }
    #expect(sequenceLength == Array(1...7))
    let hidden = try norms(json, "hidden")
    #expect(abs(hidden[6] - 1) < 1e-12)
    #expect(try (hidden + norms(json, "cell")).allSatisfy { $0 > 0 && $0.isFinite })
  }

  @Test func severalCellsStandSideBySide() throws {
    let folder = try Folder()
    let command = try Command([
      "gradients", "--device", "reference", "--json", "--cell", "rnn,lstm,gru", "--steps", "30",
      "--hidden-size", "8", "--override", "forget=0", "--plot", folder["p.svg"],
    ])
    #expect(command.status == 0, "\(command.errors)")
    let cells = try #require(try command.json["cells"] as? [[String: Any]])
    #expect(cells.map { $0["cell"] as? String } == ["rnn", "lstm", "gru"])
    let rnn = try #require(cells[0]["norms"] as? [[String: Any]])
    #expect(rnn.allSatisfy { $0["cell"] is NSNull })
    #expect(cells[0]["spectralRadius"] is Double)
    #expect(cells[2]["spectralRadius"] == nil)
    let picture = try String(contentsOfFile: folder["p.svg"], encoding: .utf8)
    #expect(XMLParser(data: Data(picture.utf8)).parse())
    let lines = picture.matches(of: /<polyline [^>]*points="([^"]*)"/)
    #expect(lines.map { $0.1.split(separator: " ").count } == [30, 30, 30, 30])
    let names = picture.matches(of: />([a-z]+ ∂[hc])</).map { String($0.1) }
    #expect(names.sorted() == ["gru ∂h", "lstm ∂c", "lstm ∂h", "rnn ∂h"])
  }

  /// What the rest of the sequence says by itself: one backward pass over the steps after t.
  @Test(arguments: [
    RecurrentConfiguration(cell: .rnn, inputSize: 3, hiddenSize: 1),
    RecurrentConfiguration(cell: .gru, inputSize: 3, hiddenSize: 1, layers: 2),
    RecurrentConfiguration(cell: .lstm, inputSize: 3, hiddenSize: 1),
    RecurrentConfiguration(cell: .lstm, inputSize: 3, hiddenSize: 1, layers: 3),
    RecurrentConfiguration(
      cell: .lstm, inputSize: 3, hiddenSize: 1, options: CellOptions(forgetGate: .coupled)),
    RecurrentConfiguration(
      cell: .lstm, inputSize: 3, hiddenSize: 1, options: CellOptions(cellClip: 0.05)),
    RecurrentConfiguration(
      cell: .lstm, inputSize: 3, hiddenSize: 1, options: CellOptions(overrides: ["forget": 1])),
  ])
  func normsAreThoseOfTheRestOfTheSequence(configuration: RecurrentConfiguration) throws {
    let backend = ReferenceBackend()
    let flow = try GradientFlow(configuration, sequenceLength: 6, batchSize: 1, seed: 3)
    let norms = try flow.norms(on: backend)
    let layers = configuration.layers
    for step in 1..<6 {
      func part(_ range: Range<Int>) -> Tensor {
        Tensor(
          [range.count, 1, 3], Array(flow.x.values[range.lowerBound * 3..<range.upperBound * 3]))
      }
      var pass = RecurrentPass(configuration, parameters: flow.parameters, x: part(0..<step))
      let first = Dictionary(
        uniqueKeysWithValues: try pass.tensors(on: backend).map { ($0.name, $0.tensor) })
      var gradient = Tensor(zeros: [layers, 1, 1])
      gradient[layers - 1] = 1
      pass = RecurrentPass(
        configuration, parameters: flow.parameters, x: part(step..<6),
        initial: ["h": first["h_n"], "c": first["c_n"]].compactMapValues(\.self),
        gradients: .init(final: ["h": gradient]))
      let rest = Dictionary(
        uniqueKeysWithValues: try pass.tensors(on: backend).map { ($0.name, $0.tensor) })
      let hidden = try #require(rest["grad_h_0"]).values[layers - 1]
      #expect(abs(norms[step - 1].hidden / hidden.magnitude - 1) < 1e-9)
      guard let c = first["c_n"]?.values[layers - 1], let h = first["h_n"]?.values[layers - 1]
      else { continue }
      let o = h / tanh(c)
      let cell =
        try #require(rest["grad_c_0"]).values[layers - 1] + hidden * o * (1 - h / o * h / o)
      let found = try #require(norms[step - 1].cell)
      #expect(abs(found / cell.magnitude - 1) < 1e-6, "step \(step)")
    }
  }

  @Test func forgettingEverythingCutsTheCellsWay() throws {
    func first(_ options: String...) throws -> Double {
      let command = try Command(
        ["gradients", "--device", "reference", "--json", "--steps", "20", "--hidden-size", "16"]
          + options)
      #expect(command.status == 0, "\(command.errors)")
      return try norms(try command.json, "cell")[0]
    }
    let kept = try first("--override", "forget=1")
    let plain = try first()
    let cut = try first("--override", "forget=0")
    #expect(kept > 100 * plain)
    #expect(plain > 100 * cut)
  }

  /// The textbook's picture: an LSTM carries gradients further than a GRU, and that further than an RNN.
  @Test func theCellsRememberInTheOrderOfTheTextbook() throws {
    let command = try Command([
      "gradients", "--device", "reference", "--json", "--cell", "rnn,gru,lstm", "--steps", "40",
      "--hidden-size", "16",
    ])
    #expect(command.status == 0, "\(command.errors)")
    let cells = try #require(try command.json["cells"] as? [[String: Any]])
    let first = try cells.map { try norms($0, "hidden")[0] }
    #expect(first[0] < first[1] / 100 && first[1] < first[2] / 100, "\(first)")
    #expect(try norms(cells[2], "cell")[0] > first[2])
  }

  @Test func spectralRadiusIsThatOfARotation() throws {
    let (angle, scale) = (0.7, 0.85)
    let matrix = [
      scale * cos(angle), -scale * sin(angle), 0, scale * sin(angle), scale * cos(angle), 0, 0, 0,
      -0.3,
    ]
    let folder = try Models.folder(model: { _ in
      [
        ("weight_ih_l0", Models.tensor([3, 2], 1)), ("weight_hh_l0", Tensor([3, 3], matrix)),
      ]
    })
    let command = try Command(["gradients", folder["m"], "--device", "reference", "--json"])
    #expect(command.status == 0, "\(command.errors)")
    let radius = try #require(try command.json["spectralRadius"] as? Double)
    #expect(abs(radius - scale) < 1e-6)
  }

  @Test func trainedModelIsReadFromItsRun() throws {
    let folder = try Folder()
    try folder.create("t", String(repeating: "to be or not to be, ", count: 30).utf8)
    let training = try Command([
      "train", "text", folder["t"], "--output", folder["run"], "--device", "reference",
      "--hidden-size", "7", "--embedding-size", "5", "--steps", "4", "--batch-size", "2",
      "--max-steps", "2", "--quiet", "--cell", "gru",
    ])
    #expect(training.status == 0, "\(training.errors)")
    let command = try Command([
      "gradients", folder["run"], "--device", "reference", "--json", "--steps", "5", "--override",
      "update=0.5",
    ])
    #expect(command.status == 0, "\(command.errors)")
    #expect(try command.json["cell"] as? String == "gru")
    let wrong = try Command(["gradients", folder["run"], "--cell", "lstm"])
    #expect(wrong.status == 64)
    #expect(wrong.isOneSentence, "\(wrong.errors)")
  }

  @Test func prefixChoosesOneOfSeveralStacksOfAModel() throws {
    func norms(_ folder: Folder, _ options: String...) throws -> Command {
      try Command(
        ["gradients", folder["m"], "--device", "reference", "--steps", "3", "--json"] + options)
    }
    let expected = try norms(Models.folder())
    let two = try Models.folder(model: { tensors in
      tensors.map { ("encoder." + $0.name, Tensor(zeros: $0.tensor.shape)) }
        + tensors.map { ("decoder." + $0.name, $0.tensor) }
    })
    let chosen = try norms(two, "--prefix", "decoder")
    #expect(chosen.status == 0 && chosen.output == expected.output, "\(chosen.errors)")
    let open = try norms(two)
    #expect(open.status == 65 && open.errors.contains("--prefix chooses one"))
    let useless = try Command(["gradients", "--prefix", "decoder"])
    #expect(useless.status == 64 && useless.isOneSentence, "\(useless.errors)")
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func deviceAgreesWithTheReference() throws {
    func all(_ device: String) throws -> [Double] {
      let command = try Command([
        "gradients", "--device", device, "--json", "--steps", "12", "--hidden-size", "9",
        "--layers", "2", "--peepholes",
      ])
      #expect(command.status == 0, "\(command.errors)")
      return try norms(command.json, "hidden") + norms(command.json, "cell")
    }
    for (actual, expected) in zip(try all("auto"), try all("reference")) {
      #expect(abs(actual / expected - 1) < 1e-4)
    }
  }

  @Test(arguments: [
    "--cell rnn,elman", "--cell rnn,rnn", "--dropout 0.5", "--cell rnn,gru --override forget=0",
    "--cell rnn,gru --peepholes",
    "--cell lstm,gru --activation hiden=relu", "--steps 0", "model --cell rnn,gru",
  ])
  func wrongUsageExits64(line: String) throws {
    let command = try Command(
      ["gradients", "--device", "reference"] + line.split(separator: " ").map(String.init))
    #expect(command.status == 64, "\(command.errors)")
    #expect(command.isOneSentence, "\(command.errors)")
  }

  /// A layer that reads backward is one that reads the sequence from its end on.
  @Test func aReverseLayerIsAForwardOneOfTheReversedSequence() throws {
    for layers in [1, 2] {
      let reverse = RecurrentConfiguration(
        cell: .lstm, inputSize: 3, hiddenSize: 4, layers: layers, direction: .reverse)
      var forward = reverse
      forward.direction = .forward
      let flow = try GradientFlow(reverse, sequenceLength: 5, batchSize: 2, seed: 3)
      let rows = (0..<5).reversed().flatMap { flow.x.values[$0 * 6..<($0 + 1) * 6] }
      let mirrored = try GradientFlow(
        forward, parameters: flow.parameters, x: Tensor([5, 2, 3], rows), seed: 3)
      let backend = ReferenceBackend()
      let (found, expected) = (try flow.norms(on: backend), try mirrored.norms(on: backend))
      #expect(found.map(\.step) == [1, 2, 3, 4, 5] && abs(found[0].hidden - 1) < 1e-12)
      for (a, b) in zip(found, expected.reversed()) {
        #expect(abs(a.hidden / b.hidden - 1) < 1e-12)
        let (cellA, cellB) = (try #require(a.cell), try #require(b.cell))
        #expect(abs(cellA / cellB - 1) < 1e-12)
      }
    }
  }

  @Test func aBidirectionalLayerIsFollowedInEachDirection() throws {
    let command = try Command([
      "gradients", "--device", "reference", "--json", "--cell", "rnn", "--steps", "6",
      "--hidden-size", "5", "--layers", "2", "--bidirectional",
    ])
    #expect(command.status == 0, "\(command.errors)")
    let reverse = try #require(try command.json["reverse"] as? [String: Any])
    let (ahead, back) = (try norms(command.json, "hidden"), try norms(reverse, "hidden"))
    #expect(abs(ahead[5] - 1) < 1e-12 && abs(back[0] - 1) < 1e-12)
    #expect(ahead[0] < ahead[4] && back[5] < back[1])
    #expect(reverse["spectralRadius"] is Double && reverse.count == 2)
    let radius = try command.json["spectralRadius"] as? Double
    #expect(radius != nil && radius != reverse["spectralRadius"] as? Double)
  }

  /// Every task's model has an answer, in every direction that its layers have.
  @Test(arguments: ["classify", "forecast", "tag", "copy"])
  func aModelOfAnyTaskIsFollowedAndCounted(task: String) throws {
    let data = try OwnData()
    let words: [String] =
      switch task {
      case "classify": [try data.classes(), "--id", "id", "--label", "label", "--time", "time"]
      case "forecast":
        [
          try data.series(), "--target", "y", "--time", "time", "--window", "8", "--horizon", "2",
        ]
      case "tag": [try data.tags()]
      default: []
      }
    let small =
      OwnData.small + (["classify", "forecast", "tag"].contains(task) ? [] : ["--steps", "5"])
    let run = data.folder["run"]
    let training = try Command(["train", task] + words + small + ["--output", run])
    #expect(training.status == 0, "\(training.errors)")
    let command = try Command(["gradients", run, "--device", "reference", "--json", "--steps", "5"])
    #expect(command.status == 0, "\(command.errors)")
    #expect(try norms(command.json, "hidden").allSatisfy { $0 > 0 && $0.isFinite })
    let hasReverse = try command.json["reverse"] != nil
    #expect(hasReverse == (task == "tag"))
    let parameters = try Command(["parameters", run, "--json"])
    #expect(parameters.status == 0, "\(parameters.errors)")
    let tensors = try #require(try parameters.json["tensors"] as? [[String: Any]])
    let inspected = try Command(["inspect", run, "--json"])
    let stored = try #require(try inspected.json["tensors"] as? [[String: Any]])
    let names = Set(tensors.compactMap { $0["name"] as? String })
    #expect(
      names
        == Set(stored.compactMap { $0["name"] as? String }.filter { !$0.hasPrefix("optimizer.") }))
  }

  @Test func plotThatCannotBeWrittenExits74() throws {
    let folder = try Folder()
    let command = try Command([
      "gradients", "--device", "reference", "--steps", "2", "--plot", folder["missing/p.svg"],
    ])
    #expect(command.status == 74)
    #expect(command.isOneSentence, "\(command.errors)")
  }
}
