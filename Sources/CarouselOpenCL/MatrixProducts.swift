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

/// The columns of a gradient `[K, stride]`, from `offset` on: slots of `width` columns each.
struct GradientColumns {
  let buffer: Buffer
  let stride: Int
  var offset = 0
  var slots = 1
  let width: Int
  /// K, the rows that are summed over.
  let depth: Int
  /// The same as the products of CPU devices read it, where a strategy left it so.
  var packed: PackedGradients?

  /// M, the number of columns.
  var columns: Int { slots * width }
}

/// A layer's gradients, inputs and states as `gemm/gradient_tiles.cl` lays them out; with `lengths` without
/// the steps that its sequences do not have.
struct PackedGradients {
  let tiles: Buffer
  let panels: Buffer
  var lengths: Buffer?
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
  /// The slot of gradY without rows in `weight` and `bias`; those of the others follow each other, from
  /// `first` on.
  var skippedSlot: Int?
  var first = 0

  /// The columns that are left out.
  func skipped(of gradY: GradientColumns) -> Range<Int> {
    skippedSlot.map { $0 * gradY.width..<($0 + 1) * gradY.width } ?? 0..<0
  }

  /// The rows of `weight`.
  func rows(of gradY: GradientColumns) -> Int { gradY.columns - skipped(of: gradY).count }
}

/// Bytes of the operands of a product, each moved once.
func productBytes(rows: Int, columns: Int, depth: Int, weightBytes: Int = 4) -> Double {
  4 * (Double(rows * depth) + Double(rows * columns)) + Double(weightBytes * depth * columns)
}
