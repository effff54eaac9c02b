import Foundation

/// An LSTM layer and its input: T steps of N sequences with C inputs and H hidden units.
///
/// Row-major: x `[T, N, C]`, weights `[4 H, C]` and `[4 H, H]`, bias `[4 H]`, rows in the order of the gates
/// i, f, g, o.
struct Layer {
  let sequenceLength: Int, batchSize: Int, inputSize: Int, hiddenSize: Int
  let x: [Float], weightIH: [Float], weightHH: [Float], bias: [Float]

  /// A layer of random numbers as PyTorch draws them, between ±1/√H.
  init(sequenceLength T: Int, batchSize N: Int, inputSize C: Int, hiddenSize H: Int) {
    (sequenceLength, batchSize, inputSize, hiddenSize) = (T, N, C, H)
    let bound = 1 / Float(H).squareRoot()
    func values(_ count: Int, _ bound: Float) -> [Float] {
      (0..<count).map { _ in Float.random(in: -bound...bound) }
    }
    x = values(T * N * C, 1)
    weightIH = values(4 * H * C, bound)
    weightHH = values(4 * H * H, bound)
    bias = values(4 * H, bound)
  }

  /// The products' multiply-adds, two operations each.
  var flops: Double {
    2 * Double(sequenceLength * batchSize * 4 * hiddenSize) * Double(inputSize + hiddenSize)
  }

  /// y `[T, N, H]` by the equations, in Float64: what every kernel has to come to.
  func reference() -> [Double] {
    let (T, N, H) = (sequenceLength, batchSize, hiddenSize)
    var y = [Double](repeating: 0, count: T * N * H)
    var c = [Double](repeating: 0, count: N * H)
    for t in 0..<T {
      for n in 0..<N {
        for unit in 0..<H {
          let z = (0..<4).map { preactivation(row: $0 * H + unit, t: t, n: n, y) }
          let state = n * H + unit
          c[state] = sigmoid(z[1]) * c[state] + sigmoid(z[0]) * tanh(z[2])
          y[t * N * H + state] = sigmoid(z[3]) * tanh(c[state])
        }
      }
    }
    return y
  }

  /// One row of W_ih x + W_hh h' + b.
  private func preactivation(row: Int, t: Int, n: Int, _ y: [Double]) -> Double {
    let (N, C, H) = (batchSize, inputSize, hiddenSize)
    var sum = Double(bias[row])
    for k in 0..<C { sum += Double(weightIH[row * C + k]) * Double(x[(t * N + n) * C + k]) }
    guard t > 0 else { return sum }
    for k in 0..<H { sum += Double(weightHH[row * H + k]) * y[((t - 1) * N + n) * H + k] }
    return sum
  }

  private func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }
}
