import CarouselFormats
import CarouselModel

/// A network of recurrent layers as it is written to an ONNX file.
///
/// Inputs: `x [T, N, C]`, or with an embedding `tokens [T, N]` (Int64), and with `withStates` the initial
/// states `h_0 [L·D, N, P]` and, of the other states that the cell has, `c_0`, `n_0`, `m_0 [L·D, N, H]`,
/// zeros otherwise. Outputs: `y`, the last layer's outputs `[T, N, D·P]`, or what the linear layer makes of
/// them, and the last states `h_n`, `c_n` and so on. T and N are open. A layer that an RNN, LSTM or GRU node
/// can express is one; other options and cells become a scan with the equations spelt out, whose parameters
/// keep their names.
public struct ONNXNetwork: Sendable {
  /// The layers.
  public var configuration: RecurrentConfiguration
  /// Their parameters by bare names, `weight_ih_l0` and so on.
  public var parameters: [String: Tensor]
  /// The table `[V, C]` of an embedding before the layers.
  public var embedding: Tensor?
  /// The weight `[O, D·P]` and the bias `[O]` of a linear layer behind them.
  public var head: (weight: Tensor, bias: Tensor?)?
  /// Whether the initial states are inputs.
  public var withStates: Bool
  /// What the file says about itself.
  public var metadata: [String: String]

  /// Gathers a network.
  public init(
    _ configuration: RecurrentConfiguration, parameters: [String: Tensor],
    embedding: Tensor? = nil, head: (weight: Tensor, bias: Tensor?)? = nil,
    withStates: Bool = false, metadata: [String: String] = [:]
  ) {
    self.configuration = configuration
    self.parameters = parameters
    self.embedding = embedding
    self.head = head
    self.withStates = withStates
    self.metadata = metadata
  }

  /// Writes the file; nothing half-written is left under the name.
  ///
  /// Throws a usage error where an option cannot be said in ONNX, and `writeFailed`.
  public func write(to path: String) throws(CarouselError) {
    try AtomicFile.write(try bytes(), to: path)
  }

  /// The file's bytes.
  func bytes() throws(CarouselError) -> [UInt8] {
    try configuration.validate()
    var builder = ONNXBuilder(name: "carousel")
    var x = "x"
    if let embedding {
      builder.input("tokens", ["T", "N"], type: 7)
      let table = builder.initializer("embedding.weight", embedding)
      x = builder.node("Gather", [table, "tokens"])
    } else {
      builder.input("x", ["T", "N", .fixed(configuration.inputSize)])
    }
    let states = configuration.layers * configuration.directions
    let names = configuration.cell.traits.stateNames
    func dimensions(of state: String) -> [CarouselModel.Dimension] {
      let width = state == "h" ? configuration.stateSize : configuration.hiddenSize
      return [.fixed(states), "N", .fixed(width)]
    }
    if withStates {
      for state in names { builder.input(state + "_0", dimensions(of: state)) }
    }
    var final: [[String]] = []
    for layer in 0..<configuration.layers {
      let result = try ONNXLayer(self, layer: layer).write(x, to: &builder)
      x = result.y
      final.append(result.final)
    }
    for (index, state) in names.enumerated() {
      builder.node("Concat", final.map { $0[index] }, to: [state + "_n"], [.int("axis", 0)])
    }
    if let head {
      // [O, D·P] as the right factor.
      let weight = builder.initializer("output.weight", head.weight)
      let factor = builder.node("Transpose", [weight], [.ints("perm", [1, 0])])
      let product = builder.node("MatMul", [x, factor])
      if let bias = head.bias {
        builder.node("Add", [product, builder.initializer("output.bias", bias)], to: ["y"])
      } else {
        builder.node("Identity", [product], to: ["y"])
      }
    } else {
      builder.node("Identity", [x], to: ["y"])
    }
    let width = head?.weight.shape[0] ?? configuration.outputSize
    builder.output("y", ["T", "N", .fixed(width)])
    for state in names { builder.output(state + "_n", dimensions(of: state)) }
    return try builder.bytes(metadata: metadata)
  }
}
