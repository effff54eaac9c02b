import CarouselModel

/// The minimal gated recurrent unit, whose gates see the input alone.
///
///     z = σ(a)    g = a, or another activation    h = (1 − z)·h₋₁ + z·g
///
/// Feng et al. 2024.
struct MinGRU: UnitCell {
  /// z, g.
  static let keptCount = 2

  private let updateActivation: Activation
  private let newActivation: Activation
  private let updateRow: Int
  private let newRow: Int

  init(_ layer: RecurrentLayer) {
    updateActivation = layer.activation("update")
    newActivation = layer.activation("new")
    updateRow = layer.row("update")
    newRow = layer.row("new")
  }

  func forward(
    _ unit: Int, input a: UnitRow, recurrent u: UnitRow, previous: UnitState, kept: UnitRow
  ) -> UnitState {
    let update = updateActivation(a[updateRow, unit])
    let new = newActivation(a[newRow, unit])
    kept[updateRow, unit] = update
    kept[newRow, unit] = new
    return UnitState(hidden: (1 - update) * previous.hidden + update * new)
  }

  func backward(
    _ unit: Int, kept: UnitRow, previous: UnitState, memory: UnitMemory, gradient: UnitGradient,
    gradInput: UnitRow, gradRecurrent: UnitRow
  ) -> UnitState {
    let (update, new) = (kept[updateRow, unit], kept[newRow, unit])
    gradInput[updateRow, unit] =
      gradient.output * (new - previous.hidden) * updateActivation.derivative(update)
    gradInput[newRow, unit] = gradient.output * update * newActivation.derivative(new)
    for row in [updateRow, newRow] { gradRecurrent[row, unit] = 0 }
    return UnitState(hidden: gradient.output * (1 - update))
  }
}
