/// The operations that the operators of a graph are made of.
///
/// Views are copied by one, functions applied by one, sums and products made by one each: an operator is a
/// few of them. Sums have a fixed order. Results are contiguous and row-major but where a view says where
/// they go; inputs and results must not overlap.
public protocol GraphBackend: AnyObject {
  /// Elements in the backend's memory.
  associatedtype Buffer: BackendBuffer
  /// Int32 in the backend's memory.
  associatedtype IndexBuffer: BackendIndexBuffer

  /// `y[into] = x[from]`, or with `accumulates` that much more, for every index of two views of the same
  /// extents; no element of y may be in `into` twice.
  func copyView(
    _ x: Buffer, _ from: StridedView, to y: Buffer, _ into: StridedView, accumulates: Bool) throws

  /// `y[i] = function(inputs[0][i], inputs[1][i], …)` for every index of `extents`, in which each input
  /// has strides, 0 where it is broadcast.
  func elementwise(
    _ function: ElementwiseFunction, _ inputs: [(buffer: Buffer, view: StridedView)],
    into y: Buffer,
    extents: [Int]) throws

  /// `y[i] = scale · Σ f(x[i + r])` over all r of `reduced` for every i of `kept`, or the largest, the
  /// smallest, or the product.
  func reduce(
    _ reduction: Reduction, _ x: Buffer, kept: StridedView, reduced: StridedView, into y: Buffer,
    scale: Double) throws

  /// `y[b, m, n] = Σₖ a[b, m, k]·w[b, k, n]`, with views for all three; see `GraphProduct`.
  func product(_ product: GraphProduct, _ a: Buffer, _ b: Buffer, into y: Buffer) throws

  /// Queues work, and returns what queues the same again; nil where that cannot be said.
  func recording(_ work: () throws -> Void) throws -> (any RepeatedWork)?

  /// A convolution or its adjoint, with a bias for each channel of y or none; `added`, of y's elements, is added
  /// behind the activation.
  func convolve(
    _ convolution: DirectConvolution, _ x: Buffer, weight: Buffer, bias: Buffer?, added: Buffer?,
    into y: Buffer) throws
  /// The windows of `x [P, H, W]` as columns `[P, Kh·Kw, Ho·Wo]`, `padding` where they reach beyond x.
  func unfold(_ window: Window, _ x: Buffer, into columns: Buffer, padding: Double) throws
  /// The same windows as rows `[P/C, Ho·Wo, C·Kh·Kw]`, of images of C planes each; 0 beyond x.
  func unfoldRows(_ window: Window, channels: Int, _ x: Buffer, into rows: Buffer) throws
  /// The adjoint of `unfold`: `x[p, h, w]` is the sum of all places of the columns that it was copied to.
  func fold(_ window: Window, _ columns: Buffer, into x: Buffer) throws

  /// `y[o, m, i] = x[o, indices[m], i]` with `x [outer, extent, inner]`, `y [outer, count, inner]`; 0 for a
  /// negative index.
  func gather(
    _ x: Buffer, indices: IndexBuffer, into y: Buffer, outer: Int, extent: Int, inner: Int,
    count: Int) throws
  /// The adjoint: `x[o, v, i] = Σ y[o, m, i]` over all m with `indices[m] = v`, in the order of m.
  func scatter(
    _ y: Buffer, indices: IndexBuffer, into x: Buffer, outer: Int, extent: Int, inner: Int,
    count: Int) throws

  /// `y = softmax(x)` over each row of `x [rows, width]`, or its logarithm.
  func softmax(_ x: Buffer, into y: Buffer, rows: Int, width: Int, isLogarithm: Bool) throws
  /// `gradX = y·(gradY − Σ gradY·y)`, or of the logarithm `gradY − eʸ·Σ gradY`.
  func softmaxBackward(
    y: Buffer, gradY: Buffer, into gradX: Buffer, rows: Int, width: Int, isLogarithm: Bool) throws

  /// `y = (x − mean)·rstd` over each row of `x [rows, width]` with `rstd = 1/√(variance + ε)`; `statistics`
  /// receives mean and rstd of each row, `[2, rows]`.
  ///
  /// With `weights [width]`, 1 where a column counts and 0 elsewhere, mean and variance are those of the
  /// columns that count, and y is 0 in the others.
  func normalize(
    _ x: Buffer, weights: Buffer?, into y: Buffer, statistics: Buffer, rows: Int, width: Int,
    epsilon: Double) throws
  /// `gradX = rstd·(gradY − mean(gradY) − y·mean(gradY·y))`, over the columns that count.
  func normalizeBackward(
    y: Buffer, statistics: Buffer, weights: Buffer?, gradY: Buffer, into gradX: Buffer, rows: Int,
    width: Int) throws
}

/// Work that was queued once and can be queued again, for the same buffers, in less time.
public protocol RepeatedWork: AnyObject {
  /// Queues it; returns false, and queues nothing, where something has changed since and it has to be described anew.
  func queue() throws -> Bool
}

extension GraphBackend {
  /// Queues work, and returns what queues the same again; nil where that would be of no use.
  public func recording(_ work: () throws -> Void) throws -> (any RepeatedWork)? {
    try work()
    return nil
  }
}

/// Where the elements of a tensor lie in a buffer: index (i, j, …) at `offset + i·strides[0] + …`.
public struct StridedView: Hashable, Sendable {
  /// Where index (0, 0, …) is.
  public var offset: Int
  /// The extents, outermost first.
  public var extents: [Int]
  /// The elements from one index to the next, negative ones and 0 included.
  public var strides: [Int]

  /// Names a view.
  public init(offset: Int = 0, extents: [Int], strides: [Int]) {
    self.offset = offset
    self.extents = extents
    self.strides = strides
  }

