import CarouselModel

/// The arithmetic of one unit of a cell at one step, forward and backward.
///
/// With `a = x·W_ihᵀ + b_ih` and `u = h₋₁·W_hhᵀ + b_hh`, one value of each for every gate, a cell says
/// what h and c become, and from ∂h and ∂c what ∂a, ∂u and the gradients of h₋₁ and c₋₁ are, as far as
/// these do not pass through u.
protocol UnitCell {
  /// The values that each unit keeps of each step for the backward pass, beside c.
  static var keptCount: Int { get }

  /// h and c of unit `unit`; leaves what the backward pass needs in `kept`.
  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState

  /// h from c, where something may stand between the two; not asked of cells without c.
  func output(_ unit: Int, kept: UnitRow, cell: Double) -> Double

  /// From ∂h: what reaches the result of the output gate, or h itself in cells without c; and c.
  func outputBackward(
    _ unit: Int, kept: UnitRow, cell: Double, gradHidden: Double
  ) -> (gate: Double, cell: Double)

  /// From `gradient`: writes ∂a and ∂u, returns the gradients of h₋₁ and c₋₁; `cell` is this step's c.
  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, cell: Double, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState
}

extension UnitCell {
  func output(_ unit: Int, kept: UnitRow, cell: Double) -> Double {
    preconditionFailure("a cell without a cell state")
  }

  func outputBackward(
    _ unit: Int, kept: UnitRow, cell: Double, gradHidden: Double
  ) -> (gate: Double, cell: Double) {
    (gradHidden, 0)
  }
}

/// What reaches a unit of a step from later: its output, as `outputBackward` says, and its c.
struct UnitGradient {
  let output: Double
  let cell: Double
}

/// h and c of one unit, or their gradients; c is 0 in a cell that has none.
struct UnitState {
  var hidden: Double
  var cell: Double
}

/// A row `[K·H]`: K values, one for each gate, of every unit.
struct UnitRow {
  let elements: UnsafeMutablePointer<Double>
  let hiddenSize: Int

  /// The value of a gate, by the place of its rows among those of the weights, for one unit.
  subscript(gate: Int, unit: Int) -> Double {
    get { elements[gate * hiddenSize + unit] }
    nonmutating set { elements[gate * hiddenSize + unit] = newValue }
  }
}

extension RecurrentLayer {
  /// The values that each unit keeps of each step; see `UnitCell`.
  var keptCount: Int {
    switch cell {
    case .rnn: RNN.keptCount
    case .lstm: LSTM.keptCount
    case .gru: GRU.keptCount
    }
  }

  /// The layer's cell with its parameters; the backward pass adds to the gradients of peepholes.
  func unitCell(
    _ parameters: RecurrentParameters<ReferenceBackend.Buffer>,
    gradients: RecurrentParameters<ReferenceBackend.Buffer>? = nil
  ) -> any UnitCell {
    switch cell {
    case .rnn: RNN(self)
    case .lstm:
      LSTM(
        self, peepholes: Peepholes(parameters, for: self),
        gradPeepholes: gradients.flatMap { Peepholes($0, for: self) })
    case .gru: GRU(self)
    }
  }

  /// What a gate applies to its pre-activation.
  func activation(_ name: String) -> Activation { options.activation(of: name, in: cell) }

  /// The place of a gate's rows among those of the weights.
  func row(_ gate: String) -> Int {
    guard let row = options.weightGates(of: cell).firstIndex(of: gate) else {
      preconditionFailure("the \(gate) gate has no weights")
    }
    return row
  }
}
