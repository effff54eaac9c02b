import CarouselModel

/// The weights between the hidden states of two steps, `[G·H, H]`, or `[G·H]` where each unit sees
/// itself alone; or their gradients.
struct RecurrentProduct {
  private let weight: Matrix
  private let hiddenSize: Int
  private let recurrence: Recurrence

  init(_ weight: ReferenceBackend.Buffer, for layer: RecurrentLayer) {
    hiddenSize = layer.hiddenSize
    recurrence = layer.options.recurrence
    self.weight = weight.matrix(layer.gateRows, recurrence == .dense ? hiddenSize : 1)
  }

  /// `u += h·W_hhᵀ` of one row, h `[1, H]`, u `[1, G·H]`.
  func add(_ h: Matrix, to u: Matrix) {
    switch recurrence {
    case .dense: u.addProduct(h, transposed: weight)
    case .diagonal:
      for row in 0..<u.columns { u[0][row] += weight[row][0] * h[0][row % hiddenSize] }
    }
  }

  /// `∂h += ∂u·W_hh` of one row.
  func addGradient(_ gradU: Matrix, to gradH: Matrix) {
    switch recurrence {
    case .dense: gradH.addProduct(gradU, weight)
    case .diagonal:
      for row in 0..<gradU.columns { gradH[0][row % hiddenSize] += gradU[0][row] * weight[row][0] }
    }
  }

  /// `∂W_hh = Σ ∂uᵀ·h₋₁` over `rows`: this is the gradient.
  func sumGradient(_ gradU: Matrix, previousHidden: Matrix, rows: [Int]) {
    weight.fill(with: 0)
    switch recurrence {
    case .dense: weight.addProduct(transposed: gradU, previousHidden, over: rows)
    case .diagonal:
      for row in 0..<weight.rows {
        for m in rows { weight[row][0] += gradU[m][row] * previousHidden[m][row % hiddenSize] }
      }
    }
  }
}
