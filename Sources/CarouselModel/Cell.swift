/// A recurrent cell: what one time step computes from its input and its state.
///
/// x·Wᵀ stands for `x·W_ihᵀ + b_ih`, h₋₁·Rᵀ for `h₋₁·W_hhᵀ + b_hh`, each with the rows of its gate.
public enum Cell: String, Sendable, Codable, CaseIterable {
  /// The vanilla recurrent network: `h = tanh(x·Wᵀ + h₋₁·Rᵀ)`, or another activation. Elman 1990.
  case rnn
  /// Long short-term memory with a forget gate, gates in the order i, f, g, o:
  ///
  ///     i, f, o = σ(x·Wᵀ + h₋₁·Rᵀ)    g = tanh(x·Wᵀ + h₋₁·Rᵀ)
  ///     c = f⊙c₋₁ + i⊙g               h = o⊙tanh(c)
  ///
  /// Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000.
  case lstm
  /// The gated recurrent unit with the reset gate after the recurrent product, as cuDNN and PyTorch
  /// have it, gates in the order r, z, n:
  ///
  ///     r, z = σ(x·Wᵀ + h₋₁·Rᵀ)       n = tanh(x·Wᵀ + r⊙(h₋₁·Rᵀ))
  ///     h = (1 − z)⊙n + z⊙h₋₁
  ///
  /// Cho et al. 2014.
  case gru

  /// The gates in PyTorch's order, by the names that overrides and activations use.
  public var gateNames: [String] {
    switch self {
    case .rnn: ["hidden"]
    case .lstm: ["input", "forget", "cell", "output"]
    case .gru: ["reset", "update", "new"]
    }
  }

  /// What can be given an activation: the gates, and for the LSTM also `hidden`, the function of c
  /// on the way to h.
  public var activationNames: [String] {
    self == .lstm ? gateNames + ["hidden"] : gateNames
  }

  /// The activation of a gate where no other is asked for.
  public func defaultActivation(of name: String) -> Activation {
    switch name {
    case "hidden", "cell", "new": Activation(.tanh)
    default: Activation(.sigmoid)
    }
  }

  /// Whether a cell state c stands beside the hidden state h.
  public var hasCellState: Bool { self == .lstm }
}

/// Which bias vectors a recurrent layer has.
public enum BiasMode: String, Sendable, Codable, CaseIterable {
  /// `bias_ih` and `bias_hh`, as cuDNN and PyTorch have them.
  case double
  /// `bias_ih` alone.
  case single
  /// Neither.
  case none
}

/// Where an LSTM's forget gate comes from; all but `own` spare its weights: G is 3, gates i, g, o.
public enum ForgetGate: Hashable, Sendable, Codable {
  /// Weights of its own.
  case own
  /// `f = 1 − i` (CIFG; Greff et al. 2017).
  case coupled
  /// `f = i`: the two gates share their weights.
  case input
  /// `f = o`: the two gates share their weights.
  case output
  /// `f = λ`, a constant decay.
  case constant(Double)

  /// Whether f comes from nothing that an activation could be applied to.
  var hasNoActivation: Bool {
    switch self {
    case .coupled, .constant: true
    case .own, .input, .output: false
    }
  }
}

/// What stands between the hidden states of two steps.
public enum Recurrence: String, Hashable, Sendable, Codable, CaseIterable {
  /// A full matrix for each gate: `weight_hh [G·H, H]`.
  case dense
  /// A diagonal one, `weight_hh [G·H]`: each unit remembers by itself (for the RNN this is IndRNN, Li
  /// et al. 2018).
  case diagonal
}

