/// A convolution in groups of channels, or its adjoint, as one operation that copies no window.
///
/// `y[n, g·R + r, p] = bias[g·R + r] + Σ w·x[n, g·D + d, q]` over the D channels d of the group and the elements k
/// of a window. A convolution has the weights `[groups·R, D, Kh, Kw]`, and p counts the windows:
/// `q = p·stride − before + k·dilation`. The adjoint, which is a transposed convolution, has `[groups·D, R, Kh, Kw]`
/// and x counts the windows: the sum is over those whose element k is over p. Beyond x is 0. An activation behind it
/// is applied to each sum.
public struct DirectConvolution: Hashable, Sendable {
  /// Windows over planes `[H, W]`: those of x, or for the adjoint those of y.
  public var window: Window
  /// N, and the groups.
  public var batch: Int, groups: Int
  /// D and R, the channels of x and of y in each group.
  public var inputs: Int, outputs: Int
  /// Whether it is the adjoint.
  public var isAdjoint: Bool
  /// What y is of the sum.
  public var activation = Activation.none

  /// A function that is applied to sums before they are written.
  public enum Activation: String, Hashable, Sendable, CaseIterable {
    case none, relu, sigmoid, tanh
    /// `x / (1 + e⁻ˣ)`
    case silu

    /// The function of one number.
    public var function: UnaryFunction {
      switch self {
      case .none: .identity
      case .relu: .relu
      case .sigmoid: .sigmoid
      case .tanh: .tanh
      case .silu: .silu
      }
    }
  }

  /// Names the sizes.
  public init(
    _ window: Window, batch: Int, groups: Int, inputs: Int, outputs: Int, isAdjoint: Bool
  ) {
    (self.window, self.batch, self.groups) = (window, batch, groups)
    (self.inputs, self.outputs, self.isAdjoint) = (inputs, outputs, isAdjoint)
  }

  /// The rows and columns of a plane of x, and of y.
  public var inputExtents: [Int] { isAdjoint ? window.output : window.input }
  /// Those of y.
  public var outputExtents: [Int] { isAdjoint ? window.input : window.output }
  /// The elements of x, y and the weights.
  public var inputCount: Int { batch * groups * inputs * inputExtents[0] * inputExtents[1] }
  /// Those of y.
  public var outputCount: Int { batch * groups * outputs * outputExtents[0] * outputExtents[1] }
  /// Those of the weights.
  public var weightCount: Int { groups * inputs * outputs * window.kernel[0] * window.kernel[1] }
  /// 2 for each product, those with 0 beyond x included, but for the adjoint between its windows' strides.
  public var flops: Double {
    2 * Double(isAdjoint ? inputCount : outputCount) * Double(isAdjoint ? outputs : inputs)
      * Double(window.kernel[0] * window.kernel[1])
  }

  /// Whether it takes less time than copied windows and a product of matrices: of so few products for each
  /// output, or of so few outputs, that a packed matrix is not worth its copies.
  var isPreferred: Bool {
    let depth = inputs * window.kernel[0] * window.kernel[1]
    let count = outputExtents.reduce(batch, *)
    return groups > 1 || depth <= 256 || count <= 16
      || !isAdjoint && depth <= 1024 && count <= 1 << 12
  }

  /// The convolution whose gradient of x, or whose gradient's gradient, this is: x and y change places.
  var adjoint: DirectConvolution {
    DirectConvolution(
      window, batch: batch, groups: groups, inputs: outputs, outputs: inputs,
      isAdjoint: !isAdjoint)
  }

  /// The row or column of x along `axis` that element `k` meets at place `p` of y; nil where there is none.
  package func place(axis: Int, output p: Int, element k: Int) -> Int? {
    guard isAdjoint else { return window.place(axis: axis, window: p, element: k) }
    let scaled = p + window.before[axis] - k * window.dilations[axis]
    let place = scaled / window.strides[axis]
    guard scaled >= 0, place < window.output[axis], place * window.strides[axis] == scaled else {
      return nil
    }
    return place
  }
}
