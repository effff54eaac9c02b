import Foundation
import Testing

@testable import Carousel

@Suite struct ExperimentTests {
  private func rows(_ command: Command) throws -> [[String: Any]] {
    try #require(try command.json["rows"] as? [[String: Any]])
  }

  @Test func theListNamesEveryExperiment() throws {
    let command = try Command(["experiment", "--json"])
    #expect(command.status == 0, "\(command.errors)")
    let all = try #require(try command.json["experiments"] as? [[String: String]])
    #expect(all.map { $0["name"] } == Experiment.allCases.map(\.rawValue))
    #expect(all.allSatisfy { $0["question"]?.hasSuffix("?") == true })
  }

  /// The textbook's network: 20 → 128 → 10, 18,944 + 1,280 weights.
  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func unrollingCopiesUsesAndNotParameters() throws {
    let folder = try Folder()
    let command = try Command([
      "experiment", "unrolling", "--cell", "rnn,gru", "--seeds", "1", "--json", "--report",
      folder["r.html"], "--plot", folder["p.svg"],
    ])
    #expect(command.status == 0, "\(command.errors)")
    let rows = try rows(command)
    try #require(rows.count == 8)
    #expect(rows.prefix(4).allSatisfy { $0["parameters"] as? Double == 18_944 + 1280 })
    #expect(rows.prefix(2).map { $0["weightUses"] as? Double } == [101_120, 202_240])
    #expect(rows[4]["parameters"] as? Double == Double(3 * 18_944 + 1280))
    let finding = try #require(try command.json["finding"] as? String)
    #expect(finding.contains("20,224 weights are used 101,120 and 202,240 times"))
    let files = try #require(try command.json["files"] as? [String])
    #expect(
      files == [folder["p.svg"], folder["p-memory.svg"], folder["p-time.svg"], folder["r.html"]])
    let page = try String(contentsOfFile: folder["r.html"], encoding: .utf8)
    #expect(page.components(separatedBy: "<svg").count == 4 && page.contains("101,120"))
    #expect(page.contains("carousel experiment unrolling --cell rnn,gru --seeds 1"))
  }

  /// A rotation that shrinks by 0.8, around the state 0, where tanh has the slope 1.
  @Test func theLyapunovExponentOfALinearMapIsThatOfItsRadius() throws {
    let layers = RecurrentConfiguration(
      cell: .rnn, inputSize: 1, hiddenSize: 2, options: CellOptions(bias: .none))
    let parameters = [
      "weight_ih_l0": Tensor(zeros: [2, 1]),
      "weight_hh_l0": Tensor(
        [2, 2], [0.8 * cos(0.5), -0.8 * sin(0.5), 0.8 * sin(0.5), 0.8 * cos(0.5)]),
    ]
    let value = try LyapunovExponent(layers, parameters: parameters, on: ReferenceBackend())
      .value(x: Tensor(zeros: [40, 3, 1]), seed: 1)
    #expect(abs(value - log(0.8)) < 1e-5)
  }

  @Test func theSlopeIsThatOfTheLogarithm() {
    // From step 1 on; what is too small for Float32 does not count.
    let norms = (0..<50).map { exp(-3 * Double(49 - $0)) }
    #expect(abs(gradientSlope(norms) + 3) < 1e-9)
    #expect(abs(gradientSlope([8, 4, 2, 1]) - log(2)) < 1e-12)
    #expect(gradientSlope([0, .nan, 1]).isNaN)
  }

  private func settings(
    _ cell: Cell, seconds: Double, seed: UInt64 = 1
  ) -> ExperimentSettings {
    var settings = ExperimentSettings()
    (settings.seeds, settings.seed, settings.cells) = (1, seed, [cell])
    settings.budgetSeconds = seconds
    return settings
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func gradientsFollowTheLyapunovExponent() throws {
    let backend = try OpenCLBackend(device: Device.select("auto"))
    let result = try Experiment.gradients.run(settings(.rnn, seconds: 6), on: backend)
    for row in result.rows {
      let (slope, exponent) = (row.mean("slope"), row.mean("lyapunov"))
      #expect(abs(slope - exponent) < 0.1, "\(row.name): \(slope), \(exponent)")
    }
    let first = try #require(result.rows.first)
    #expect(first.name == "rnn, radius 0.6" && first.mean("slope") < -0.3)
    #expect(result.finding.contains("rnn, radius 0.6"))
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func theSameSeedGivesTheSameNumbers() throws {
    let backend = try OpenCLBackend(device: Device.select("auto"))
    func numbers(_ seed: UInt64) throws -> [[Double]] {
      var settings = settings(.mingru, seconds: 8, seed: seed)
      // So little that a busy machine is done long before the budget, which would cut the numbers short.
      (settings.hiddenSize, settings.sequenceLength) = (8, 20)
      let result = try Experiment.gradients.run(settings, on: backend)
      #expect(result.end == .complete)
      return result.rows.map { row in result.columns.flatMap { row.all($0.key) } }
    }
    let (first, again, other) = (try numbers(1), try numbers(1), try numbers(2))
    #expect(!first.isEmpty && first == again && first != other)
  }

  @Test(.enabled(if: Command.hasDevice, "no OpenCL device"))
  func anInterruptedExperimentKeepsWhatItHas() throws {
    let backend = try OpenCLBackend(device: Device.select("auto"))
    var calls = 0
    let monitor = ExperimentMonitor(shouldStop: {
      calls += 1
      return calls > 4
    })
    let result = try Experiment.unrolling.run(
      settings(.rnn, seconds: 60), on: backend, monitor: monitor)
    #expect(result.end == .interrupted && (1..<4).contains(result.rows.count))
    #expect(result.endSentence?.contains("interrupted") == true)
  }

  @Test(arguments: Experiment.allCases)
  func anExperimentWithoutTimeSaysThatItMeasuredNothing(experiment: Experiment) throws {
    let monitor = ExperimentMonitor(shouldStop: { true })
    let result = try experiment.run(
      ExperimentSettings(), on: ReferenceBackend(), monitor: monitor)
    #expect(result.end == .interrupted && result.finding == "Nothing was measured.")
    #expect(result.page.html.contains(experiment.question))
  }

  /// What stands before the commands, which are lines to be copied, fits a terminal: columns that do not stand below
  /// behind the name of their row.
  @Test(arguments: Experiment.allCases)
  func resultsFitATerminal(experiment: Experiment) throws {
    // So small that the budget, which is of wall time, holds the first row on a busy machine too.
    let command = try Command(
      [
        "experiment", experiment.rawValue, "--seeds", "1", "--budget", "1s", "--hidden-size", "2",
        "--device", "reference",
      ] + (experiment.takesSequenceLength ? ["--sequence-length", "4"] : []))
    let lines = command.output.components(separatedBy: "The commands behind")[0]
      .split(separator: "\n")
    #expect(lines.count > 3 && lines.allSatisfy { $0.count <= 80 })
    let rows = lines.count { $0.hasPrefix("lstm, free ") }
    #expect(experiment == .gates ? rows > 1 : rows == 0)
  }

  @Test func equationsArePrintedBeforeTheTable() throws {
    let command = try Command([
      "experiment", "directions", "--seeds", "1", "--budget", "1s", "--device", "reference",
    ])
    let parts = command.output.components(separatedBy: "Paliwal 1997")
    #expect(parts.count == 2 && parts[1].contains("→h_t") && parts[1].contains("parameters"))
  }

  @Test func aHeldGateLeavesAnEquationForEachValue() {
    for cell in Experiment.gates.possibleCells {
      for gate in HeldGate.names(of: cell) {
        let all = [0, 0.5, 1].map { HeldGate.equation(of: cell, gate, $0) }
        #expect(Set(all).count == 3 && all.allSatisfy { $0.contains(" = ") && !$0.hasPrefix(gate) })
      }
    }
    #expect(HeldGate.names(of: .lstm) == ["input", "forget", "output"])
  }

  /// An LSTM without weights, whose gates are what their biases say.
  @Test func unitsAndGatesAreThoseOfTheEquations() throws {
    let layers = RecurrentConfiguration(
      cell: .lstm, inputSize: 1, hiddenSize: 1, options: CellOptions(bias: .single))
    let network = try Network(
      NetworkConfiguration(vocabularySize: 2, recurrent: layers), backend: ReferenceBackend(),
      seed: 1)
    var tensors = Dictionary(
      uniqueKeysWithValues: try network.parameters.tensors().map {
        ($0.name, Tensor(zeros: $0.tensor.shape))
      })
    tensors["recurrent.bias_ih_l0"] = Tensor([4], [1, -2, 0.5, 3])
    try network.parameters.load(tensors, source: "the test")
    let text: [UInt8] = [97, 98, 97]
    let found = try UnitActivations(
      network, vocabulary: ByteVocabulary(of: text), bytes: text[...], gateSteps: 2)
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    #expect(found.gates.map(\.name) == ["input", "forget", "output"])
    for (gate, bias) in zip(found.gates, [1.0, -2, 3]) {
      #expect(gate.values.count == 2)
      #expect(gate.values.allSatisfy { abs($0 - sigmoid(bias)) < 1e-12 })
    }
    var c = 0.0
    for units in found.units {
      c = sigmoid(-2) * c + sigmoid(1) * tanh(0.5)
      #expect(abs(units[0] - c) < 1e-12)
    }
    #expect(found.units.count == 3)
    #expect(abs(correlation([1, 2, 3], [6, 4, 2]) + 1) < 1e-12)
    let best = found.best(for: found.units.map { 1 - 2 * $0[0] })
    #expect(best.unit == 0 && abs(best.share - 1) < 1e-9)
  }

  @Test func theStructureOfATextIsWhatItsBytesSay() throws {
    let text = StructuredText(seed: 3, count: 3000)
    var (column, depth, isQuoted) = (0, 0, false)
    for (index, byte) in text.bytes.enumerated() {
      let character = Character(Unicode.Scalar(byte))
      if character == ")" { depth -= 1 }
      if character == "\"" { isQuoted.toggle() }
      let found = text.features.map { $0.values[index] }
      #expect(found[0] == Double(column) / Double(StructuredText.lineLength))
      // The marks themselves belong to what is outside.
      if character != "\"" { #expect(found[1] == (isQuoted ? 1 : 0)) }
      if character != "(" { #expect(found[2] == Double(depth)) }
      if character == "(" { depth += 1 }
      column = character == "\n" ? 0 : column + 1
      #expect(column <= StructuredText.lineLength && (0...3).contains(depth))
    }
    #expect(StructuredText(seed: 3, count: 3000).bytes == text.bytes)
    #expect(StructuredText(seed: 4, count: 3000).bytes != text.bytes)
  }

  @Test(arguments: [
    ["memry"], ["gates", "--cell", "rnn"], ["unrolling", "--seeds", "0"],
    ["unrolling", "--budget", "0"], ["--plot", "x.svg"], ["unrolling", "--cell", "elman"],
    ["gates", "--cell", "lstm,,gru"], ["gates", "--cell", "gru,gru"],
    ["gates", "--hidden-size", "0"],
    ["memory", "--sequence-length", "50"], ["unrolling", "--write-data", "file"],
    ["--hidden-size", "8,16"],
  ])
  func wrongUsageExits64(words: [String]) throws {
    let command = try Command(["experiment"] + words)
    #expect(command.status == 64, "\(command.errors)")
    #expect(command.isOneSentence, "\(command.errors)")
  }

  @Test func aReportThatCannotBeWrittenExits74AtOnce() throws {
    let folder = try Folder()
    let command = try Command([
      "experiment", "memory", "--report", folder["missing/r.html"], "--device", "reference",
    ])
    #expect(command.status == 74)
    #expect(command.isOneSentence, "\(command.errors)")
  }
}
