import CarouselModel

/// The arithmetic of one unit of a cell at one step, forward and backward.
///
/// With `a = x·W_ihᵀ + b_ih` and `u = h₋₁·W_hhᵀ + b_hh`, one value of each for every gate, a cell says
/// what its states become, and from their gradients what ∂a, ∂u and the gradients of the states before
/// are, as far as these do not pass through u. Where a cell has no recurrent weights u is 0.
protocol UnitCell {
  /// The values that each unit keeps of each step for the backward pass, beside its states.
  static var keptCount: Int { get }

  /// The cell of a layer.
  init(_ layer: RecurrentLayer)

  /// The same with peepholes, which only the LSTM has.
  init(_ layer: RecurrentLayer, peepholes: Peepholes?, gradPeepholes: Peepholes?)

  /// The states of unit `unit`; leaves what the backward pass needs in `kept`.
  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState

  /// h from c, where a normalisation may stand between the two; not asked of other cells.
  func output(_ unit: Int, kept: UnitRow, cell: Double) -> Double

  /// From ∂h: what reaches the result of the output gate and c where a normalisation may stand between
  /// the two; in other cells ∂h itself, and 0.
  func outputBackward(
    _ unit: Int, kept: UnitRow, cell: Double, gradHidden: Double
  ) -> (gate: Double, cell: Double)

  /// From `gradient`: writes ∂a and ∂u, returns the gradients of the states before; `memory` are this
  /// step's states beside h.
  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, memory: UnitMemory, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState
}

extension UnitCell {
  init(_ layer: RecurrentLayer, peepholes: Peepholes?, gradPeepholes: Peepholes?) {
    self.init(layer)
  }

  func output(_ unit: Int, kept: UnitRow, cell: Double) -> Double {
    preconditionFailure("a cell without a normalised state")
  }

  func outputBackward(
    _ unit: Int, kept: UnitRow, cell: Double, gradHidden: Double
  ) -> (gate: Double, cell: Double) {
    (gradHidden, 0)
  }
}

/// The states of a unit beside h, in the order of `CellTraits.memory`, or their gradients; 0 where a cell
/// has fewer.
typealias UnitMemory = SIMD4<Double>

extension UnitMemory {
  /// c alone.
  init(cell: Double) { self.init(cell, 0, 0, 0) }

  /// c, the first.
  var cell: Double { self[0] }
}

/// What reaches a unit of a step from later: its output, as `outputBackward` says, and its states beside
/// h.
struct UnitGradient {
  let output: Double
  let memory: UnitMemory
}

/// The states of one unit, or their gradients.
struct UnitState {
  var hidden: Double
  var memory: UnitMemory

  init(hidden: Double, memory: UnitMemory = .zero) {
    self.hidden = hidden
    self.memory = memory
  }
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
  /// The arithmetic of the layer's cell.
  private var unitCellType: any UnitCell.Type {
    switch cell {
    case .rnn: RNN.self
    case .lstm: LSTM.self
    case .gru: GRU.self
    case .mingru: MinGRU.self
    case .slstm: SLSTM.self
    }
  }

  /// The values that each unit keeps of each step; see `UnitCell`.
  var keptCount: Int { unitCellType.keptCount }

  /// The layer's cell with its parameters; the backward pass adds to the gradients of peepholes.
  func unitCell(
    _ parameters: RecurrentParameters<ReferenceBackend.Buffer>,
    gradients: RecurrentParameters<ReferenceBackend.Buffer>? = nil
  ) -> any UnitCell {
    unitCellType.init(
      self, peepholes: Peepholes(parameters, for: self),
      gradPeepholes: gradients.flatMap { Peepholes($0, for: self) })
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
