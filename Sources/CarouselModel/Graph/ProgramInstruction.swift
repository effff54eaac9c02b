/// The node of a graph that an instruction belongs to.
package struct ProgramLabel: Hashable, Sendable {
  /// The node's name, and its operator's.
  package let node: String, operation: String
}

/// One operation of a program; storages are named by their places in it.
enum ProgramInstruction {
  case fill(Int, count: Int, with: Double)
  case copy(Int, StridedView, to: Int, StridedView, accumulates: Bool)
  case elementwise(ElementwiseFunction, [(Int, StridedView)], into: Int, extents: [Int])
  case reduce(
    Reduction, Int, kept: StridedView, reduced: StridedView, into: Int, scale: Double)
  case product(GraphProduct, Int, Int, into: Int)
  case linear(
    x: Int, weight: Int, bias: Int?, y: Int, rows: Int, inputSize: Int, outputSize: Int)
  case linearBackward(
    x: Int, weight: Int, gradY: Int, gradX: Int?, gradWeight: Int, gradBias: Int?, rows: Int,
    inputSize: Int, outputSize: Int)
  case embedding(Int, indices: Int, into: Int, count: Int, vocabulary: Int, width: Int)
  case embeddingBackward(Int, indices: Int, into: Int, count: Int, vocabulary: Int, width: Int)
  case convolve(ProgramConvolution, into: Int)
  case unfold(Window, Int, into: Int, padding: Double)
  case unfoldRows(Window, channels: Int, Int, into: Int)
  case fold(Window, Int, into: Int)
  case gather(Int, indices: Int, into: Int, outer: Int, extent: Int, inner: Int, count: Int)
  case scatter(Int, indices: Int, into: Int, outer: Int, extent: Int, inner: Int, count: Int)
  case softmax(Int, into: Int, rows: Int, width: Int, isLogarithm: Bool)
  case softmaxBackward(
    y: Int, gradY: Int, into: Int, rows: Int, width: Int, isLogarithm: Bool)
  case normalize(
    Int, weights: Int?, into: Int, statistics: Int, rows: Int, width: Int, epsilon: Double)
  case normalizeBackward(
    y: Int, statistics: Int, weights: Int?, gradY: Int, into: Int, rows: Int, width: Int)
  case dropout(Int, into: Int, count: Int, Double, stream: Int)
  case recurrentForward(ProgramRecurrentWork, y: Int)
  case recurrentBackward(
    ProgramRecurrentWork, y: Int, gradY: Int, gradFinal: [Int?], gradX: Int?, gradInitial: [Int?])
  case crossEntropy(
    logits: Int, targets: Int, weights: Int?, smoothing: Double, gradient: Int?, loss: Int,
    rows: Int, classes: Int, scale: Int)
  case regression(
    RegressionLoss, predictions: Int, targets: Int, counted: Int?, gradient: Int?, loss: Int,
    rows: Int, width: Int, scale: Int)
  case ctc(
    logits: Int, labels: Int, lengths: Int, labelLengths: Int, weights: Int, gradient: Int?,
    loss: Int, sequenceLength: Int, batchSize: Int, classes: Int, maximumLabels: Int, blank: Int)

