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
  /// The minimal gated recurrent unit, gates in the order z, g, without recurrent weights:
  ///
  ///     z = σ(x·Wᵀ)    g = x·Wᵀ    h = (1 − z)⊙h₋₁ + z⊙g
  ///
  /// With the activation `positive` g is above 0, as where the paper computes in log space. Feng et al.
  /// 2024.
  case mingru
  /// The LSTM with exponential gates, in the order i, f, z, o, a normalizer n and a stabilizer m; with
  /// a = x·Wᵀ + h₋₁·Rᵀ of each gate:
  ///
  ///     m = max(log σ(a_f) + m₋₁, a_i)    i = exp(a_i − m)    f = exp(log σ(a_f) + m₋₁ − m)
  ///     z = tanh(a_z)    o = σ(a_o)       c = f⊙c₋₁ + i⊙z     n = f⊙n₋₁ + i    h = o⊙c/n
  ///
  /// Every state begins at 0 where none is given. Where n is 0, so that nothing is remembered and i is
  /// below every number, c/n is z, its limit. Heads are a block-diagonal recurrence. Beck et al. 2024.
  case slstm

  /// What the cell is made of: the table that everything else reads.
  public var traits: CellTraits {
    switch self {
    case .rnn: Self.rnnTraits
    case .lstm: Self.lstmTraits
    case .gru: Self.gruTraits
    case .mingru: Self.mingruTraits
    case .slstm: Self.slstmTraits
    }
  }

  // Made once: a pass of a layer reads its cell's row some fifty times.
  private static let rnnTraits = CellTraits(
    gates: [.init("hidden", "h", .tanh, canBeHeld: false)],
    options: [.layerNorm, .recurrentDropout, .dropConnect, .recurrence])
  private static let lstmTraits = CellTraits(
    gates: [
      .init("input", "i", .sigmoid), .init("forget", "f", .sigmoid), .init("cell", "g", .tanh),
      .init("output", "o", .sigmoid),
    ],
    outputActivation: .tanh, memory: [.init("c")], normalizesMemory: true,
    options: [
      .peepholes, .forgetGate, .forgetBias, .cellClip, .projectionSize, .layerNorm,
      .recurrentDropout, .zoneoutCell, .dropConnect, .recurrence,
    ])
  private static let gruTraits = CellTraits(
    gates: [
      .init("reset", "r", .sigmoid), .init("update", "z", .sigmoid), .init("new", "n", .tanh),
    ],
    hasDirectPath: true, splitsLastGate: true,
    options: [.layerNorm, .recurrentDropout, .dropConnect, .recurrence, .gruReset])
  private static let mingruTraits = CellTraits(
    gates: [.init("update", "z", .sigmoid), .init("new", "g", .affine)],
    hasRecurrentWeights: false, hasDirectPath: true, options: [])
  private static let slstmTraits = CellTraits(
    gates: [
      .init("input", "i", nil, canBeHeld: false), .init("forget", "f", nil, canBeHeld: false),
      .init("cell", "z", .tanh), .init("output", "o", .sigmoid),
    ],
    memory: [.init("c"), .init("n", isPositive: true), .init("m")],
    options: [
      .forgetBias, .projectionSize, .layerNorm, .recurrentDropout, .dropConnect, .recurrence,
    ])
}
