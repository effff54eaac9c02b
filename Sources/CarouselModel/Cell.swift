/// A recurrent cell: what one time step computes from its input and its state.
///
/// x·Wᵀ stands for `x·W_ihᵀ + b_ih`, h₋₁·Rᵀ for `h₋₁·W_hhᵀ + b_hh`, each with the rows of its gate.
/// What else there is to know about a cell stands in `traits`.
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

  /// What the cell is made of: the table that everything else reads.
  public var traits: CellTraits {
    switch self {
    case .rnn:
      CellTraits(
        gates: [.init("hidden", "h", .tanh, canBeHeld: false)],
        options: [.layerNorm, .recurrentDropout, .dropConnect, .recurrence])
    case .lstm:
      CellTraits(
        gates: [
          .init("input", "i", .sigmoid), .init("forget", "f", .sigmoid), .init("cell", "g", .tanh),
          .init("output", "o", .sigmoid),
        ],
        outputActivation: .tanh, memory: [.init("c")], normalizesMemory: true,
        options: [
          .peepholes, .forgetGate, .forgetBias, .cellClip, .projection, .layerNorm,
          .recurrentDropout, .zoneoutCell, .dropConnect, .recurrence,
        ])
    case .gru:
      CellTraits(
        gates: [
          .init("reset", "r", .sigmoid), .init("update", "z", .sigmoid), .init("new", "n", .tanh),
        ],
        hasDirectPath: true, splitsLastGate: true,
        options: [.layerNorm, .recurrentDropout, .dropConnect, .recurrence, .gruReset])
    }
  }
}