  /// The storages that it reads or writes.
  var storages: [Int] {
    switch self {
    case .fill(let y, _, _): [y]
    case .copy(let x, _, let y, _, _): [x, y]
    case .elementwise(_, let inputs, let y, _): inputs.map(\.0) + [y]
    case .reduce(_, let x, _, _, let y, _): [x, y]
    case .product(_, let a, let b, let y): [a, b, y]
    case .linear(let x, let weight, let bias, let y, _, _, _):
      [x, weight, y] + [bias].compactMap(\.self)
    case .linearBackward(
      let x, let weight, let gradY, let gradX, let gradWeight, let gradBias, _, _, _):
      [x, weight, gradY, gradWeight] + [gradX, gradBias].compactMap(\.self)
    case .embedding(let x, _, let y, _, _, _), .embeddingBackward(let x, _, let y, _, _, _): [x, y]
    case .convolve(let convolution, let y): convolution.read + [y]
    case .unfold(_, let x, let y, _), .unfoldRows(_, _, let x, let y), .fold(_, let x, let y):
      [x, y]
    case .gather(let x, _, let y, _, _, _, _), .scatter(let x, _, let y, _, _, _, _): [x, y]
    case .softmax(let x, let y, _, _, _): [x, y]
    case .softmaxBackward(let y, let gradY, let gradX, _, _, _): [y, gradY, gradX]
    case .normalize(let x, let weights, let y, let statistics, _, _, _):
      [x, y, statistics] + [weights].compactMap(\.self)
    case .normalizeBackward(let y, let statistics, let weights, let gradY, let gradX, _, _):
      [y, statistics, gradY, gradX] + [weights].compactMap(\.self)
    case .dropout(let x, let y, _, _, _): [x, y]
    case .recurrentForward(let work, let y): work.storages + [y]
    case .recurrentBackward(let work, let y, let gradY, let gradFinal, let gradX, let gradInitial):
      work.storages + [y, gradY] + (gradFinal + [gradX] + gradInitial).compactMap(\.self)
    case .crossEntropy(let logits, _, let weights, _, let gradient, let loss, _, _, _):
      [logits, loss] + [weights, gradient].compactMap(\.self)
    case .regression(_, let predictions, let targets, _, let gradient, let loss, _, _, _):
      [predictions, targets, loss] + [gradient].compactMap(\.self)
    case .ctc(let logits, _, _, _, let weights, let gradient, let loss, _, _, _, _, _):
      [logits, weights, loss] + [gradient].compactMap(\.self)
    }
  }
}

extension ProgramInstruction {
  /// The storages that it writes, all of them or a part.
  var written: [Int] {
    switch self {
    case .fill(let y, _, _), .copy(_, _, let y, _, _), .elementwise(_, _, let y, _),
      .reduce(_, _, _, _, let y, _), .product(_, _, _, let y), .linear(_, _, _, let y, _, _, _),
      .convolve(_, let y), .unfold(_, _, let y, _), .unfoldRows(_, _, _, let y),
      .fold(_, _, let y),
      .gather(_, _, let y, _, _, _, _), .embedding(_, _, let y, _, _, _),
      .embeddingBackward(_, _, let y, _, _, _),
      .scatter(_, _, let y, _, _, _, _), .softmax(_, let y, _, _, _),
      .softmaxBackward(_, _, let y, _, _, _), .normalizeBackward(_, _, _, _, let y, _, _),
      .dropout(_, let y, _, _, _):
      [y]
    case .linearBackward(_, _, _, let gradX, let gradWeight, let gradBias, _, _, _):
      [gradWeight] + [gradX, gradBias].compactMap(\.self)
    case .normalize(_, _, let y, let statistics, _, _, _): [y, statistics]
    case .recurrentForward(let work, let y): work.final.compactMap(\.self) + [y]
    // What a loss, or a stack on its way back, is handed is few; all of it counts.
    case .recurrentBackward, .crossEntropy, .regression, .ctc: storages
    }
  }
}

/// A convolution with what it reads.
struct ProgramConvolution {
  var operation: DirectConvolution
  var x: Int
  let weight: Int, bias: Int?
  /// What is added to its result.
  var added: Int?

  var read: [Int] { [x, weight] + [bias, added].compactMap(\.self) }
}

/// The tensors of a stack in one pass.
struct ProgramRecurrentWork {
  /// The stack's place in the program.
  let stack: Int
  let x: Int
  /// h₀ and c₀ where they are given.
  let initial: [Int?]
  /// hₙ and, for a cell that has one, cₙ; nil where nothing reads them.
  var final: [Int?]

  var storages: [Int] { [x] + (initial + final).compactMap(\.self) }
}

/// A recurrent stack bound to sizes.
struct ProgramStack {
  let operation: RecurrentOperator
  let sequenceLength: Int, batchSize: Int
  /// The index buffer of the lengths.
  let lengths: Int?
}

/// Elements in a backend's memory that instructions read and write.
struct ProgramStorage {
  enum Kind {
    /// Made and read within a pass: the memory serves others before and after.
    case temporary
    /// Made within a pass and read after it.
    case kept
    /// Written by the user before a pass.
    case input(String)
    case parameter(String)
    case parameterGradient(String)
    case constant([Double])
    /// A copy of a host value.
    case upload(Int)
    /// What a recurrent stack writes.
    case recurrentOutput(Int)
  }

  var kind: Kind
  let count: Int
}

/// A tensor that the host has when a pass begins.
enum ProgramHostValue {
  case known([Double])
  case input(String)
  case computed(from: [Int], @Sendable ([[Double]]) -> [Double])
}