  /// All elements of a contiguous tensor.
  public init(_ shape: Shape) {
    self.init(extents: shape.dimensions, strides: Self.strides(of: shape.dimensions))
  }

  /// The number of elements.
  public var count: Int { extents.reduce(1, *) }

  /// The strides of a contiguous tensor.
  static func strides(of extents: [Int]) -> [Int] {
    var result = extents
    var stride = 1
    for axis in extents.indices.reversed() {
      result[axis] = stride
      stride *= max(extents[axis], 1)
    }
    return result
  }

  /// The least and the largest place of an element; nil where there is none.
  var bounds: ClosedRange<Int>? {
    guard !extents.contains(0) else { return nil }
    var (least, largest) = (offset, offset)
    for (extent, stride) in zip(extents, strides) {
      if stride < 0 { least += (extent - 1) * stride } else { largest += (extent - 1) * stride }
    }
    return least...largest
  }

  /// The places of all elements, row-major.
  package var places: StridedPlaces { StridedPlaces(view: self) }
}

/// The places of a view's elements in row-major order.
package struct StridedPlaces: Sequence, IteratorProtocol {
  private let view: StridedView
  private var index: [Int]
  private var place: Int
  private var left: Int

  init(view: StridedView) {
    self.view = view
    index = [Int](repeating: 0, count: view.extents.count)
    place = view.offset
    left = view.count
  }

  package mutating func next() -> Int? {
    guard left > 0 else { return nil }
    left -= 1
    defer { advance() }
    return place
  }

  private mutating func advance() {
    for axis in index.indices.reversed() {
      index[axis] += 1
      place += view.strides[axis]
      if index[axis] < view.extents[axis] { return }
      place -= index[axis] * view.strides[axis]
      index[axis] = 0
    }
  }
}

/// What a reduction does with its elements.
public enum Reduction: String, Hashable, Sendable, CaseIterable {
  case sum, squareSum, absoluteSum, maximum, minimum, product
}

/// A product of matrices, one for each index of a batch, and where their elements are.
///
/// `y[b, m, n] = Σₖ a[b, m, k]·w[b, k, n] + bias[n]`. The batch and k have two levels each, b = (b₁, b₂) and
/// k = (k₁, k₂): so that neither a convolution's groups nor a sum over its images need a copy.
public struct GraphProduct: Hashable, Sendable {
  /// The strides of one operand along b₁, b₂, its rows and its columns; those along k stand in rows or
  /// columns with two levels.
  public struct Operand: Hashable, Sendable {
    /// The elements from one index to the next along b₁, b₂, and m of a, n of the other factor, both of y.
    public var batch: [Int], outer: Int
    /// The same along k₁ and k₂; of y along n.
    public var depth: [Int]

    /// Names the strides.
    public init(batch: [Int], outer: Int, depth: [Int]) {
      self.batch = batch
      self.outer = outer
      self.depth = depth
    }
  }

  /// The extents of the batch, b₁ and b₂.
  public var batch: [Int]
  /// M and N.
  public var rows: Int, columns: Int
  /// The extents of the sum, k₁ and k₂.
  public var depth: [Int]
  /// Strides of a along (b, m, k) and of the other factor along (b, n, k).
  public var a: Operand, b: Operand
  /// Strides of y along b₁, b₂, m and n.
  public var yBatch: [Int], yRow: Int, yColumn: Int

  /// The elements of y, which are all written.
  public var count: Int { batch[0] * batch[1] * rows * columns }
  /// 2·B·M·N·K.
  public var flops: Double {
    2 * Double(count) * Double(depth[0]) * Double(depth[1])
  }

  /// One product `a [M, K] · w [K, N]`, either of them transposed in memory.
  public static func matrix(
    rows: Int, columns: Int, depth: Int, transposesA: Bool = false, transposesB: Bool = false
  ) -> GraphProduct {
    GraphProduct(
      batch: [1, 1], rows: rows, columns: columns, depth: [1, depth],
      a: Operand(
        batch: [0, 0], outer: transposesA ? 1 : depth, depth: [0, transposesA ? rows : 1]),
      b: Operand(
        batch: [0, 0], outer: transposesB ? depth : 1, depth: [0, transposesB ? 1 : columns]),
      yBatch: [0, 0], yRow: columns, yColumn: 1)
  }
}

/// How windows lie over planes `[H, W]`; a sequence is a plane of one row.
public struct Window: Hashable, Sendable {
  /// P, the planes: images times channels.
  public var planes: Int
  /// H and W.
  public var input: [Int]
  /// Kh and Kw.
  public var kernel: [Int]
  /// The elements from one window to the next, and from one element of a window to the next.
  public var strides: [Int], dilations: [Int]
  /// What is added before the first row and column.
  public var before: [Int]
  /// Ho and Wo.
  public var output: [Int]

  /// Names the sizes, each of two axes.
  public init(
    planes: Int, input: [Int], kernel: [Int], strides: [Int], dilations: [Int], before: [Int],
    output: [Int]
  ) {
    (self.planes, self.input, self.kernel) = (planes, input, kernel)
    (self.strides, self.dilations) = (strides, dilations)
    (self.before, self.output) = (before, output)
  }

  /// The elements of the planes, and of the columns.
  public var inputCount: Int { planes * input[0] * input[1] }
  /// Those of the columns.
  public var columnCount: Int { planes * kernel[0] * kernel[1] * output[0] * output[1] }

  /// The row or column along `axis` that element `k` of window `o` is over; nil beyond the plane.
  package func place(axis: Int, window o: Int, element k: Int) -> Int? {
    let place = o * strides[axis] - before[axis] + k * dilations[axis]
    return 0..<input[axis] ~= place ? place : nil
  }
}
