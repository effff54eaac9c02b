/// What a node of a graph computes.
///
/// Axes count from 0; negative ones from the last, −1. Behind each case stand its inputs and its outputs in order, with their shapes; `?` marks an input that may
/// be absent. A list of whole numbers that decides a shape has to be known when the graph is bound: a
/// constant, or computed from shapes and constants.
public enum GraphOperator: Hashable, Sendable {
  // MARK: Element by element, with NumPy's broadcasting

  /// x → y.
  case unary(UnaryFunction)
  /// a, b → y.
  case binary(BinaryFunction)
  /// x, minimum?, maximum? → y: `min(max(x, minimum), maximum)`.
  case clip
  /// condition, a, b → y: `a` where the condition is not 0, else `b`.
  case select
  /// x → y of another type; a floating-point number becomes a whole one by dropping its fraction.
  case cast(GraphType)

  // MARK: Products

  /// x `[…, K]`, weight `[O, K]`, bias? `[O]` → `[…, O]`: `x·weightᵀ + bias`.
  case linear
  /// weight `[V, E]`, tokens `[…]` → `[…, E]`: the rows of the weight that tokens from 0 to V − 1 name.
  case embedding
  /// a `[…, M, K]`, b `[…, K, N]` → `[…, M, N]`, with NumPy's rules for vectors and for the other axes.
  case matMul
  /// a, b, c? → `α·a·b + β·c`, either factor transposed where wanted.
  case gemm(alpha: Double, beta: Double, transposesA: Bool, transposesB: Bool)
  /// Its operands → Einstein's sum, `btgi,gih->btgh`; two operands at most.
  case einsum(String)
  /// x `[N, C, …]`, weight `[O, C/groups, …]`, bias? `[O]` → `[N, O, …]`, over one or two axes.
  case convolution(Convolution)
  /// x `[N, C, …]`, weight `[C, O/groups, …]`, bias? `[O]` → `[N, O, …]`: the adjoint of a convolution.
  case convolutionTransposed(Convolution)

  // MARK: Reductions

  /// x, axes? → y over `axes`, over the ones that the second input names, or where there are none over all
  /// of them, unless `ignoresNoAxes`.
  case reduce(ReduceFunction, axes: [Int]?, keepsDimensions: Bool, ignoresNoAxes: Bool = false)
  /// x → the index of the largest (smallest) element along an axis, the first of equal ones, or the last.
  case argument(isLargest: Bool, axis: Int, keepsDimensions: Bool, takesLast: Bool)
  /// x `[N, C, …]` → the largest element of each window; padding does not count.
  case maximumPool(Convolution)
  /// x `[N, C, …]` → the mean of each window, of padding too where `countsPadding`.
  case averagePool(Convolution, countsPadding: Bool)
  /// x → softmax along an axis.
  case softmax(axis: Int)
  /// x → its logarithm.
  case logSoftmax(axis: Int)
  /// x, axis? → the sums of all elements up to each, or with `isExclusive` before it.
  case cumulativeSum(axis: Int?, isExclusive: Bool, isReverse: Bool)

  // MARK: Normalisation

  /// x, scale? `[C]`, bias? `[C]`, mean `[C]`, variance `[C]`, lengths? `[N]` → y:
  /// `scale·(x − mean)/√(variance + ε) + bias`, C being the extent of an axis.
  ///
  /// In a training pass mean and variance are the batch's and the running ones follow them:
  /// `running += momentum·(batch − running)`. With lengths x is `[T, N, C]`, and what is past a sequence's
  /// end takes no part. `isFrozen` uses the running statistics in training too.
  case batchNormalization(axis: Int, epsilon: Double, momentum: Double, isFrozen: Bool)
  /// x, scale?, bias? → y, mean, 1/deviation: normalised over the axes from `axis` on.
  case layerNormalization(axis: Int, epsilon: Double)
  /// x `[N, C, …]`, scale? `[C]`, bias? `[C]` → y, normalised over groups of channels; as many groups as
  /// channels is instance normalisation.
  case groupNormalization(groups: Int?, epsilon: Double)
  /// x → x with elements dropped at random in a training pass, the others scaled by `1/(1 − p)`.
  case dropout(probability: Double)

  // MARK: Along time

