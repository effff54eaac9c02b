import CarouselFormats
import CarouselModel

extension RecurrentPass {
  /// A pass of a model over the tensors of a file.
  ///
  /// The file holds `x [T, N, C]`, and where wanted `lengths [N]`, `h_0 [L·D, N, P]` and
  /// `c_0 [L·D, N, H]`;
  /// with `gradients` also `grad_y [T, N, D·P]`, `grad_h_n` and `grad_c_n`, zeros where absent. `source` names the file, for errors.
  ///
  /// Throws `badData` where `x` is missing, a shape does not fit the model, a length is not from 0 to
  /// T, or a value is not finite.
  public init(
    _ model: RecurrentModel, inputs file: SafetensorsFile, source: String, gradients: Bool
  ) throws(CarouselError) {
    guard let x = file["x"] else {
      throw CarouselError(
        .badData,
        "\(source): expected a tensor 'x' [steps, batchSize, inputSize], found "
          + (file.tensors.isEmpty
            ? "no tensor" : file.tensors.map { "'\($0.name)'" }.joined(separator: ", ")))
    }
    let inputSize = model.configuration.inputSize
    guard x.shape.rank == 3, x.shape[0] > 0, x.shape[1] > 0, x.shape[2] == inputSize else {
      throw CarouselError(
        .badData,
        "\(source): the tensor 'x' has the shape \(x.shape), expected "
          + "[steps, batchSize, \(inputSize)] with at least 1 step and 1 sequence")
    }
    try x.check("x", shape: x.shape, source: source)
    self.init(model.configuration, parameters: model.parameters, x: x)
    lengths = try Self.lengths(in: file, steps: steps, batchSize: batchSize, source: source)
    initialHidden = try Self.tensor("h_0", hiddenShape, in: file, source: source)
    if configuration.cell.hasCellState {
      initialCell = try Self.tensor("c_0", cellShape, in: file, source: source)
    }
    guard gradients else { return }
    var given = Gradients(
      y: try Self.tensor("grad_y", outputShape, in: file, source: source),
      finalHidden: try Self.tensor("grad_h_n", hiddenShape, in: file, source: source))
    if configuration.cell.hasCellState {
      given.finalCell = try Self.tensor("grad_c_n", cellShape, in: file, source: source)
    }
    self.gradients = given
  }

  /// The names in a file that no pass of these layers reads.
  public func unusedNames(in file: SafetensorsFile) -> [String] {
    var known: Set = ["x", "lengths", "h_0", "grad_y", "grad_h_n"]
    if configuration.cell.hasCellState { known.formUnion(["c_0", "grad_c_n"]) }
    return file.tensors.map(\.name).filter { !known.contains($0) }
  }

  private static func lengths(
    in file: SafetensorsFile, steps: Int, batchSize: Int, source: String
  ) throws(CarouselError) -> [Int]? {
    guard let tensor = file["lengths"] else { return nil }
    let type = file.elementTypes["lengths"]
    guard type == .int64 || type == .int32 else {
      throw CarouselError(
        .badData,
        "\(source): the tensor 'lengths' is of the type \(type?.rawValue ?? "F64"), expected I64")
    }
    guard tensor.shape == [batchSize] else {
      throw CarouselError(
        .badData,
        "\(source): the tensor 'lengths' has the shape \(tensor.shape), expected [\(batchSize)]")
    }
    if let index = tensor.values.firstIndex(where: { !(0...Double(steps) ~= $0) }) {
      throw CarouselError(
        .badData,
        "\(source): the tensor 'lengths' holds \(Int(tensor.values[index])) at element \(index), "
          + "expected 0 to \(steps), the steps of 'x'")
    }
    return tensor.values.map { Int($0) }
  }

  private static func tensor(
    _ name: String, _ shape: Shape, in file: SafetensorsFile, source: String
  ) throws(CarouselError) -> Tensor? {
    guard let tensor = file[name] else { return nil }
    try tensor.check(name, shape: shape, source: source)
    return tensor
  }
}
