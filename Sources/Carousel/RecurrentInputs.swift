import CarouselFormats
import CarouselModel

/// The inputs of a pass in a file: their shapes are checked at first, before any of them is read.
struct RecurrentInputs {
  let sequenceLength: Int, batchSize: Int
  private let file: TensorFile
  private let configuration: RecurrentConfiguration
  private let isBatchFirst: Bool
  private let x: TensorFile.Entry

  /// The names that a pass reads.
  static func names(_ configuration: RecurrentConfiguration, gradients: Bool) -> Set<String> {
    let states = configuration.cell.traits.stateNames
    let names = Set(["x", "lengths"] + states.map { $0 + "_0" })
    return gradients ? names.union(["grad_y"] + states.map { "grad_\($0)_n" }) : names
  }

  /// Takes T and N from the shape of `x`.
  init(
    _ file: TensorFile, of configuration: RecurrentConfiguration, isBatchFirst: Bool
  ) throws(CarouselError) {
    self.file = file
    self.configuration = configuration
    self.isBatchFirst = isBatchFirst
    let expected =
      (isBatchFirst ? "[N, T, " : "[T, N, ") + "\(configuration.inputSize)]"
    guard let x = file["x"] else {
      let names = file.entries.map { "'\($0.name)'" }.joined(separator: ", ")
      throw CarouselError(
        .badData,
        "\(file.path): expected a tensor 'x' \(expected), found "
          + (names.isEmpty ? "no tensor" : names))
    }
    let shape = x.shape
    guard shape.rank == 3, shape[0] > 0, shape[1] > 0, shape[2] == configuration.inputSize else {
      throw CarouselError(
        .badData,
        "\(file.path): the tensor 'x' has the shape \(shape), expected \(expected) with at least 1 "
          + "step and 1 sequence")
    }
    self.x = x
    (sequenceLength, batchSize) = isBatchFirst ? (shape[1], shape[0]) : (shape[0], shape[1])
  }

  /// Throws where a shape does not fit; `outputSize` is that of a linear layer behind the layers.
  func check(outputSize: Int?, gradients: Bool) throws(CarouselError) {
    let units = configuration.layers * configuration.directions
    let hidden: Shape = [units, batchSize, configuration.stateSize]
    let memory: Shape = [units, batchSize, configuration.hiddenSize]
    let y = outputSize ?? configuration.outputSize
    var shapes: [String: Shape] = [
      "lengths": [batchSize],
      "grad_y": isBatchFirst ? [batchSize, sequenceLength, y] : [sequenceLength, batchSize, y],
    ]
    for name in configuration.cell.traits.stateNames {
      let shape = name == "h" ? hidden : memory
      (shapes[name + "_0"], shapes["grad_\(name)_n"]) = (shape, shape)
    }
    let names = Self.names(configuration, gradients: gradients)
    for (name, expected) in shapes.sorted(by: { $0.key < $1.key }) where names.contains(name) {
      guard let shape = file[name]?.shape, shape != expected else { continue }
      throw CarouselError(
        .badData,
        "\(file.path): the tensor '\(name)' has the shape \(shape), expected \(expected)"
          + (hasOtherOrder(shape, name: name) ? orderHint : ""))
    }
  }

  /// Whether the sequences of a tensor are as many as `x` has steps, as if these were the other way
  /// round.
  private func hasOtherOrder(_ shape: Shape, name: String) -> Bool {
    guard sequenceLength != batchSize else { return false }
    return switch name {
    case "lengths": shape == [sequenceLength]
    case "grad_y":
      shape.rank == 3 && (shape[0], shape[1]) == (x.shape[1], x.shape[0])
    default: shape.rank == 3 && shape[1] == sequenceLength
    }
  }

  private var orderHint: String {
    let (first, second) = (x.shape[0], x.shape[1])
    return isBatchFirst
      ? "; 'x' seems to be \(first) steps of \(second) sequences, which is read without --batch-first"
      : "; 'x' seems to be \(first) sequences of \(second) steps, which --batch-first reads"
  }

  func lengths() throws(CarouselError) -> [Int]? {
    guard let entry = file["lengths"] else { return nil }
    guard entry.elementType == .int64 || entry.elementType == .int32 else {
      throw CarouselError(
        .badData,
        "\(file.path): the tensor 'lengths' is of the type \(entry.type), expected I64")
    }
    let values = try file.tensor(entry).values
    if let index = values.firstIndex(where: { !(0...Double(sequenceLength) ~= $0) }) {
      throw CarouselError(
        .badData,
        "\(file.path): the tensor 'lengths' holds \(Int(values[index])) at element \(index), "
          + "expected 0 to \(sequenceLength), the steps of 'x'")
    }
    return values.map { Int($0) }
  }

  /// States or their gradients.
  func states(_ name: String) throws(CarouselError) -> Tensor? {
    guard let tensor = try file.tensor(name) else { return nil }
    try tensor.checkFinite(name, source: file.path)
    return tensor
  }

  /// `x`, with zeros past each sequence's length.
  func input(lengths: [Int]?) throws(CarouselError) -> Tensor {
    try sequences(x, lengths: lengths)
  }

  /// `grad_y`, with zeros past each sequence's length.
  func gradOutput(lengths: [Int]?) throws(CarouselError) -> Tensor? {
    guard let entry = file["grad_y"] else { return nil }
    return try sequences(entry, lengths: lengths)
  }

  private func sequences(
    _ entry: TensorFile.Entry, lengths: [Int]?
  ) throws(CarouselError) -> Tensor {
    var tensor = try file.tensor(entry)
    if let lengths { tensor.clear(pastLengths: lengths, isBatchFirst: isBatchFirst) }
    try tensor.checkFinite(entry.name, source: file.path)
    return isBatchFirst ? tensor.withOuterDimensionsSwapped : tensor
  }
}

extension Tensor {
  /// Sets what `[T, N, …]` holds past each sequence's length to 0.
  mutating func clear(pastLengths lengths: [Int], isBatchFirst: Bool = false) {
    let (sequenceLength, batchSize) = isBatchFirst ? (shape[1], shape[0]) : (shape[0], shape[1])
    let width = shape.count / (sequenceLength * batchSize)
    for (sequence, length) in lengths.enumerated() {
      for step in length..<sequenceLength {
        let row = isBatchFirst ? sequence * sequenceLength + step : step * batchSize + sequence
        fill(row * width..<(row + 1) * width, with: 0)
      }
    }
  }
}
