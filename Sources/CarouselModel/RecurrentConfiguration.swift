/// Which way a recurrent layer walks through time.
public enum Direction: String, Sendable, Codable, CaseIterable {
  case forward
  case reverse
  /// Both ways, with weights of their own, merged at every step.
  case bidirectional
}

/// What the two directions of a bidirectional layer become together, a forward and b reverse.
public enum Merge: String, Sendable, Codable, CaseIterable {
  /// `[a, b]`, twice as wide.
  case concatenate = "concat"
  /// `a + b`
  case sum
  /// `(a + b) / 2`
  case average
  /// `a ⊙ b`
  case multiply
}

/// A stack of recurrent layers: what `torch.nn.LSTM` and its sisters are made from.
public struct RecurrentConfiguration: Hashable, Sendable, Codable {
  /// What one step of every layer computes.
  public var cell: Cell
  /// How every layer departs from its cell's plain form.
  public var options: CellOptions
  /// C, the features of the first layer's input at one step.
  public var inputSize: Int
  /// H, the units of each layer's hidden state.
  public var hiddenSize: Int
  /// L, the number of layers, each of which reads the hidden states of the one below.
  public var layers: Int
  /// Which way each layer walks.
  public var direction: Direction
  /// What the directions of a bidirectional layer become together.
  public var merge: Merge
  /// The probability with which an element that one layer hands to the next is dropped in training.
  public var dropout: Double

  /// Describes a stack; `validate()` checks it.
  public init(
    cell: Cell = .lstm, inputSize: Int, hiddenSize: Int, layers: Int = 1,
    direction: Direction = .forward, merge: Merge = .concatenate,
    options: CellOptions = CellOptions(), dropout: Double = 0
  ) {
    self.cell = cell
    self.options = options
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.layers = layers
    self.direction = direction
    self.merge = merge
    self.dropout = dropout
  }

  /// D, the directions of each layer: 1 or 2.
  public var directions: Int { direction == .bidirectional ? 2 : 1 }

  /// The elements of a hidden state: P, or H without a projection.
  public var stateSize: Int { options.projectionSize ?? hiddenSize }

  /// M·H, the elements of the states beside h of one layer and direction.
  public var memorySize: Int { cell.traits.memory.count * hiddenSize }

  /// The features of a layer's output at one step: P, or 2·P where two directions are concatenated.
  public var outputSize: Int {
    direction == .bidirectional && merge == .concatenate ? 2 * stateSize : stateSize
  }

  /// What a size may not exceed: far beyond any device's memory, and far below overflow.
  static let maximumSize = 1 << 22
  /// What the number of layers may not exceed.
  static let maximumLayers = 1 << 12

  /// Throws a usage error where a size, a probability or a mix of options makes no sense.
  ///
  /// Throws an error of the device where a size is beyond any device's memory.
  public func validate() throws(CarouselError) {
    try validateSizes()
    guard dropout >= 0, dropout < 1 else {
      throw CarouselError(.usage, "dropout must be at least 0 and below 1, but is \(dropout)")
    }
    if merge != .concatenate, direction != .bidirectional {
      throw CarouselError(
        .usage,
        "merge \(merge.rawValue) needs two directions, but the layers are \(direction.rawValue)")
    }
    try options.validate(for: cell)
    try options.validate(hiddenSize: hiddenSize)
  }

  private func validateSizes() throws(CarouselError) {
    for (name, value, maximum) in [
      ("input size", inputSize, Self.maximumSize), ("hidden size", hiddenSize, Self.maximumSize),
      ("number of layers", layers, Self.maximumLayers),
    ] {
      guard value >= 1 else {
        throw CarouselError(.usage, "the \(name) must be at least 1, but is \(value)")
      }
      guard value <= maximum else {
        throw CarouselError(
          .noDevice, "the \(name) \(value) is more than any device holds, at most \(maximum)")
      }
    }
  }

  /// Whether `validate()` refuses no size, so that the parameters have shapes.
  var hasValidSizes: Bool {
    (try? validateSizes()) != nil && (try? options.validate(hiddenSize: hiddenSize)) != nil
  }

  /// Whether a layer's outputs are made from those of its directions, and not theirs side by side.
  var mergesDirections: Bool { directions == 2 && merge != .concatenate }

  /// Layer `index` of the stack, 0 at the bottom, in its only direction or one of two.
  public func layer(_ index: Int, isReverse: Bool) -> RecurrentLayer {
    RecurrentLayer(
      cell: cell, inputSize: index == 0 ? inputSize : outputSize, hiddenSize: hiddenSize,
      options: options, isReverse: isReverse)
  }

  /// The single layers of the stack in PyTorch's order: from the bottom, forward before reverse.
  package var units: [RecurrentUnit] {
    (0..<max(layers, 0)).flatMap { index in
      let ways: [Bool] =
        switch direction {
        case .forward: [false]
        case .reverse: [true]
        case .bidirectional: [false, true]
        }
      return ways.map { isReverse in
        // A stack that only walks backward has one set of parameters, named like any other.
        let suffix = "_l\(index)" + (isReverse && directions == 2 ? "_reverse" : "")
        return RecurrentUnit(layer: layer(index, isReverse: isReverse), suffix: suffix)
      }
    }
  }

  /// Every parameter of the stack, in PyTorch's names and order; none where `validate()` refuses a size.
  public var parameterDescriptions: [ParameterDescription] {
    guard hasValidSizes else { return [] }
    return units.flatMap { $0.layer.parameterDescriptions(suffix: $0.suffix) }
  }
}

/// One direction of one layer of a stack.
package struct RecurrentUnit: Hashable, Sendable {
  /// What it computes.
  package let layer: RecurrentLayer
  /// What its parameters' names end with: `_l0`, `_l1_reverse`.
  package let suffix: String
}