/// How a layer departs from its cell's plain form, the same for every layer of a stack.
public struct CellOptions: Hashable, Sendable, Codable {
  /// Which bias vectors the layer has.
  public var bias: BiasMode
  /// Activations that are not the cell's own, by `Cell.activationNames`.
  public var activations: [String: Activation]
  /// Where the LSTM's forget gate comes from.
  public var forgetGate: ForgetGate
  /// Whether the LSTM's gates i, f see c₋₁ and o sees c, through `weight_ci`, `weight_cf`, `weight_co`,
  /// each `[H]` (Gers & Schmidhuber 2000).
  public var peepholes: Bool
  /// The bound on |c|, applied at each step; the gradient does not pass where it bit.
  public var cellClip: Double?
  /// What stands between the hidden states of two steps.
  public var recurrence: Recurrence
  /// Gates held at a constant, forward and backward, by their names.
  public var overrides: [String: Double]

  /// The plain form of every cell, but for what is given.
  public init(
    bias: BiasMode = .double, activations: [String: Activation] = [:],
    forgetGate: ForgetGate = .own, peepholes: Bool = false, cellClip: Double? = nil,
    recurrence: Recurrence = .dense, overrides: [String: Double] = [:]
  ) {
    self.bias = bias
    self.activations = activations
    self.forgetGate = forgetGate
    self.peepholes = peepholes
    self.cellClip = cellClip
    self.recurrence = recurrence
    self.overrides = overrides
  }

  /// Throws a usage error where the options make no sense for `cell`, or not together.
  public func validate(for cell: Cell) throws(CarouselError) {
    for name in overrides.keys.sorted() where cell == .rnn || !cell.gateNames.contains(name) {
      let gates = cell == .rnn ? "none" : cell.gateNames.joined(separator: ", ")
      throw CarouselError(
        .usage, "the \(cell.rawValue) cell has no gate '\(name)', its gates: \(gates)")
    }
    for (name, value) in overrides where !value.isFinite {
      throw CarouselError(.usage, "the \(name) gate cannot be held at \(value)")
    }
    for (name, activation) in activations.sorted(by: { $0.key < $1.key }) {
      guard cell.activationNames.contains(name) else {
        throw CarouselError(
          .usage,
          "the \(cell.rawValue) cell has no activation '\(name)', it has "
            + cell.activationNames.joined(separator: ", "))
      }
      try activation.validate(gate: name)
    }
    guard cell == .lstm else {
      if forgetGate != .own || peepholes || cellClip != nil {
        throw CarouselError(
          .usage,
          "the \(cell.rawValue) cell has no forget gate and no cell state: peepholes, cell clip, "
            + "tied, coupled and constant forget gates belong to the lstm cell")
      }
      return
    }
    if let cellClip, !(cellClip > 0) {
      throw CarouselError(.usage, "the cell clip must be above 0, but is \(cellClip)")
    }
    if case .constant(let value) = forgetGate, !value.isFinite {
      throw CarouselError(.usage, "the forget gate cannot be held at \(value)")
    }
    if forgetGate == .output, peepholes {
      throw CarouselError(
        .usage,
        "a forget gate tied to the output gate cannot have peepholes: the output gate looks at the "
          + "cell state that the forget gate has yet to make")
    }
    if let function = activations["forget"]?.function, forgetGate.hasNoActivation {
      throw CarouselError(
        .usage,
        "a coupled or constant forget gate applies no activation, but \(function.rawValue) was asked for"
      )
    }
    let shared = forgetGate == .input ? "input" : forgetGate == .output ? "output" : nil
    if let shared, let own = activations["forget"], own != activation(of: shared, in: cell) {
      throw CarouselError(
        .usage, "a forget gate tied to the \(shared) gate cannot have another activation")
    }
  }

  /// What the gate applies to its pre-activation, a forced one its constant.
  public func activation(of name: String, in cell: Cell) -> Activation {
    if let value = overrides[name] { return Activation(.constant, alpha: value) }
    if name == "forget", case .constant(let value) = forgetGate {
      return Activation(.constant, alpha: value)
    }
    return activations[name] ?? cell.defaultActivation(of: name)
  }

  /// The gates that have weights, in the order of their rows.
  public func weightGates(of cell: Cell) -> [String] {
    cell == .lstm && forgetGate != .own
      ? cell.gateNames.filter { $0 != "forget" } : cell.gateNames
  }
}
