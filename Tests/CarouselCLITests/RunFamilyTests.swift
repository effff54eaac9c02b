import Carousel
import Foundation
import Testing

/// `run` over the whole family of layers.
@Suite struct RunFamilyTests {
  typealias Family = (options: String, configuration: RecurrentConfiguration)

  private static func make(
    _ cell: Cell, _ options: CellOptions = CellOptions(), layers: Int = 1,
    direction: Direction = .forward, merge: Merge = .concatenate
  ) -> RecurrentConfiguration {
    RecurrentConfiguration(
      cell: cell, inputSize: 3, hiddenSize: 5, layers: layers, direction: direction, merge: merge,
      options: options)
  }

  static let family: [Family] = [
    ("", make(.rnn, layers: 2, direction: .bidirectional)),
    ("--activation relu", make(.rnn, CellOptions(activations: ["hidden": Activation(.relu)]))),
    ("", make(.gru, CellOptions(bias: .none), direction: .bidirectional)),
    ("", make(.gru, CellOptions(bias: .single), layers: 3)),
    ("", make(.lstm, layers: 2, direction: .bidirectional)),
    ("--direction reverse", make(.lstm, direction: .reverse)),
    (
      "--merge sum", make(.lstm, layers: 2, direction: .bidirectional, merge: .sum)
    ),
    ("", make(.lstm, CellOptions(peepholes: true))),
    ("--cell gru", make(.gru, CellOptions(recurrence: .diagonal), layers: 2)),
    ("--hidden-size 5", make(.rnn, CellOptions(recurrence: .diagonal))),
    ("", make(.lstm, CellOptions(peepholes: true, recurrence: .diagonal))),
    ("--couple-input-forget", make(.lstm, CellOptions(forgetGate: .coupled, peepholes: true))),
    ("--tie forget=output", make(.lstm, CellOptions(forgetGate: .output, recurrence: .diagonal))),
    ("--forget-decay 0.8", make(.lstm, CellOptions(forgetGate: .constant(0.8)))),
    ("--cell-clip 0.1", make(.lstm, CellOptions(cellClip: 0.1))),
    ("--override forget=0.5", make(.lstm, CellOptions(overrides: ["forget": 0.5]))),
    ("", make(.lstm, CellOptions(projectionSize: 2), layers: 2, direction: .bidirectional)),
    ("", make(.lstm, CellOptions(peepholes: true, projectionSize: 4, layerNorm: true))),
    ("", make(.gru, CellOptions(layerNorm: true), layers: 2)),
    ("", make(.rnn, CellOptions(bias: .none, recurrence: .blocks(5)))),
    ("--gru-reset before", make(.gru, CellOptions(recurrence: .blocks(5), gruReset: .before))),
    (
      "--zoneout 0.25,0.5 --drop-connect 0.5 --recurrent-dropout 0.5",
      make(
        .lstm,
        CellOptions(
          recurrentDropout: 0.5, zoneoutHidden: 0.25, zoneoutCell: 0.5, dropConnect: 0.5))
    ),
    ("--zoneout 0.25", make(.gru, CellOptions(zoneoutHidden: 0.25))),
    ("", make(.mingru, CellOptions(bias: .single), layers: 2, direction: .bidirectional)),
    (
      "--activation g=positive",
      make(
        .mingru,
        CellOptions(bias: .none, activations: ["new": Activation(.positive)]))
    ),
    ("--cell slstm", make(.slstm, layers: 2, direction: .bidirectional)),
    ("--cell slstm", make(.slstm, CellOptions(recurrence: .blocks(5)))),
    ("--cell slstm", make(.slstm, CellOptions(projectionSize: 2, layerNorm: true))),
  ]

  private func folder(_ configuration: RecurrentConfiguration) throws -> Folder {
    let folder = try Folder()
    try SafetensorsFile(Models.parameters(of: configuration)).write(to: folder["m"])
    try Models.inputs(for: configuration).write(to: folder["i"])
    return folder
  }

  private func run(_ folder: Folder, _ options: String, device: String) throws -> Command {
    try Command(
      [
        "run", folder["m"], "--inputs", folder["i"], "--outputs", folder["o"], "--device", device,
        "--gradients",
      ] + options.split(separator: " ").map(String.init))
  }

  /// What the library computes for the layers that are meant.
  private func expected(_ configuration: RecurrentConfiguration) throws -> [NamedTensor] {
    let inputs = Models.inputs(for: configuration).tensorsByName
    func states(_ name: (String) -> String) -> [String: Tensor] {
      let names = configuration.cell.traits.stateNames
      return Dictionary(uniqueKeysWithValues: names.map { ($0, inputs[name($0)]) })
        .compactMapValues(\.self)
    }
    let pass = RecurrentPass(
      configuration,
      parameters: Dictionary(
        uniqueKeysWithValues: Models.parameters(of: configuration).map { ($0.name, $0.tensor) }),
      x: try #require(inputs["x"]), lengths: [2, 0, 4], initial: states { $0 + "_0" },
      gradients: .init(y: inputs["grad_y"], final: states { "grad_\($0)_n" }))
    return try pass.tensors(on: ReferenceBackend())
  }

