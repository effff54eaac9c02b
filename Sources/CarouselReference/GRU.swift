import CarouselModel

/// The gated recurrent unit with the reset gate after the recurrent product.
///
/// Cho et al. 2014, as cuDNN and PyTorch have it:
///
///     r, z = σ(a + u)    n = tanh(a_n + r·u_n)    h = (1 − z)·n + z·h₋₁
///
/// The recurrent bias of n is part of u_n, so the reset gate scales it too.
struct GRU: UnitCell {
  /// r, z, n by the places of their rows, then u_n.
  static let keptCount = 4

  private let resetActivation: Activation
  private let updateActivation: Activation
  private let newActivation: Activation
  private let resetRow: Int
  private let updateRow: Int
  private let newRow: Int
  private let recurrentRow = 3

  init(_ layer: RecurrentLayer) {
    resetActivation = layer.activation("reset")
    updateActivation = layer.activation("update")
    newActivation = layer.activation("new")
    resetRow = layer.row("reset")
    updateRow = layer.row("update")
    newRow = layer.row("new")
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    let reset = resetActivation(a[resetRow, unit] + u[resetRow, unit])
    let update = updateActivation(a[updateRow, unit] + u[updateRow, unit])
    let new = newActivation(a[newRow, unit] + reset * u[newRow, unit])
    kept[resetRow, unit] = reset
    kept[updateRow, unit] = update
    kept[newRow, unit] = new
    kept[recurrentRow, unit] = u[newRow, unit]
    return UnitState(hidden: (1 - update) * new + update * previous.hidden, cell: 0)
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, state: UnitState, gradient: UnitState,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let (reset, update, new) = (kept[resetRow, unit], kept[updateRow, unit], kept[newRow, unit])
    let gradUpdate =
      gradient.hidden * (previous.hidden - new) * updateActivation.derivative(update)
    let gradNew = gradient.hidden * (1 - update) * newActivation.derivative(new)
    let gradReset = gradNew * kept[recurrentRow, unit] * resetActivation.derivative(reset)
    for grad in [gradInput, gradRecurrent] {
      grad[resetRow, unit] = gradReset
      grad[updateRow, unit] = gradUpdate
    }
    gradInput[newRow, unit] = gradNew
    gradRecurrent[newRow, unit] = gradNew * reset
    return UnitState(hidden: gradient.hidden * update, cell: 0)
  }
}
