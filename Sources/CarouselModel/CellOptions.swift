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

  /// Whether no activation makes f: it is 1 − i or a constant.
  var hasNoActivation: Bool {
    switch self {
    case .coupled, .constant: true
    case .own, .input, .output: false
    }
  }
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
  /// The bound on |c|, applied at each step; the gradient does not pass where it was reached.
  public var cellClip: Double?
  /// What stands between the hidden states of two steps.
  public var recurrence: Recurrence
  /// Gates held at a constant, forward and backward, by their names.
  public var overrides: [String: Double]
  /// Where a GRU's reset gate stands.
  public var gruReset: GRUReset
  /// P, where an LSTM's `h = W_hr·(o ⊙ tanh c)` has fewer elements than it has units.
  ///
  /// Sak, Senior & Beaufays 2014.
  public var projectionSize: Int?
  /// Whether the products and an LSTM's c are normalised: `LN(x·Wᵀ) + b_ih`, `LN(h₋₁·Rᵀ) + b_hh` and
  /// `h = o ⊙ tanh(LN(c))` with `LN(v) = gain ⊙ (v − mean v)/√(var v + 10⁻⁵)`, over all gates of a
  /// sequence's step together, a GRU's n by itself (Ba, Kiros & Hinton 2016).
  public var layerNorm: Bool
  /// The probability with which an element of h is dropped on its way into the recurrent product, the
  /// same elements at every step of a sequence (Gal & Ghahramani 2016).
  public var recurrentDropout: Double
  /// The probabilities with which a unit keeps its h and its c from one step to the next; outside
  /// training the expectation.
  ///
  /// Krueger et al. 2017.
  public var zoneoutHidden: Double, zoneoutCell: Double
  /// The probability with which a recurrent weight is dropped for a training step.
  ///
  /// Wan et al. 2013, Merity et al. 2018.
  public var dropConnect: Double
  /// What `bias_ih` of an LSTM's forget gate begins as: above 0 the cell remembers at first; nil draws
  /// it like the others.
  ///
  /// Gers et al. 2000, Jozefowicz et al. 2015.
  public var forgetBias: Double?

  /// The plain form of every cell, but for what is given.
  public init(
    bias: BiasMode = .double, activations: [String: Activation] = [:],
    forgetGate: ForgetGate = .own, peepholes: Bool = false, cellClip: Double? = nil,
    recurrence: Recurrence = .dense, overrides: [String: Double] = [:],
    gruReset: GRUReset = .after, projectionSize: Int? = nil, layerNorm: Bool = false,
    recurrentDropout: Double = 0, zoneoutHidden: Double = 0, zoneoutCell: Double = 0,
    dropConnect: Double = 0, forgetBias: Double? = nil
  ) {
    self.bias = bias
    self.activations = activations
    self.forgetGate = forgetGate
    self.peepholes = peepholes
    self.cellClip = cellClip
    self.recurrence = recurrence
    self.overrides = overrides
    self.gruReset = gruReset
    self.projectionSize = projectionSize
    self.layerNorm = layerNorm
    self.recurrentDropout = recurrentDropout
    self.zoneoutHidden = zoneoutHidden
    self.zoneoutCell = zoneoutCell
    self.dropConnect = dropConnect
    self.forgetBias = forgetBias
  }

  /// What a gate, or `hidden`, applies to its sum; of a held gate its constant.
  ///
  /// `name` is one of `Cell.activationNames`.
  package func activation(of name: String, in cell: Cell) -> Activation {
    if let value = overrides[name] { return Activation(.constant, alpha: value) }
    if name == "forget", case .constant(let value) = forgetGate {
      return Activation(.constant, alpha: value)
    }
    guard let activation = activations[name] ?? cell.defaultActivation(of: name) else {
      preconditionFailure("the \(cell.rawValue) cell has no activation '\(name)'")
    }
    return activation
  }

  /// A forget bias with which most LSTMs learn (Jozefowicz, Zaremba & Sutskever 2015).
  public static let customaryForgetBias = 1.0

  /// Whether the cell has a forget gate with weights and a bias of its own, which `forgetBias` can begin.
  public func hasForgetBias(in cell: Cell) -> Bool {
    cell.has(.forgetBias) && forgetGate == .own && bias != .none
  }

  /// The gates that have weights, in the order of their rows.
  public func weightGates(of cell: Cell) -> [String] {
    forgetGate == .own ? cell.gateNames : cell.gateNames.filter { $0 != "forget" }
  }
}

