import CarouselModel
import OpenCLDriver

/// The three products of every layer with weights, in either form of the kernels.
///
/// Matrices are row-major; `rows` and `columns`, M and N, are those of the result, and `depth`, K, is
/// the length of each of its sums. A stride is the elements from one row to the next, nil where rows
/// follow each other without a gap.
protocol MatrixProducts {
  /// `y [M, N] = x [M, K] · weight [N, K]ᵀ + bias + bias2`; the biases `[N]` may be nil.
  func forward(
    x: Buffer, weight: Buffer, bias: Buffer?, bias2: Buffer?, y: Buffer, yStride: Int?, rows: Int,
    columns: Int, depth: Int) throws

  /// `gradX [M, N] = gradY [M, K] · weight [K, N]`.
  func backward(
    gradY: Buffer, gradYStride: Int?, weight: Buffer, gradX: Buffer, rows: Int, columns: Int,
    depth: Int) throws

  /// For each input `gradWeight = gradYᵀ · x`, and the sums of gradY's columns.
  func gradients(_ gradY: GradientColumns, inputs: [ProductInput]) throws
}

/// The columns of a gradient `[K, stride]`, from `offset` on, that a weight's gradient is made from.
struct GradientColumns {
  let buffer: Buffer
  let stride: Int
  var offset = 0
  /// M, the number of columns.
  let rows: Int
  /// K, the rows that are summed over.
  let depth: Int
  /// Receives the sum of each column, `[M]`.
  var sums: Buffer?
  /// Receives the first `sums2Count` sums from `sums2Offset` on.
  var sums2: Buffer?
  var sums2Offset = 0
  var sums2Count = 0
}

/// One x of `MatrixProducts.gradients`, and where the product goes.
struct ProductInput {
  /// What is multiplied.
  enum Source {
    /// A matrix `[K, N]`.
    case matrix(Buffer)
    /// The hidden states before each step, `[T·N, H]`.
    case statesBefore(RecurrentPass)
  }

  let source: Source
  /// N, the columns of x.
  let columns: Int
  let gradWeight: Buffer
  /// The product has the first `rows` rows alone, and goes to `gradWeight` from `offset` on.
  let rows: Int
  var offset = 0
}

/// Bytes of the operands of a product, each moved once.
func productBytes(rows: Int, columns: Int, depth: Int) -> Double {
  4 * (Double(rows * depth) + Double(depth * columns) + Double(rows * columns))
}
