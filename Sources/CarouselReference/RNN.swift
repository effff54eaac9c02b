import CarouselModel

/// The vanilla recurrent network, `h = tanh(a + u)` or another activation (Elman 1990).
struct RNN: UnitCell {
  static let keptCount = 0

  private let activation: Activation
  private let row: Int

  init(_ layer: RecurrentLayer) {
    activation = layer.activation("hidden")
    row = layer.row("hidden")
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    UnitState(hidden: activation(a[row, unit] + u[row, unit]), cell: 0)
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, state: UnitState, gradient: UnitState,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let grad = gradient.hidden * activation.derivative(state.hidden)
    gradInput[row, unit] = grad
    gradRecurrent[row, unit] = grad
    return UnitState(hidden: 0, cell: 0)
  }
}