  @Test(arguments: family)
  func layersAreToldFromTensorsAndOptions(member: Family) throws {
    let folder = try folder(member.configuration)
    let command = try run(folder, member.options, device: "reference")
    #expect(command.status == 0 && command.sentences.count == 2, "\(command.errors)")
    let actual = try SafetensorsFile(contentsOf: folder["o"])
    let expected = try expected(member.configuration)
    #expect(Set(actual.tensors.map(\.name)) == Set(expected.map(\.name)))
    for (name, tensor) in expected {
      let found = try #require(actual[name])
      #expect(found.shape == tensor.shape, "\(name)")
      #expect(
        TensorComparison(name: name, actual: found.values, reference: tensor.values).ok, "\(name)")
    }
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"), arguments: family)
  func deviceAgreesWithTheReference(member: Family) throws {
    let folder = try folder(member.configuration)
    #expect(try run(folder, member.options, device: "auto").status == 0)
    let actual = try SafetensorsFile(contentsOf: folder["o"])
    for (name, tensor) in try expected(member.configuration) {
      let values = try #require(actual[name]).values
      #expect(TensorComparison(name: name, actual: values, reference: tensor.values).ok, "\(name)")
    }
  }

  @Test func paddingIsZeroAndTheStateStandsStill() throws {
    let configuration = Self.make(.gru)
    let folder = try folder(configuration)
    #expect(try run(folder, "", device: "reference").status == 0)
    let out = try SafetensorsFile(contentsOf: folder["o"]).tensorsByName
    let y = try #require(out["y"]).values
    let state = try #require(out["h_n"]).values
    let initial = try #require(Models.inputs(for: configuration)["h_0"]).values
    for (n, length) in [2, 0, 4].enumerated() {
      for t in 0..<4 {
        let row = y[(t * 3 + n) * 5..<(t * 3 + n + 1) * 5]
        #expect(row.allSatisfy { t < length ? $0 != 0 : $0 == 0 })
        if t == length - 1 { #expect(Array(row) == Array(state[n * 5..<n * 5 + 5])) }
      }
    }
    for (kept, given) in zip(state[5..<10], initial[5..<10]) { #expect(kept == given) }
  }

  @Test func diagonalThatHidesItsCellExits64() throws {
    let folder = try folder(Self.make(.rnn, CellOptions(recurrence: .diagonal)))
    let command = try run(folder, "", device: "reference")
    #expect(command.status == 64)
    #expect(command.isOneSentence && command.errors.contains("weight_hh_l0"), "\(command.errors)")
  }

  @Test func cellStateOfACellWithoutOneIsNotUsed() throws {
    let configuration = Self.make(.gru)
    let folder = try folder(configuration)
    var inputs = Models.inputs(for: configuration)
    inputs.tensors.append(("c_0", Models.tensor([1], 1)))
    try inputs.write(to: folder["i"])
    let command = try run(folder, "", device: "reference")
    #expect(command.status == 0)
    #expect(command.errors.contains("'c_0'"))
  }

  @Test func overrideChangesATrainedModel() throws {
    let folder = try Folder()
    try folder.create("t", String(repeating: "to be or not to be, ", count: 30).utf8)
    let training = try Command([
      "train", "text", folder["t"], "--output", folder["run"], "--device", "reference",
      "--hidden-size", "7", "--embedding-size", "5", "--steps", "4", "--batch-size", "2",
      "--max-steps", "2", "--quiet",
    ])
    #expect(training.status == 0, "\(training.errors)")
    func loss(_ options: String...) throws -> Double? {
      let command = try Command(
        ["evaluate", folder["run"], folder["t"], "--device", "reference", "--json"] + options)
      #expect(command.status == 0, "\(command.errors)")
      return try command.json["loss"] as? Double
    }
    let plain = try #require(try loss())
    let overridden = try #require(try loss("--override", "output=0.25", "--override", "input=1"))
    #expect(plain.isFinite && overridden.isFinite && plain != overridden)
    let wrong = try Command([
      "generate", folder["run"], "--device", "reference", "--override", "reset=1",
    ])
    #expect(wrong.status == 64)
    #expect(wrong.isOneSentence, "\(wrong.errors)")
    let reader = try Command([
      "train", "text", folder["t"], "--output", folder["other"], "--device", "reference",
      "--bidirectional",
    ])
    #expect(reader.status == 64)
    #expect(reader.isOneSentence, "\(reader.errors)")
  }
}
