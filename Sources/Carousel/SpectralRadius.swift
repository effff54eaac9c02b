import CarouselModel
import Foundation

/// The largest magnitude among the eigenvalues of a square matrix, by Gelfand's formula
/// `ρ = lim ‖Aᵐ‖^(1/m)` over m = 1, 2, 4, …, so that a pair of complex eigenvalues is no obstacle.
///
/// The result is within about 1e-8 of its own magnitude where the matrix is not far from normal; 0
/// where a power of the matrix is. Cost: up to 40 products of n³.
func spectralRadius(of matrix: Tensor) -> Double {
  precondition(matrix.shape.rank == 2 && matrix.shape[0] == matrix.shape[1])
  let size = matrix.shape[0]
  var power = matrix.values
  // log ‖Aᵐ‖ is `logarithm`, and `power` is Aᵐ over its norm.
  var logarithm = 0.0
  var estimate = Double.infinity
  for exponent in 0..<40 {
    if exponent > 0 {
      power = squared(power, size: size)
      logarithm *= 2
    }
    let norm = power.euclideanNorm
    guard norm > 0 else { return 0 }
    logarithm += log(norm)
    for index in power.indices { power[index] /= norm }
    let next = exp(logarithm / exp2(Double(exponent)))
    if (next - estimate).magnitude <= 1e-9 * next { return next }
    estimate = next
  }
  return estimate
}

private func squared(_ matrix: [Double], size: Int) -> [Double] {
  var result = [Double](repeating: 0, count: size * size)
  matrix.withUnsafeBufferPointer { matrix in
    result.withUnsafeMutableBufferPointer { result in
      for row in 0..<size {
        for inner in 0..<size {
          let factor = matrix[row * size + inner]
          for column in 0..<size {
            result[row * size + column] += factor * matrix[inner * size + column]
          }
        }
      }
    }
  }
  return result
}
