import CarouselModel

/// What noise does to the states of one pass of a layer.
///
/// Gal & Ghahramani 2016 (recurrent dropout), Krueger et al. 2017 (zoneout), Wan et al. 2013
/// (DropConnect).
struct RecurrentMasks {
  private let options: CellOptions
  private let noise: RecurrentNoise?
  private let stateSize: Int
  private let hiddenSize: Int

  init(_ work: RecurrentWork<ReferenceBackend>) {
    options = work.layer.options
    noise = work.noise
    stateSize = work.layer.stateSize
    hiddenSize = work.layer.hiddenSize
  }

  /// The factor of element j of sequence n's hidden state in the recurrent products.
  func factor(sequence n: Int, _ j: Int) -> Double {
    guard let noise, options.recurrentDropout > 0 else { return 1 }
    let p = options.recurrentDropout
    return noise.recurrentDropout(width: stateSize).uniform(n * stateSize + j) >= p
      ? 1 / (1 - p) : 0
  }

  /// The share of its old hidden state that element j keeps at row t·N + n.
  func keptHidden(row: Int, _ j: Int) -> Double {
    kept(options.zoneoutHidden, noise?.zoneoutHidden(width: stateSize), row * stateSize + j)
  }

  /// The share of its old cell state that a unit keeps at row t·N + n.
  func keptCell(row: Int, _ unit: Int) -> Double {
    kept(options.zoneoutCell, noise?.zoneoutCell(width: hiddenSize), row * hiddenSize + unit)
  }

  private func kept(_ probability: Double, _ random: Philox?, _ index: Int) -> Double {
    guard probability > 0, let random else { return probability }
    return random.uniform(index) < probability ? 1 : 0
  }

  /// `weight_hh` with what DropConnect leaves of it, a copy where it drops.
  func dropped(
    _ weight: ReferenceBackend.Buffer?, count: Int
  ) throws -> ReferenceBackend.Buffer? {
    guard let weight, options.dropConnect > 0, noise != nil else { return weight }
    let result = try ReferenceBackend.Buffer(count: count)
    _ = result.first(count).update(fromContentsOf: weight.first(count))
    drop(result, count: count)
    return result
  }

  /// Drops in place: of the weights, or of their gradients.
  func drop(_ weight: ReferenceBackend.Buffer?, count: Int) {
    guard let weight else { return }
    let p = options.dropConnect
    guard p > 0, let random = noise?.dropConnect else { return }
    let values = weight.first(count)
    for i in 0..<count { values[i] = random.uniform(i) >= p ? values[i] / (1 - p) : 0 }
  }
}
