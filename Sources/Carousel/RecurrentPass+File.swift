import CarouselFormats
import CarouselModel

extension RecurrentPass {
  /// A pass of a model over the tensors of a file.
  ///
  /// The file holds `x [T, N, C]`, and where wanted `lengths [N]`, `h_0 [L·D, N, P]` and the cell's other
  /// states, such as `c_0 [L·D, N, H]`; with `gradients` also `grad_y [T, N, D·P]`, `grad_h_n` and the
  /// others, zeros where absent. What `x` and `grad_y` hold past a sequence's length does not matter.
  ///
  /// - Parameters:
  ///   - model: the layers.
  ///   - file: the inputs; the names in `unusedNames` are not read.
  ///   - head: one of the model's linear layers, to be applied to the outputs; `grad_y` is then
  ///     `[T, N, O]`.
  ///   - isBatchFirst: `x` and `grad_y` are `[N, T, …]` in the file.
  ///   - gradients: whether there is a backward pass.
  /// - Throws: `badData` where `x` is missing, a shape does not fit the model, a length is not from 0 to
  ///   T, or a value is not finite.
  public init(
    _ model: RecurrentModel, inputs file: TensorFile, head: LinearHead? = nil,
    isBatchFirst: Bool = false, gradients: Bool
  ) throws(CarouselError) {
    let reader = try RecurrentInputs(file, of: model.configuration, isBatchFirst: isBatchFirst)
    try reader.check(outputSize: head?.outputSize, gradients: gradients)
    let lengths = try reader.lengths()
    self.init(
      model.configuration, parameters: try model.parameters(),
      x: try reader.input(lengths: lengths), lengths: lengths)
    if let head {
      let (weight, bias) = try model.parameters(of: head)
      self.head = Head(name: head.name, weight: weight, bias: bias)
    }
    let names = configuration.cell.traits.stateNames
    for name in names { initial[name] = try reader.states(name + "_0") }
    guard gradients else { return }
    var given = Gradients(y: try reader.gradOutput(lengths: lengths))
    for name in names { given.final[name] = try reader.states("grad_\(name)_n") }
    self.gradients = given
  }

  /// T and N of the inputs in a file, from the shape of `x` alone.
  ///
  /// Throws as a pass of them does.
  public static func sizes(
    of file: TensorFile, for configuration: RecurrentConfiguration, isBatchFirst: Bool
  ) throws(CarouselError) -> (sequenceLength: Int, batchSize: Int) {
    let inputs = try RecurrentInputs(file, of: configuration, isBatchFirst: isBatchFirst)
    return (inputs.sequenceLength, inputs.batchSize)
  }

  /// The names in a file of inputs that no pass of these layers reads.
  public static func unusedNames(
    in file: TensorFile, of configuration: RecurrentConfiguration, gradients: Bool
  ) -> [String] {
    let known = RecurrentInputs.names(configuration, gradients: gradients)
    return file.entries.map(\.name).filter { !known.contains($0) }
  }
}

extension Tensor {
  /// `[T, N, …]` as `[N, T, …]` and back.
  public var withOuterDimensionsSwapped: Tensor {
    let (outer, inner) = (shape[0], shape[1])
    let width = shape.count == 0 ? 0 : shape.count / (outer * inner)
    let ranges = (0..<inner * outer).lazy.map { place in
      let begin = (place % outer * inner + place / outer) * width
      return begin..<begin + width
    }
    return gathering(ranges, as: Shape([inner, outer] + shape.dimensions.dropFirst(2)))
  }
}