extension CellOptions {
  /// Reads options as a file has them; one that the file does not name, being older, is off.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let plain = CellOptions()
    func value<Value: Decodable>(_ key: CodingKeys, _ absent: Value) throws -> Value {
      try values.decodeIfPresent(Value.self, forKey: key) ?? absent
    }
    self.init(
      bias: try value(.bias, plain.bias), activations: try value(.activations, plain.activations),
      forgetGate: try value(.forgetGate, plain.forgetGate),
      peepholes: try value(.peepholes, plain.peepholes),
      cellClip: try values.decodeIfPresent(Double.self, forKey: .cellClip),
      recurrence: try value(.recurrence, plain.recurrence),
      overrides: try value(.overrides, plain.overrides),
      gruReset: try value(.gruReset, plain.gruReset),
      projectionSize: try values.decodeIfPresent(Int.self, forKey: .projectionSize),
      layerNorm: try value(.layerNorm, plain.layerNorm),
      recurrentDropout: try value(.recurrentDropout, plain.recurrentDropout),
      zoneoutHidden: try value(.zoneoutHidden, plain.zoneoutHidden),
      zoneoutCell: try value(.zoneoutCell, plain.zoneoutCell),
      dropConnect: try value(.dropConnect, plain.dropConnect),
      forgetBias: try values.decodeIfPresent(Double.self, forKey: .forgetBias))
  }
}

extension CellOptions {
  /// Throws a usage error where the options make no sense for `cell`, or not together.
  public func validate(for cell: Cell) throws(CarouselError) {
    for name in overrides.keys.sorted() where try cell.overridableGate(name) != name {
      throw CarouselError(.usage, "overrides take the gates' full names, but one is '\(name)'")
    }
    for (name, value) in overrides where !value.isFinite {
      throw CarouselError(.usage, "the \(name) gate cannot be held at \(value)")
    }
    for (name, activation) in activations.sorted(by: { $0.key < $1.key }) {
      guard try cell.activation(named: name) == name else {
        throw CarouselError(
          .usage, "activations take the gates' full names, but one is '\(name)'")
      }
      try activation.validate(gate: name)
    }
    if let fault = CellOption.allCases.lazy.compactMap({ $0.row.fault(self) }).first {
      throw CarouselError(.usage, fault)
    }
    if let option = used.first(where: { !cell.has($0) }) {
      let cells = Cell.allCases.filter { $0.has(option) }.map(\.rawValue)
      throw CarouselError(
        .usage,
        "the \(cell.rawValue) cell has no \(option.words): such options belong to the "
          + "\(Self.list(cells)) \(cells.count == 1 ? "cell" : "cells")")
    }
    if let forgetBias {
      guard forgetBias.isFinite, hasForgetBias(in: cell) else {
        throw CarouselError(
          .usage,
          "the forget bias \(forgetBias) needs a forget gate with weights and a bias of its own, and "
            + "must be finite")
      }
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

  /// `rnn, lstm and gru`.
  private static func list(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " and " + last
  }

  /// Throws a usage error where the options make no sense for layers of H units.
  func validate(hiddenSize: Int) throws(CarouselError) {
    if let projectionSize, !(1..<max(hiddenSize, 1) ~= projectionSize) {
      throw CarouselError(
        .usage,
        "the projection size must be at least 1 and below the hidden size \(hiddenSize), but is "
          + "\(projectionSize)")
    }
    switch recurrence {
    case .dense: break
    case .absent:
      throw CarouselError(.usage, "the recurrence is dense, diagonal or blocks:K, not absent")
    case .diagonal:
      if projectionSize != nil {
        throw CarouselError(
          .usage,
          "a diagonal recurrence joins each unit with its own state, but a projection leaves fewer "
            + "states than units")
      }
    case .blocks(let count):
      let states = projectionSize ?? hiddenSize
      guard count >= 1, hiddenSize % count == 0, states % count == 0 else {
        throw CarouselError(
          .usage,
          "the blocks of a recurrence must divide the hidden size \(hiddenSize)"
            + (projectionSize.map { " and the projection size \($0)" } ?? "")
            + ", but they are \(count)")
      }
    }
  }
}
