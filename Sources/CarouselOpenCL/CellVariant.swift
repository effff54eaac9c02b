import CarouselModel

/// A cell with those of its options that the kernels are built for: a file and its parameters.
struct CellVariant: Hashable {
  /// The kernel file with the cell's gate arithmetic.
  let file: String
  /// The parameters of the cell's file and of the strategies'.
  let kernelOptions: [String]
  /// Whether the new gate's recurrent product waits for the reset gate.
  let resetsBefore: Bool

  init(_ layer: RecurrentLayer) {
    let (cell, options) = (layer.cell, layer.options)
    file = "cells/\(cell.rawValue).cl"
    resetsBefore = layer.resetsBefore
    var parameters: [String] = []
    for (index, name) in cell.activationNames.enumerated() {
      let activation = options.activation(of: name, in: cell)
      parameters.append("-DACT_\(index)=\(activation.function.kernelNumber)")
      parameters.append("-DALPHA_\(index)=\(Float(activation.alpha))f")
      parameters.append("-DBETA_\(index)=\(Float(activation.beta))f")
    }
    parameters += CellOption.allCases.filter(cell.has).compactMap { option in
      option.kernelParameter(in: options).map { "-D" + $0 }
    }
    parameters.append("-DDIAGONAL=\(layer.recurrence == .diagonal ? 1 : 0)")
    if layer.recurrence == .absent { parameters.append("-DRECURRENT=0") }
    if layer.hasZoneout { parameters.append("-DZONEOUT=1") }
    if layer.isStaged {
      parameters.append("-DLAYER_NORM=\(options.layerNorm ? 1 : 0)")
      parameters.append("-DPROJECTION=\(options.projectionSize == nil ? 0 : 1)")
    }
    kernelOptions = parameters
  }
}

extension Activation.Function {
  /// The number of the function in `common/activation.cl`.
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
    case .positive: 12
    }
  }
}

extension RecurrentLayer {
  /// Whether the last gate's recurrent product has a slot of its own in the reserve, as in `cells/gru.cl`.
  var keepsRecurrentProduct: Bool { cell.traits.splitsLastGate && !resetsBefore }

  /// Whether the recurrent product of the new gate waits for the reset gate, as in `cells/gru.cl`.
  var resetsBefore: Bool { options.gruReset == .before }

  /// Whether a unit's gates wait for those of others within a step: what `recurrent/staged.cl` is for.
  var isStaged: Bool { options.layerNorm || options.projectionSize != nil || resetsBefore }

  var hasZoneout: Bool { options.zoneoutHidden > 0 || options.zoneoutCell > 0 }

  /// SLOTS of the cell's kernel file: what a unit keeps at each step.
  var slotCount: Int { gateCount + (keepsRecurrentProduct ? 1 : 0) }

  /// NORM_FIRST of the cell's kernel file: the gates that layer normalisation takes together.
  var normFirst: Int { cell.traits.splitsLastGate ? gateCount - 1 : gateCount }

  /// The gates of the first recurrent product of a step.
  var firstGates: Int { resetsBefore ? gateCount - 1 : gateCount }

  /// Whether the recurrent weights are a matrix, of one block or several.
  var hasRecurrentMatrix: Bool {
    switch recurrence {
    case .dense, .blocks: true
    case .diagonal, .absent: false
    }
  }

  /// The units and the states of a block of weight_hh.
  var block: (units: Int, states: Int) {
    guard case .blocks(let count) = recurrence else { return (hiddenSize, stateSize) }
    return (hiddenSize / count, stateSize / count)
  }
}
