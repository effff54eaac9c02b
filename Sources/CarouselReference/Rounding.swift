/// The roundings of Float32, imitated at random: a number becomes v·(1 + δ), |δ| ≤ 2⁻²⁴, and 0 below
/// the smallest normal number.
///
/// A pass with such errors wherever a device stores a number tells how far Float32 may be from the truth.
final class Rounding {
  private var state: UInt64
  /// How much larger the errors of the numbers that sums are made of are: √K/2 in sums of K products,
  /// whose own roundings they stand for.
  private let growth: Double

  init(seed: UInt64, sumLength: Int) {
    state = seed
    growth = max(1, Double(sumLength).squareRoot() / 2)
  }

  /// Rounds what is computed.
  func round(_ values: UnsafeMutablePointer<Double>, count: Int) {
    for i in 0..<count { values[i] = rounded(values[i], by: 0x1p-24) }
  }

  /// Rounds what products are made of.
  func roundFactors(_ values: UnsafeMutableBufferPointer<Double>) {
    for i in values.indices { values[i] = rounded(values[i], by: 0x1p-24 * growth) }
  }

  private func rounded(_ value: Double, by most: Double) -> Double {
    value.magnitude < 0x1p-126 ? 0 : value * (1 + most * next())
  }

  /// A number in [−1, 1): SplitMix64 (Steele, Lea & Flood 2014).
  private func next() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    return Double(Int64(bitPattern: bits ^ bits >> 31)) * 0x1p-63
  }
}
