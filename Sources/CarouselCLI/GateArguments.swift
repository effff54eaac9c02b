import ArgumentParser
import Carousel

/// `[GATE=]NAME[:alpha[:beta]]`, the name in any case.
struct NamedActivation: ExpressibleByArgument {
  /// The functions that can be asked for; a constant is an override.
  static let functions = Activation.Function.allCases.filter { $0 != .constant }

  /// The gate, where one was named.
  let gate: String?
  /// The function and its parameters.
  let activation: Activation
  /// The argument behind the gate's name.
  let text: String

  init?(argument: String) {
    let sides = argument.split(
      separator: "=", maxSplits: 1, omittingEmptySubsequences: false
    ).map(String.init)
    let words = sides[sides.count - 1].split(separator: ":", omittingEmptySubsequences: false)
    let name = words[0].lowercased()
    let parameters = words.dropFirst().map { Double($0) }
    guard let function = Self.functions.first(where: { $0.rawValue == name }),
      parameters.count <= function.parameterCount, parameters.allSatisfy({ $0?.isFinite == true })
    else { return nil }
    gate = sides.count == 2 ? sides[0] : nil
    activation = Activation(
      function, alpha: parameters.first ?? nil, beta: parameters.dropFirst().first ?? nil)
    text = sides[sides.count - 1]
  }
}

/// `GATE=VALUE`.
struct GateOverride: ExpressibleByArgument {
  let gate: String
  let value: Double

  init?(argument: String) {
    let sides = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard sides.count == 2, !sides[0].isEmpty, let value = Double(sides[1]), value.isFinite else {
      return nil
    }
    gate = String(sides[0])
    self.value = value
  }
}

extension [GateOverride] {
  /// The constants by the full names of the cell's gates.
  ///
  /// Throws where the cell lacks a gate, or a gate is held at two constants.
  func values(for cell: Cell) throws -> [String: Double] {
    var result: [String: Double] = [:]
    for override in self {
      let gate = try cell.overridableGate(override.gate)
      guard result.updateValue(override.value, forKey: gate) == nil else {
        throw CarouselError(.usage, "--override is given more than once for the \(gate) gate")
      }
    }
    return result
  }
}

/// `H` or `H,C`: the probabilities with which a unit keeps its states.
struct Zoneout: ExpressibleByArgument {
  let hidden: Double
  /// That of the cell state where it was named.
  var cell: Double?

  init?(argument: String) {
    let values = argument.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard 1...2 ~= values.count, let hidden = values[0], values.allSatisfy({ $0?.isFinite == true })
    else { return nil }
    self.hidden = hidden
    cell = values.count == 2 ? values[1] : nil
  }
}

/// Two gates of the LSTM that share their weights.
enum GateTie: String, CaseIterable, ExpressibleByArgument {
  case inputForget = "input=forget"
  case forgetOutput = "forget=output"

  /// Where the forget gate comes from.
  var forgetGate: ForgetGate { self == .inputForget ? .input : .output }

  init?(argument: String) {
    let gates = argument.split(separator: "=", omittingEmptySubsequences: false)
    switch Set(gates.map { Cell.lstm.gateName(String($0)) }) {
    case ["input", "forget"]: self = .inputForget
    case ["forget", "output"]: self = .forgetOutput
    default: return nil
    }
  }
}

/// `--override` for a trained model.
struct OverrideOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Hold a gate at a constant; repeatable.", valueName: "gate=value"))
  var override: [GateOverride] = []

  /// The constants by the gates of a model's cell.
  func values(for model: Checkpoint) throws -> [String: Double] {
    try override.values(for: model.description.settings.recurrent.cell)
  }
}
