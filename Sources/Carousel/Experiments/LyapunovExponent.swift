import CarouselModel
import Foundation

/// The largest Lyapunov exponent of one layer along the states that an input drives it through, in nats a
/// step: how fast two states that lie close together part (above 0) or meet (below 0).
///
/// By Benettin et al. 1980: a second sequence begins at a distance of 10⁻³ from the first, both take a step,
/// ln of the ratio of the distances is noted, and the distance is made 10⁻³ again. The mean is over all
/// steps but the first tenth, and over N sequences. A state is h with all states beside it.
struct LyapunovExponent<B: Backend> {
  private let backend: B
  private let configuration: RecurrentConfiguration
  private let parameters: [String: Tensor]
  private static var distance: Double { 1e-3 }

  /// One layer that walks forward, and its parameters under their bare names.
  init(_ configuration: RecurrentConfiguration, parameters: [String: Tensor], on backend: B) {
    precondition(configuration.layers == 1 && configuration.direction == .forward)
    self.configuration = configuration
    self.parameters = parameters
    self.backend = backend
  }

  /// The exponent for the input `x [T, N, C]`; `seed` draws in which direction the second state lies.
  func value(x: Tensor, seed: UInt64) throws -> Double {
    let (T, N, C) = (x.shape[0], x.shape[1], x.shape[2])
    let (P, M) = (configuration.stateSize, configuration.memorySize)
    let store = try ParameterStore(
      configuration.parameterDescriptions, backend: backend, seed: nil)
    try store.load(parameters, source: "the parameters")
    let layer = configuration.layer(0, isReverse: false)
    let weights = try store.recurrent(prefix: "", suffix: "_l0")
    func makeState() throws -> RecurrentState<B.Buffer> {
      RecurrentState(
        hidden: try backend.makeBuffer(count: 2 * N * P),
        memory: M > 0 ? try backend.makeBuffer(count: 2 * N * M) : nil)
    }
    let (initial, final) = (try makeState(), try makeState())
    let reserve = try backend.makeReserve(
      for: layer, sequenceLength: 1, batchSize: 2 * N, training: false)
    let input = try backend.makeBuffer(count: 2 * N * C)
    let work = RecurrentWork<B>(
      layer: layer, sequenceLength: 1, batchSize: 2 * N, parameters: weights, x: input,
      initial: initial, y: try backend.makeBuffer(count: 2 * N * P), reserve: reserve)
    // The states [2N, P] and [2N, M]: a sequence's second state is N rows further on.
    var hidden = [Double](repeating: 0, count: 2 * N * P)
    var memory = [Double](repeating: 0, count: 2 * N * M)
    let drawn = ComparisonInput.normal([N, P + M], seed: seed, index: 7).values
    for n in 0..<N {
      let direction = Array(drawn[n * (P + M)..<(n + 1) * (P + M)])
      place(direction, of: n, N, &hidden, &memory)
    }
    var sum = 0.0
    var count = 0
    for t in 0..<T {
      let row = Array(x.values[t * N * C..<(t + 1) * N * C])
      try backend.write(row + row, to: input)
      try backend.write(hidden, to: initial.hidden)
      if let buffer = initial.memory { try backend.write(memory, to: buffer) }
      try backend.recurrentForward(work, final: final)
      hidden = try backend.read(final.hidden, count: 2 * N * P)
      if let buffer = final.memory { memory = try backend.read(buffer, count: 2 * N * M) }
      for n in 0..<N {
        let difference =
          (0..<P).map { hidden[(N + n) * P + $0] - hidden[n * P + $0] }
          + (0..<M).map { memory[(N + n) * M + $0] - memory[n * M + $0] }
        let norm = difference.euclideanNorm
        guard norm > 0 else { return -.infinity }
        if t >= T / 10 {
          sum += log(norm / Self.distance)
          count += 1
        }
        place(difference, of: n, N, &hidden, &memory)
      }
    }
    return count == 0 ? .nan : sum / Double(count)
  }

  /// Puts the second state of a sequence at the distance from the first, in a direction.
  private func place(
    _ direction: [Double], of n: Int, _ count: Int, _ hidden: inout [Double],
    _ memory: inout [Double]
  ) {
    let (P, M) = (configuration.stateSize, configuration.memorySize)
    let factor = Self.distance / direction.euclideanNorm
    for p in 0..<P { hidden[(count + n) * P + p] = hidden[n * P + p] + factor * direction[p] }
    for m in 0..<M { memory[(count + n) * M + m] = memory[n * M + m] + factor * direction[P + m] }
  }
}

/// How fast a gradient grows on its way back: the slope of ln of its norm over the steps that it has
/// travelled, in nats a step, by least squares.
///
/// Norms below 10⁻³⁰, near the end of Float32's range, are left out, and so is what is not finite; NaN where
/// fewer than three are left.
func gradientSlope(_ norms: [Double]) -> Double {
  let points = norms.enumerated().compactMap { index, norm in
    norm > 1e-30 && norm.isFinite ? (x: Double(norms.count - index), y: log(norm)) : nil
  }
  guard points.count >= 3 else { return .nan }
  let (x, y) = (points.map(\.x).mean, points.map(\.y).mean)
  let products = points.reduce(0) { $0 + ($1.x - x) * ($1.y - y) }
  return products / points.reduce(0) { $0 + ($1.x - x) * ($1.x - x) }
}
