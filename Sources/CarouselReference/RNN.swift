import CarouselModel

/// The vanilla recurrent network, `h = tanh(a + u)` or another activation (Elman 1990).
struct RNN: UnitCell {
  /// h before zoneout.
  static let keptCount = 1

  private let activation: Activation
  private let row: Int

  init(_ layer: RecurrentLayer) {
    activation = layer.activation("hidden")
    row = layer.row("hidden")
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    kept[0, unit] = activation(a[row, unit] + u[row, unit])
    return UnitState(hidden: kept[0, unit])
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, memory: UnitMemory, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let grad = gradient.output * activation.derivative(kept[0, unit])
    gradInput[row, unit] = grad
    gradRecurrent[row, unit] = grad
    return UnitState(hidden: 0)
  }
}
