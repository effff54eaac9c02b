import CarouselModel

/// The gated recurrent unit of Cho and others, 2014.
///
///     r, z = σ(a + u)    n = tanh(a_n + r·u_n)    h = (1 − z)·n + z·h₋₁
///
/// as cuDNN and PyTorch have it: the recurrent bias of n is part of u_n, so the reset gate scales it too.
/// With the reset gate before the product u_n is made from r·h₋₁, and `n = tanh(a_n + u_n)`.
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
  private let resetsBefore: Bool

  init(_ layer: RecurrentLayer) {
    resetActivation = layer.activation("reset")
    updateActivation = layer.activation("update")
    newActivation = layer.activation("new")
    resetRow = layer.row("reset")
    updateRow = layer.row("update")
    newRow = layer.row("new")
    resetsBefore = layer.resetsBefore
  }

  /// r alone, which with the reset gate before the product comes before u_n.
  func reset(_ unit: Int, input a: UnitRow, recurrent u: UnitRow) -> Double {
    resetActivation(a[resetRow, unit] + u[resetRow, unit])
  }

  /// ∂u_r, and ∂h₋₁ as far as it passes through r·h₋₁, from the gradient of that.
  func resetBackward(
    _ unit: Int, kept: UnitRow, factor: Double, gradient: Double, gradInput: UnitRow,
    gradRecurrent: UnitRow
  ) -> Double {
    let reset = kept[resetRow, unit]
    let gradReset = gradient * factor * resetActivation.derivative(reset)
    gradInput[resetRow, unit] = gradReset
    gradRecurrent[resetRow, unit] = gradReset
    return gradient * reset
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    let reset = reset(unit, input: a, recurrent: u)
    let update = updateActivation(a[updateRow, unit] + u[updateRow, unit])
    let new = newActivation(a[newRow, unit] + (resetsBefore ? 1 : reset) * u[newRow, unit])
    kept[resetRow, unit] = reset
    kept[updateRow, unit] = update
    kept[newRow, unit] = new
    kept[recurrentRow, unit] = u[newRow, unit]
    return UnitState(hidden: (1 - update) * new + update * previous.hidden)
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, memory: UnitMemory, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let (reset, update, new) = (kept[resetRow, unit], kept[updateRow, unit], kept[newRow, unit])
    let gradUpdate =
      gradient.output * (previous.hidden - new) * updateActivation.derivative(update)
    let gradNew = gradient.output * (1 - update) * newActivation.derivative(new)
    let gradReset =
      resetsBefore ? 0 : gradNew * kept[recurrentRow, unit] * resetActivation.derivative(reset)
    for grad in [gradInput, gradRecurrent] {
      grad[resetRow, unit] = gradReset
      grad[updateRow, unit] = gradUpdate
    }
    gradInput[newRow, unit] = gradNew
    gradRecurrent[newRow, unit] = resetsBefore ? gradNew : gradNew * reset
    return UnitState(hidden: gradient.output * update)
  }
}
