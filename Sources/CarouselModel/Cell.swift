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
  /// The gated recurrent unit, gates in the order r, z, n; with the reset gate after the recurrent
  /// product, as cuDNN and PyTorch have it:
  ///
  ///     r, z = σ(x·Wᵀ + h₋₁·Rᵀ)       n = tanh(x·Wᵀ + r⊙(h₋₁·Rᵀ))
  ///     h = (1 − z)⊙n + z⊙h₋₁
  ///
  /// `GRUReset.before` has it before the product. Cho et al. 2014.
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
