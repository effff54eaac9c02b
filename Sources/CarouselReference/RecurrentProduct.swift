import CarouselModel

/// The weights between the hidden states of two steps, or their gradients.
///
/// For each gate there are K blocks of H/K units and P/K states along the diagonal: one block is the full matrix `[G·H, P]`, H blocks are a
/// diagonal `[G·H]`.
struct RecurrentProduct {
  /// `[G·H, P/K]`: what stands between a unit's gate and the states of its block.
  private let weight: Matrix
  private let hiddenSize: Int
  /// The units of a block.
  private let units: Int

  /// Nil in a layer without recurrent weights.
  init?(_ weight: ReferenceBackend.Buffer?, for layer: RecurrentLayer) {
    guard let weight else { return nil }
    let blocks =
      switch layer.recurrence {
      case .dense, .absent: 1
      case .diagonal: layer.hiddenSize
      case .blocks(let count): count
      }
    hiddenSize = layer.hiddenSize
    units = layer.hiddenSize / blocks
    self.weight = weight.matrix(layer.gateRows, layer.stateSize / blocks)
  }

  /// The number of weights.
  var count: Int { weight.rows * weight.columns }

  /// The first state of a row's block.
  private func first(_ row: Int) -> Int { row % hiddenSize / units * weight.columns }

  /// `u += h·W_hhᵀ` of one step, h `[1, P]`, u `[1, G·H]`, for the given rows of W_hh.
  func add(_ h: Matrix, to u: Matrix, rows: Range<Int>) {
    for row in rows {
      u[0][row] += dot(h[0] + first(row), weight[row], count: weight.columns)
    }
  }

  /// `∂h += ∂u·W_hh` of one step, for the given rows of W_hh.
  func addGradient(_ gradU: Matrix, to gradH: Matrix, rows: Range<Int>) {
    for row in rows {
      addMultiple(
        gradU[0][row], of: weight[row], to: gradH[0] + first(row), count: weight.columns)
    }
  }

  /// `∂W_hh = Σ ∂uᵀ·h₋₁` over `steps`, for the given rows of W_hh: this is the gradient.
  func sumGradient(_ gradU: Matrix, factors: Matrix, steps: [Int], rows: Range<Int>) {
    for row in rows {
      weight[row].update(repeating: 0, count: weight.columns)
      for m in steps {
        addMultiple(
          gradU[m][row], of: factors[m] + first(row), to: weight[row], count: weight.columns)
      }
    }
  }
}
