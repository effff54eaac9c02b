import CarouselModel
import CarouselReference
import Testing

typealias Buffer = ReferenceBackend.Buffer
typealias State = RecurrentState<Buffer>

extension ReferenceBackend {
  /// A buffer that holds these values.
  func buffer(_ values: [Double]) throws -> Buffer {
    let buffer = try makeBuffer(count: values.count)
    try write(values, to: buffer)
    return buffer
  }

  /// A buffer of indices.
  func indices(_ values: [Int32]) throws -> IndexBuffer {
    let buffer = try makeIndexBuffer(count: values.count)
    try write(values, to: buffer)
    return buffer
  }

  /// A buffer of random values of the standard normal distribution, never the same for two streams.
  func random(_ count: Int, stream: Int) throws -> Buffer {
    try buffer(normal(count, stream: stream))
  }

  /// All elements of a buffer.
  func values(_ buffer: Buffer) -> [Double] { (try? read(buffer, count: buffer.count)) ?? [] }
}

/// Random values of the standard normal distribution.
func normal(_ count: Int, stream: Int) -> [Double] {
  Initializer.normal(1).values(
    count: count, random: Philox(seed: 11, stream: RandomStream.input(stream)))
}

/// `Σ a[i]·b[i]`.
func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

/// Expects every element within `tolerance` of the largest expected magnitude, which is not 0.
func expectClose(
  _ actual: [Double], _ expected: [Double], tolerance: Double, _ name: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let scale = expected.map(\.magnitude).max() ?? 0
  #expect(actual.count == expected.count, "\(name)", sourceLocation: sourceLocation)
  #expect(scale > 0, "\(name) is all zeros", sourceLocation: sourceLocation)
  for (index, (a, e)) in zip(actual, expected).enumerated() {
    #expect(
      (a - e).magnitude <= tolerance * scale, "\(name)[\(index)] is \(a), expected \(e)",
      sourceLocation: sourceLocation)
  }
}

/// Expects `gradient` to be that of `loss` with respect to the elements of `buffer`.
///
/// Central differences over two widths, `(8·(f(+h) − f(−h)) − (f(+2h) − f(−2h))) / 12h`: an error of
/// h⁴ from the formula and of ε/h from rounding, both below 1e-12 where h is 2⁻¹⁰ and `loss` is not
/// steep.
func expectGradient(
  _ gradient: [Double], of buffer: Buffer, in backend: ReferenceBackend, _ name: String,
  step: Double = 0x1p-10, sourceLocation: SourceLocation = #_sourceLocation,
  loss: () throws -> Double
) throws {
  let values = backend.values(buffer)
  let differences = try values.indices.map { index in
    func difference(_ step: Double) throws -> Double {
      let losses = try [step, -step].map {
        var moved = values
        moved[index] += $0
        try backend.write(moved, to: buffer)
        return try loss()
      }
      return losses[0] - losses[1]
    }
    return try (8 * difference(step) - difference(2 * step)) / (12 * step)
  }
  try backend.write(values, to: buffer)
  expectClose(gradient, differences, tolerance: 1e-8, name, sourceLocation: sourceLocation)
}
