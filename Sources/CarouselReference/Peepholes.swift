import CarouselModel

/// The peepholes `[H]` of an LSTM's gates, or their gradients.
struct Peepholes {
  private let input: UnsafeMutablePointer<Double>
  /// Absent where the forget gate has no weights.
  private let forget: UnsafeMutablePointer<Double>?
  private let output: UnsafeMutablePointer<Double>

  /// The peepholes among a layer's parameters; nil in a layer without them.
  init?(_ parameters: RecurrentParameters<ReferenceBackend.Buffer>, for layer: RecurrentLayer) {
    guard layer.options.peepholes else { return nil }
    guard let input = parameters.peepholeInput, let output = parameters.peepholeOutput,
      (parameters.peepholeForget != nil) == (layer.options.forgetGate == .own)
    else { preconditionFailure("the layer's peepholes are not among its parameters") }
    self.input = input.vector(layer.hiddenSize)
    self.output = output.vector(layer.hiddenSize)
    forget = parameters.peepholeForget?.vector(layer.hiddenSize)
  }

  /// The weights of one unit.
  subscript(unit: Int) -> PeepholeWeights {
    PeepholeWeights(input: input[unit], forget: forget?[unit] ?? 0, output: output[unit])
  }

  /// Adds to those of one unit.
  func add(_ weights: PeepholeWeights, to unit: Int) {
    input[unit] += weights.input
    forget?[unit] += weights.forget
    output[unit] += weights.output
  }

  /// Sets all to 0.
  func clear(count: Int) {
    for weights in [input, forget, output] { weights?.update(repeating: 0, count: count) }
  }
}

/// What stands between the cell state of one unit and its gates.
struct PeepholeWeights {
  var input: Double
  /// 0 where the forget gate has no weights.
  var forget: Double
  var output: Double
}
