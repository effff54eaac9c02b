import CarouselModel

/// A cell with its options, as the kernels know it: a file and its parameters.
struct CellVariant: Hashable {
  let cell: Cell
  private let options: CellOptions

  init(_ layer: RecurrentLayer) {
    cell = layer.cell
    var options = layer.options
    // Biases are buffers that are there or not, and no parameter of a kernel.
    options.bias = .double
    self.options = options
  }

  /// The kernel file with the cell's gate arithmetic.
  var file: String { cell.rawValue + ".cl" }

  /// The parameters of the cell's file and of the strategies'.
  var kernelOptions: [String] {
    var result: [String] = []
    for (index, name) in cell.activationNames.enumerated() {
      let activation = options.activation(of: name, in: cell)
      result.append("-DACT_\(index)=\(activation.function.kernelNumber)")
      result.append("-DALPHA_\(index)=\(Float(activation.alpha))f")
      result.append("-DBETA_\(index)=\(Float(activation.beta))f")
    }
    if cell == .lstm {
      result.append("-DFORGET=\(options.forgetGate.kernelNumber)")
      result.append("-DPEEPHOLES=\(options.peepholes ? 1 : 0)")
      if let clip = options.cellClip { result.append("-DCLIP=\(Float(clip))f") }
    }
    result.append("-DDIAGONAL=\(options.recurrence == .diagonal ? 1 : 0)")
    return result
  }
}

extension Activation.Function {
  /// The number of the function in `activation.cl`.
  fileprivate var kernelNumber: Int {
    switch self {
    case .sigmoid: 0
    case .tanh: 1
    case .relu: 2
    case .affine: 3
    case .leakyRelu: 4
    case .thresholdedRelu: 5
    case .scaledTanh: 6
    case .hardSigmoid: 7
    case .elu: 8
    case .softsign: 9
    case .softplus: 10
    case .constant: 11
    }
  }
}

extension ForgetGate {
  /// FORGET of `lstm.cl`.
  fileprivate var kernelNumber: Int {
    switch self {
    case .own: 0
    case .coupled: 1
    case .input: 2
    case .output: 3
    case .constant: 4
    }
  }
}

extension RecurrentLayer {
  /// Whether the last gate's recurrent product has a slot of its own in the reserve, as in `gru.cl`.
  var keepsRecurrentProduct: Bool { cell == .gru }

  /// SLOTS of the cell's kernel file: what a unit keeps at each step.
  var slotCount: Int { gateCount + (keepsRecurrentProduct ? 1 : 0) }

  /// The rows of the recurrent product: G·H, or G where each unit has a factor of its own.
  var recurrentRows: Int { options.recurrence == .diagonal ? gateCount : gateRows }
}
