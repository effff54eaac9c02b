import CarouselModel
import OpenCLDriver

/// The three products of every layer with weights, in either form of the kernels.
///
/// Matrices are row-major; `rows` and `columns`, M and N, are those of the result, and `depth`, K, is
/// the length of each of its sums. A stride is the elements from one row to the next, nil where rows
/// follow each other without a gap.
protocol MatrixProducts {
  var launcher: Launcher { get }

  /// `y [M, N] = x [M, K] · weight [N, K]ᵀ + bias + bias2`; the biases `[N]` may be nil.
  func forward(
    x: Buffer, weight: Buffer, bias: Buffer?, bias2: Buffer?, y: Buffer, yStride: Int?, rows: Int,
    columns: Int, depth: Int) throws

  /// `gradX [M, N] = gradY [M, K] · weight [K, N]`.
  func backward(
    gradY: Buffer, gradYStride: Int?, weight: Buffer, gradX: Buffer, rows: Int, columns: Int,
    depth: Int) throws

  /// The products and sums that are made from a gradient's columns: at most one with a matrix and one
  /// with the states of a layer.
  func gradients(_ gradY: GradientColumns, _ results: [WeightGradient]) throws
}

/// The columns of a gradient `[K, stride]`, from `offset` on.
struct GradientColumns {
  let buffer: Buffer
  let stride: Int
  var offset = 0
  /// M, the number of columns.
  let columns: Int
  /// K, the rows that are summed over.
  let depth: Int
}

/// What is made from a gradient's columns: `weight = gradYᵀ · x`, and `bias`, the sums of gradY's
/// columns.
struct WeightGradient {
  /// What the weight was multiplied with.
  enum Source {
    /// A matrix `[K, N]`.
    case matrix(Buffer)
    /// The hidden states before each step, `[T·N, H]`.
    case statesBefore(RecurrentPass)
  }

  let source: Source
  /// N, the columns of x.
  let columns: Int
  /// Receives the product, `[M, N]`.
  let weight: Buffer?
  /// Receives the sums, `[M]`.
  var bias: Buffer?
  /// The columns of gradY without a row in `weight` and `bias`; the others' rows follow each other,
  /// from `first` on.
  var skipped = 0..<0
  var first = 0

  /// The rows for `count` columns.
  func rows(of count: Int) -> Int { count - skipped.clamped(to: 0..<count).count }
}

/// Bytes of the operands of a product, each moved once.
func productBytes(rows: Int, columns: Int, depth: Int) -> Double {
  4 * (Double(rows * depth) + Double(depth * columns) + Double(rows * columns))
}
