import Foundation

/// The counter-based random number generator Philox4x32-10.
///
/// A block of four 32-bit words is a pure function of a 64-bit key (the seed) and a 128-bit counter
/// (stream, index), so that the reference and every device draw the same numbers in any order.
/// `Kernels/common/philox.cl` computes the same function.
///
/// Source: Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.
public struct Philox: Sendable {
  /// The key of every block.
  public let seed: UInt64
  /// What separates one use of random numbers from another under the same seed.
  public let stream: UInt64
  /// Which elements of the stream are meant where those of a part of a batch are counted; nil counts from
  /// the stream's first on.
  package var window: RowWindow?

  /// Makes the generator of one stream under a seed.
  public init(seed: UInt64, stream: UInt64) {
    self.seed = seed
    self.stream = stream
  }

  /// The four words of block `index`.
  public func block(_ index: UInt64) -> SIMD4<UInt32> {
    var counter = SIMD4<UInt32>(
      UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
      UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32))
    var key = SIMD2<UInt32>(
      UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    for _ in 0..<10 {
      let left = (0xD251_1F53 as UInt32).multipliedFullWidth(by: counter[0])
      let right = (0xCD9E_8D57 as UInt32).multipliedFullWidth(by: counter[2])
      counter = SIMD4(
        right.high ^ counter[1] ^ key[0], right.low,
        left.high ^ counter[3] ^ key[1], left.low)
      key &+= SIMD2(0x9E37_79B9, 0xBB67_AE85)
    }
    return counter
  }

  /// The word of element `index`: lane `index % 4` of block `index / 4`.
  public func word(_ index: Int) -> UInt32 {
    let index = window?.element(index) ?? index
    return block(UInt64(index / 4))[index % 4]
  }

  /// A number drawn uniformly from the 2²⁴ multiples of 2⁻²⁴ in [0, 1), exact in Float32.
  public func uniform(_ index: Int) -> Double {
    Self.uniform(of: word(index))
  }

  private static func uniform(of word: UInt32) -> Double { Double(word >> 8) * 0x1p-24 }

  /// What `uniform` gives for every index below `count`, from one block for each four.
  public func uniforms(count: Int) -> [Double] {
    if window != nil { return (0..<count).map(uniform) }
    var result: [Double] = []
    result.reserveCapacity(count)
    for first in stride(from: 0, to: count, by: 4) {
      let words = block(UInt64(first / 4))
      for lane in 0..<min(4, count - first) { result.append(Self.uniform(of: words[lane])) }
    }
    return result
  }

  /// A number of the standard normal distribution, by Box and Muller from one block.
  public func normal(_ index: Int) -> Double {
    let words = block(UInt64(index))
    let radius = Double(words[0]) * 0x1p-32 + 0x1p-33
    let angle = Double(words[1]) * 0x1p-32
    return (-2 * log(radius)).squareRoot() * cos(2 * .pi * angle)
  }
}
