import CarouselModel

/// The weights of a recurrent node in ONNX's layout: `[D, G·H, C]`, `[D, G·H, H]`, biases `[D, 2·G·H]`,
/// peepholes `[D, 3·H]`, gates in the order i, o, f, c of an LSTM and z, r, h of a GRU.
struct ONNXRecurrentWeights {
  let cell: Cell
  let weight: Tensor, recurrent: Tensor
  let bias: Tensor?, peepholes: Tensor?
  private let node: ONNXNode

  init(
    _ node: ONNXNode, cell: Cell, weight: Tensor, recurrent: Tensor, bias: Tensor?,
    peepholes: Tensor?
  ) {
    self.node = node
    self.cell = cell
    self.weight = weight
    self.recurrent = recurrent
    self.bias = bias
    self.peepholes = peepholes
  }

  /// D, C and H.
  var directions: Int { weight.shape[0] }
  var inputSize: Int { weight.shape[2] }
  var hiddenSize: Int { recurrent.shape[2] }

  /// Where each gate of ONNX's order stands in PyTorch's, and back.
  static func gateOrder(of cell: Cell) -> [Int] {
    switch cell {
    case .lstm: [0, 2, 3, 1]
    case .gru: [1, 0, 2]
    default: [0]
    }
  }

  /// Throws where a shape does not fit the others.
  func check(directions: Int, hiddenSize: Int?) throws(CarouselError) {
    let gates = Self.gateOrder(of: cell).count
    guard recurrent.shape.rank == 3, weight.shape.rank == 3 else {
      throw node.failure(
        "has weights of the shapes \(weight.shape) and \(recurrent.shape), expected three "
          + "dimensions")
    }
    let (H, C) = (hiddenSize ?? recurrent.shape[2], weight.shape[2])
    let shapes: [(String, Tensor?, Shape)] = [
      ("W", weight, [directions, gates * H, C]), ("R", recurrent, [directions, gates * H, H]),
      ("B", bias, [directions, 2 * gates * H]), ("P", peepholes, [directions, 3 * H]),
    ]
    for (name, tensor, expected) in shapes {
      guard let tensor, tensor.shape != expected else { continue }
      throw node.failure("has \(name) of the shape \(tensor.shape), expected \(expected)")
    }
    guard C > 0, H > 0 else { throw node.failure("has \(C) inputs and \(H) units") }
  }

  /// The parameters of one direction in PyTorch's names, without suffix, shapes and order of gates.
  func parameters(direction: Int, _ options: CellOptions) -> [(String, Tensor)] {
    let gates = Self.gateOrder(of: cell).count
    var order = Self.gateOrder(of: cell)
    // A coupled forget gate has no weights of its own.
    if options.forgetGate != .own { order.remove(at: 1) }
    var result = [
      ("weight_ih", weight.row(direction).blocks(of: gates, order)),
      ("weight_hh", recurrent.row(direction).blocks(of: gates, order)),
    ]
    if let bias {
      let both = bias.row(direction)
      result.append(("bias_ih", both.blocks(of: 2 * gates, order)))
      result.append(("bias_hh", both.blocks(of: 2 * gates, order.map { $0 + gates })))
    }
    if let peepholes {
      // i, o, f
      let all = peepholes.row(direction)
      result.append(("weight_ci", all.blocks(of: 3, [0])))
      if options.forgetGate == .own { result.append(("weight_cf", all.blocks(of: 3, [2]))) }
      result.append(("weight_co", all.blocks(of: 3, [1])))
    }
    return result
  }
}
