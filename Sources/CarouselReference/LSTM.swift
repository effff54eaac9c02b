import CarouselModel

/// Long short-term memory, for one unit at one step.
///
///     i = σ(a_i + u_i + p_i·c₋₁)    f = σ(a_f + u_f + p_f·c₋₁)    g = tanh(a_g + u_g)
///     c = clip(f·c₋₁ + i·g)         o = σ(a_o + u_o + p_o·c)      h = o·tanh(c), the output
///
/// The peepholes p are 0 in a layer without them. A forget gate without weights of its own is 1 − i, i,
/// o or a constant. Hochreiter & Schmidhuber 1997; the forget gate: Gers, Schmidhuber & Cummins 2000;
/// peepholes: Gers & Schmidhuber 2000; f = 1 − i: Greff et al. 2017.
struct LSTM: UnitCell {
  /// i, f, g, o.
  static let keptCount = 4
  private static let (keptInput, keptForget, keptCell, keptOutput) = (0, 1, 2, 3)

  private let peepholes: Peepholes?
  private let gradPeepholes: Peepholes?
  private let input: Gate
  private let cell: Gate
  private let output: Gate
  private let forget: Forget
  private let hiddenActivation: Activation
  private let clip: Double?

  /// A gate with weights: where their rows are, and its activation.
  private struct Gate {
    let row: Int
    let activation: Activation

    init(_ name: String, of layer: RecurrentLayer) {
      row = layer.row(name)
      activation = layer.activation(name)
    }
  }

  /// Where the forget gate comes from.
  private enum Forget {
    case own(Gate)
    case oneMinusInput
    case input
    case output
    case constant(Double)
  }

  init(_ layer: RecurrentLayer) { self.init(layer, peepholes: nil, gradPeepholes: nil) }

  init(_ layer: RecurrentLayer, peepholes: Peepholes?, gradPeepholes: Peepholes?) {
    self.peepholes = peepholes
    self.gradPeepholes = gradPeepholes
    input = Gate("input", of: layer)
    cell = Gate("cell", of: layer)
    output = Gate("output", of: layer)
    hiddenActivation = layer.activation("hidden")
    clip = layer.options.cellClip
    let held = layer.options.overrides["forget"].map(Forget.constant)
    forget =
      switch layer.options.forgetGate {
      case .own: .own(Gate("forget", of: layer))  // held by its activation, a constant
      case .coupled: held ?? .oneMinusInput
      case .input: held ?? .input
      case .output: held ?? .output
      case .constant(let value): held ?? .constant(value)
      }
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    func value(_ gate: Gate, peephole: Double? = nil, cell: Double = 0) -> Double {
      let sum = a[gate.row, unit] + u[gate.row, unit]
      return gate.activation(peephole.map { sum + $0 * cell } ?? sum)
    }
    let peephole = peepholes?[unit]
    let before = previous.memory.cell
    let i = value(input, peephole: peephole?.input, cell: before)
    let g = value(cell)
    let f: Double =
      switch forget {
      case .own(let gate): value(gate, peephole: peephole?.forget, cell: before)
      case .oneMinusInput: 1 - i
      case .input: i
      case .output: value(output)
      case .constant(let value): value
      }
    var c = f * before + i * g
    if let clip { c = clamp(c, -clip, clip) }
    let o = value(output, peephole: peephole?.output, cell: c)
    kept[Self.keptInput, unit] = i
    kept[Self.keptForget, unit] = f
    kept[Self.keptCell, unit] = g
    kept[Self.keptOutput, unit] = o
    return UnitState(hidden: output(unit, kept: kept, cell: c), memory: UnitMemory(cell: c))
  }

  func output(_ unit: Int, kept: UnitRow, cell: Double) -> Double {
    kept[Self.keptOutput, unit] * hiddenActivation(cell)
  }

  func outputBackward(
    _ unit: Int, kept: UnitRow, cell: Double, gradHidden: Double
  ) -> (gate: Double, cell: Double) {
    let squashed = hiddenActivation(cell)
    return (
      gradHidden * squashed,
      gradHidden * kept[Self.keptOutput, unit] * hiddenActivation.derivative(squashed)
    )
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, memory: UnitMemory, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let (i, f) = (kept[Self.keptInput, unit], kept[Self.keptForget, unit])
    let (g, o) = (kept[Self.keptCell, unit], kept[Self.keptOutput, unit])
    let (before, state) = (previous.memory.cell, memory.cell)
    let peephole = peepholes?[unit]
    func store(_ grad: Double, _ gate: Gate) {
      gradInput[gate.row, unit] = grad
      gradRecurrent[gate.row, unit] = grad
    }

    // With f = o there is more to reach o, but then no peephole looks at c from there.
    var gradO = gradient.output
    var gradC = gradient.memory.cell
    if let peephole { gradC += gradO * output.activation.derivative(o) * peephole.output }
    if let clip, state.magnitude >= clip { gradC = 0 }

    let gradF = gradC * before
    var gradI = gradC * g
    var preF = 0.0
    switch forget {
    case .own(let gate):
      preF = gradF * gate.activation.derivative(f)
      store(preF, gate)
    case .oneMinusInput: gradI -= gradF
    case .input: gradI += gradF
    case .output: gradO += gradF
    case .constant: break
    }
    let preI = gradI * input.activation.derivative(i)
    let preO = gradO * output.activation.derivative(o)
    store(preI, input)
    store(gradC * i * cell.activation.derivative(g), cell)
    store(preO, output)

    var gradPreviousC = gradC * f
    if let peephole {
      gradPreviousC += preI * peephole.input + preF * peephole.forget
      gradPeepholes?.add(
        PeepholeWeights(
          input: preI * before, forget: preF * before, output: preO * state),
        to: unit)
    }
    return UnitState(hidden: 0, memory: UnitMemory(cell: gradPreviousC))
  }
}
