/// What a cell is made of: one row of the table in `Cell.traits`.
///
/// The reference, the kernels' parameters, names and shapes of parameters, the readers of files, the
/// options of commands, the cases of `compare` and the tools in Python all read it.
public struct CellTraits: Sendable {
  /// A gate: a sum of an input product and a recurrent product, and what is applied to it.
  public struct Gate: Sendable {
    /// The name that overrides and activations use: `forget`.
    public let name: String
    /// Its textbook letter: `f`.
    public let letter: String
    /// What the gate applies to its sum where nothing else is asked for; nil where the cell applies a
    /// function that cannot be exchanged.
    public let activation: Activation.Function?
    /// Whether `--override` can hold it at a constant.
    public let canBeHeld: Bool

    init(
      _ name: String, _ letter: String, _ activation: Activation.Function?, canBeHeld: Bool = true
    ) {
      (self.name, self.letter) = (name, letter)
      (self.activation, self.canBeHeld) = (activation, canBeHeld)
    }
  }

  /// A state of a unit beside the hidden state h.
  public struct Memory: Sendable {
    /// Its letter: `c`, for `c_0`, `c_n` and their gradients in files.
    public let name: String
    /// Whether only values above 0 make sense.
    public let isPositive: Bool

    init(_ name: String, isPositive: Bool = false) {
      (self.name, self.isPositive) = (name, isPositive)
    }
  }

  /// The gates, in the order of their rows.
  public let gates: [Gate]
  /// The function of c on the way to h, where there is one, as the activation `hidden`.
  public let outputActivation: Activation.Function?
  /// The states of a unit beside h, in the order in which buffers hold them.
  public let memory: [Memory]
  /// Whether layer normalisation normalises the first of `memory` on its way to h too.
  public let normalizesMemory: Bool
  /// Whether there is a recurrent product: `weight_hh` and `bias_hh`.
  public let hasRecurrentWeights: Bool
  /// Whether h₋₁ reaches h other than through the recurrent product.
  public let hasDirectPath: Bool
  /// Whether the last gate is apart from the others: normalised by itself, and its recurrent product
  /// not added to its input product.
  public let splitsLastGate: Bool
  /// The options that mean something to the cell, beside `commonOptions`.
  public let options: Set<CellOption>
  /// The options that every cell has.
  static let commonOptions: Set<CellOption> = [.zoneoutHidden]

  init(
    gates: [Gate], outputActivation: Activation.Function? = nil, memory: [Memory] = [],
    normalizesMemory: Bool = false, hasRecurrentWeights: Bool = true, hasDirectPath: Bool = false,
    splitsLastGate: Bool = false, options: Set<CellOption>
  ) {
    self.gates = gates
    self.outputActivation = outputActivation
    self.memory = memory
    self.normalizesMemory = normalizesMemory
    self.hasRecurrentWeights = hasRecurrentWeights
    self.hasDirectPath = hasDirectPath
    self.splitsLastGate = splitsLastGate
    self.options = options
  }

  /// The names of all states as files have them: `h`, then those of `memory`.
  public var stateNames: [String] { ["h"] + memory.map(\.name) }

  /// Whether `carousel gradients` can tell the gradient of c: the only state beside h, which a step with
  /// the gates input and forget held passes on as it is.
  public var measuresMemory: Bool {
    memory.count == 1
      && ["input", "forget"].allSatisfy { name in
        gates.contains { $0.name == name && $0.canBeHeld }
      }
  }

  /// The activations that can be exchanged, in the order in which the kernels count them.
  public var activations: [(name: String, function: Activation.Function)] {
    gates.compactMap { gate in gate.activation.map { (gate.name, $0) } }
      + (outputActivation.map { [("hidden", $0)] } ?? [])
  }
}

extension CellTraits {
  /// Random numbers as states beside h, `[N, M, H]`: 1 + |v| where only values above 0 make sense.
  package func memory(from values: [Double], hiddenSize: Int) -> [Double] {
    values.enumerated().map { index, value in
      memory[index / hiddenSize % memory.count].isPositive ? 1 + value.magnitude : value
    }
  }
}

extension Cell {
  /// Whether an option means something to the cell.
  public func has(_ option: CellOption) -> Bool {
    CellTraits.commonOptions.contains(option) || traits.options.contains(option)
  }

  /// The gates in the order of their rows, by the names that overrides and activations use.
  public var gateNames: [String] { traits.gates.map(\.name) }

  /// The textbook letters of the gates, in the order of `gateNames`.
  public var gateLetters: [String] { traits.gates.map(\.letter) }

  /// The gates that can be held at a constant.
  public var holdableGates: [String] { traits.gates.filter(\.canBeHeld).map(\.name) }

  /// What can be given an activation: gates, and for the LSTM also `hidden`, the function of c on the
  /// way to h.
  public var activationNames: [String] { traits.activations.map(\.name) }

  /// The activation of a gate where no other is asked for; nil where it has none that could be
  /// exchanged.
  public func defaultActivation(of name: String) -> Activation? {
    traits.activations.first { $0.name == name }.map { Activation($0.function) }
  }

  /// The name of the gate that a name or a letter stands for, such as `forget` for `f`; nil where the
  /// cell has no such gate.
  public func gateName(_ word: String) -> String? {
    traits.gates.first { $0.name == word || $0.letter == word }?.name
  }

  /// The same for whatever can be given an activation; `h` stands for `hidden`.
  public func activationName(_ word: String) -> String? {
    let name = gateName(word) ?? (word == "h" ? "hidden" : word)
    return activationNames.contains(name) ? name : nil
  }

  /// The gate that can be held at a constant by this name or letter.
  ///
  /// Throws a usage error where the cell has none; the RNN's `hidden` is not a gate of this kind.
  public func overridableGate(_ word: String) throws(CarouselError) -> String {
    if let name = gateName(word), holdableGates.contains(name) { return name }
    let gates = traits.gates.filter(\.canBeHeld).map { "\($0.name) (\($0.letter))" }
    throw CarouselError(
      .usage,
      "the \(rawValue) cell has no gate '\(word)'"
        + (gates.count < gateNames.count && !gates.isEmpty ? " that can be held" : "")
        + ", its gates: " + (gates.isEmpty ? "none" : gates.joined(separator: ", "))
        + suggestion(for: word, among: holdableGates))
  }

  /// Throws a usage error where nothing of this name or letter can be given an activation.
  public func activation(named word: String) throws(CarouselError) -> String {
    if let name = activationName(word) { return name }
    throw CarouselError(
      .usage,
      "the \(rawValue) cell has no activation '\(word)', it has "
        + activationNames.joined(separator: ", ") + suggestion(for: word, among: activationNames))
  }
}
