import CarouselModel
import Foundation

/// Layer normalisation of a vector v: `v^ = (v − mean v)/√(var v + 10⁻⁵)`, the result `gain ⊙ v^`.
///
/// Ba, Kiros & Hinton 2016.
struct LayerNormalization {
  /// v^.
  let normalized: [Double]
  private let deviation: Double

  init(_ values: UnsafeMutablePointer<Double>, count: Int, rounding: Rounding?) {
    let values = UnsafeBufferPointer(start: values, count: count)
    let mean = values.reduce(0, +) / Double(count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    let deviation = (variance + 1e-5).squareRoot()
    self.deviation = deviation
    var normalized = values.map { ($0 - mean) / deviation }
    rounding?.round(&normalized, count: count)
    self.normalized = normalized
  }

  /// ∂v from ∂v^: `(∂v^ − mean ∂v^ − v^·mean(∂v^ ⊙ v^))/deviation`.
  func backward(_ gradient: [Double]) -> [Double] {
    let count = Double(normalized.count)
    let mean = gradient.reduce(0, +) / count
    let product = zip(gradient, normalized).reduce(0) { $0 + $1.0 * $1.1 } / count
    return zip(gradient, normalized).map { ($0 - mean - $1 * product) / deviation }
  }
}

/// The normalisation of a layer's input or recurrent products `[G·H]`, in groups of gates.
struct ProductNormalization {
  private let gain: UnsafeMutablePointer<Double>
  private let gradGain: UnsafeMutablePointer<Double>?
  private let rounding: Rounding?

  /// Nil in a layer without normalisation.
  init?(
    _ gain: ReferenceBackend.Buffer?, gradient: ReferenceBackend.Buffer? = nil,
    for layer: RecurrentLayer, rounding: Rounding?
  ) {
    guard layer.options.layerNorm, let gain else { return nil }
    self.gain = gain.vector(layer.gateRows)
    gradGain = gradient?.vector(layer.gateRows)
    self.rounding = rounding
  }

  /// `row = gain ⊙ v^` in the given group of its elements.
  func apply(to row: Matrix, group: Range<Int>) {
    let norm = LayerNormalization(
      row[0] + group.lowerBound, count: group.count, rounding: rounding)
    for (i, value) in zip(group, norm.normalized) { row[0][i] = gain[i] * value }
  }

  /// From `gradient`, that of gain ⊙ v^, to that of `products` v in its place; adds to the gain's.
  func backward(_ gradient: Matrix, products: Matrix, group: Range<Int>) {
    let norm = LayerNormalization(
      products[0] + group.lowerBound, count: group.count, rounding: rounding)
    for (i, value) in zip(group, norm.normalized) { gradGain?[i] += gradient[0][i] * value }
    let result = norm.backward(group.map { gradient[0][$0] * gain[$0] })
    for (i, value) in zip(group, result) { gradient[0][i] = value }
  }
}

extension RecurrentLayer {
  /// The rows of the gates that are normalised together, and whose recurrent products are computed
  /// together: a GRU's new gate is by itself.
  var groups: [Range<Int>] {
    guard cell.traits.splitsLastGate else { return [0..<gateRows] }
    let first = gateRows - hiddenSize
    return [0..<first, first..<gateRows]
  }

  /// Whether a GRU's new gate sees the states after the reset gate.
  var resetsBefore: Bool { options.gruReset == .before }
}
