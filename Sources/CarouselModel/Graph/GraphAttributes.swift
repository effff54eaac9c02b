/// The window of a convolution or a pool over one or two axes.
///
/// An output's extent is `⌊(L + before + after − dilation·(K − 1) − 1)/stride⌋ + 1` for an input of L and a
/// kernel of K; that of a transposed convolution `(L − 1)·stride − before − after + dilation·(K − 1) + 1 +
/// outputPadding`.
public struct Convolution: Hashable, Sendable {
  /// K along each axis; nil where the weight's shape says it.
  public var kernel: [Int]?
  /// The elements from one window to the next; nil is 1.
  public var strides: [Int]?
  /// The elements from one element of a window to the next; nil is 1.
  public var dilations: [Int]?
  /// What is added around the input.
  public var padding: ConvolutionPadding
  /// The groups of channels that are convolved apart.
  public var groups: Int
  /// What a transposed convolution adds at the end of each axis.
  public var outputPadding: [Int]?
  /// The extents that a transposed convolution's output has, where they are given: the padding follows.
  public var outputShape: [Int]?
  /// Whether a pool's last window may reach beyond the padding.
  public var roundsUp: Bool

  /// Describes a window.
  public init(
    kernel: [Int]? = nil, strides: [Int]? = nil, dilations: [Int]? = nil,
    padding: ConvolutionPadding = .explicit(before: [], after: []), groups: Int = 1,
    outputPadding: [Int]? = nil, outputShape: [Int]? = nil, roundsUp: Bool = false
  ) {
    self.kernel = kernel
    self.strides = strides
    self.dilations = dilations
    self.padding = padding
    self.groups = groups
    self.outputPadding = outputPadding
    self.outputShape = outputShape
    self.roundsUp = roundsUp
  }
}

/// What is added around the input of a convolution.
public enum ConvolutionPadding: Hashable, Sendable {
  /// So many zeros along each axis; an empty list is none.
  case explicit(before: [Int], after: [Int])
  /// So many that an output has ⌈L / stride⌉ elements, the odd one behind.
  case sameUpper
  /// The same, the odd one before.
  case sameLower
}

/// What a padded element is.
public enum PadMode: String, Hashable, Sendable {
  /// A constant: the operator's third input, or 0.
  case constant
  /// The element as far on the other side of the edge, which is not repeated.
  case reflect
  /// The nearest element of the input.
  case edge
  /// The input again.
  case wrap
}

/// A stack of recurrent layers as one operator.
public struct RecurrentOperator: Hashable, Sendable {
  /// Cell, sizes, layers, direction and all options.
  public var configuration: RecurrentConfiguration
  /// What the names of its parameters begin with: `recurrent.` for `recurrent.weight_ih_l0`.
  ///
  /// They are among the graph's parameters, in PyTorch's shapes and gate order.
  public var prefix: String

  /// Describes the operator.
  public init(_ configuration: RecurrentConfiguration, prefix: String) {
    self.configuration = configuration
    self.prefix = prefix
  }
}

/// What becomes of a sequence's steps; those past its length take no part, and a sequence of length 0
/// becomes 0.
public enum TimePooling: String, Hashable, Sendable, CaseIterable {
  /// The last step.
  case last
  /// The mean of all steps.
  case mean
  /// The largest of all steps, element by element.
  case maximum
  /// The mean with the weights softmax(x·query/√C).
  case attention
}

/// How a prediction is judged.
///
/// The loss of a pass is the mean of its rows' losses, over the rows that count.
public enum GraphLoss: Hashable, Sendable {
  /// logits `[…, V]`, classes `[…]` (a negative one does not count), weights of classes? `[V]`.
  case crossEntropy(smoothing: Double)
  /// predictions `[…, O]`, targets `[…, O]`, mask? `[…]`.
  case regression(RegressionLoss)
  /// logits `[T, N, V]`, labels `[N, S]`, input lengths `[N]`, label lengths `[N]`.
  case ctc(blank: Int)
}

/// Loop over time with a graph for its step.
public struct ScanOperator: Hashable, Sendable {
  /// What one step computes: its inputs are what is carried, then a slice of each scanned tensor; its
  /// outputs are what is carried, then a slice of each scanned output.
  public var body: Graph
  /// How many of the inputs are scanned, the last ones.
  public var scannedInputs: Int
  /// The axis of each scanned input and whether it is scanned from its end; empty is 0 and no.
  public var inputAxes: [Int], inputsReversed: [Bool]
  /// The same of the scanned outputs.
  public var outputAxes: [Int], outputsReversed: [Bool]

  /// Describes a scan.
  public init(
    body: Graph, scannedInputs: Int, inputAxes: [Int] = [], inputsReversed: [Bool] = [],
    outputAxes: [Int] = [], outputsReversed: [Bool] = []
  ) {
    self.body = body
    self.scannedInputs = scannedInputs
    self.inputAxes = inputAxes
    self.inputsReversed = inputsReversed
    self.outputAxes = outputAxes
    self.outputsReversed = outputsReversed
  }
}