  /// x `[T, N, C]`, lengths? `[N]`, h₀? `[L·D, N, P]`, c₀? `[L·D, N, H]` → y `[T, N, D·P]`, hₙ, cₙ.
  case recurrent(RecurrentOperator)
  /// x `[T, N, C]`, lengths? `[N]`, query? `[C]` → `[N, C]`; see `TimePooling`.
  case timePool(TimePooling)
  /// x `[T, N, …]`, lengths `[N]` → x with each sequence's steps in the reverse order; axes of time and
  /// batch as given.
  case reverseSequence(timeAxis: Int, batchAxis: Int)

  // MARK: Views and choices

  /// x → x with its axes in another order; nil reverses them.
  case transpose([Int]?)
  /// x, shape → x; −1 stands for what is left, 0 for x's own extent unless `allowsZero`.
  case reshape(allowsZero: Bool)
  /// x → a matrix: the axes before `axis`, and the others.
  case flatten(axis: Int)
  /// x, axes? → x without axes of extent 1: those given, or all.
  case squeeze(axes: [Int]?)
  /// x, axes? → x with axes of extent 1.
  case unsqueeze(axes: [Int]?)
  /// x, starts, ends, axes?, steps? → a part of x, with ONNX's (NumPy's) rules.
  case slice
  /// x, sizes? → parts along an axis, of these sizes, or as many equal ones as there are outputs.
  case split(axis: Int)
  /// Its inputs, one behind the other along an axis.
  case concatenate(axis: Int)
  /// x, shape → x, broadcast.
  case expand
  /// x, repeats → x, again and again along each axis.
  case tile
  /// x, pads, value?, axes? → x with more elements before and behind along each axis.
  case pad(PadMode)
  /// x, indices → the slices of x at these places of an axis, negative ones counted from its end.
  case gather(axis: Int)
  /// x, indices → `y[i][j] = x[indices[i][j]][j]` for axis 0.
  case gatherElements(axis: Int)
  /// x → its extents `[rank]`, from `start` to before `end`.
  case shape(start: Int, end: Int?)
  /// x → the number of its elements.
  case size
  /// shape → a tensor of equal elements.
  case constantOfShape(GraphTensor)
  /// start, limit, delta → `[⌈(limit − start)/delta⌉]`.
  case range
  /// indices, depth, values `[off, on]` → one more axis, which is `on` at the index.
  case oneHot(axis: Int)
  /// x, k? → x with zeros below (above) a diagonal.
  case triangle(isUpper: Bool)

  // MARK: Whole numbers

  /// x → y (UInt8), scale, zero point, chosen so that 0 and all of x are in range.
  case dynamicQuantize
  /// x, scale, zero point? → `round(x / scale) + zero point`, within the type's range.
  case quantize(axis: Int, type: GraphType?)
  /// x, scale, zero point? → `(x − zero point)·scale`.
  case dequantize(axis: Int)
  /// a, b, zero point of a?, of b? → the product of whole numbers.
  case matMulInteger
  /// x, weight, zero point of x?, of the weight? → the convolution of whole numbers.
  case convolutionInteger(Convolution)

  // MARK: Training

  /// predictions, targets, weights or mask? → the loss, a scalar; see `GraphLoss`.
  case loss(GraphLoss)

  // MARK: Control

  /// condition → the outputs of one of two graphs, which see the tensors around them. The condition has to
  /// be known when the graph is bound.
  case branch(then: Graph, else: Graph)
  /// limit?, condition?, carried… → carried…, scanned…; the body's inputs are the count, the condition and
  /// what is carried, its outputs the condition, what is carried and what is scanned.
  case loop(Graph)
  /// carried…, scanned… → carried…, scanned…, over the first axis of what is scanned unless told otherwise.
  case scan(ScanOperator)
}

extension GraphOperator {
  /// The graphs within.
  public var subgraphs: [Graph] {
    switch self {
    case .branch(let first, let second): [first, second]
    case .loop(let body): [body]
    case .scan(let scan): [scan.body]
    default: []
    }
  }

  /// The case's name, for messages and counts: `unary(tanh)`, `convolution`, `recurrent(lstm)`.
  public var name: String {
    switch self {
    case .unary(let function): "\(function)".prefixBeforeParenthesis
    case .binary(let function): function.rawValue
    case .reduce(let function, _, _, _): "reduce \(function.rawValue)"
    case .recurrent(let recurrent): recurrent.configuration.cell.rawValue
    default: "\(self)".prefixBeforeParenthesis
    }
  }
}

extension String {
  fileprivate var prefixBeforeParenthesis: String { String(prefix { $0 != "(" }) }
}
