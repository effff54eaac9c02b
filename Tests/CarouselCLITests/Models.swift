import CarouselFormats
import CarouselModel

/// Small LSTM files for `carousel run`.
enum Models {
  static let configuration = RecurrentConfiguration(inputSize: 3, hiddenSize: 5, layers: 2)

  /// A tensor of values in [−1, 1) that no other index gives.
  static func tensor(_ shape: Shape, _ index: Int) -> Tensor {
    Tensor(
      shape,
      Initializer.uniform(1).values(
        count: shape.count, random: Philox(seed: 5, stream: RandomStream.input(index))))
  }

  /// The parameters of a stack, `configuration` unless told otherwise, under PyTorch's names behind a
  /// prefix.
  static func parameters(
    prefix: String = "", of configuration: RecurrentConfiguration = configuration
  ) -> [(name: String, tensor: Tensor)] {
    configuration.parameterDescriptions.enumerated().map { index, description in
      (prefix + description.name, tensor(description.shape, index))
    }
  }

  /// All inputs of a pass of 4 steps of 2 sequences.
  static var inputs: [(name: String, tensor: Tensor)] {
    [
      ("x", tensor([4, 2, 3], 100)), ("h_0", tensor([2, 2, 5], 101)),
      ("c_0", tensor([2, 2, 5], 102)), ("grad_y", tensor([4, 2, 5], 103)),
      ("grad_h_n", tensor([2, 2, 5], 104)), ("grad_c_n", tensor([2, 2, 5], 105)),
    ]
  }

  /// All inputs of a pass of 4 steps of 3 sequences through a stack, lengths among them, as a file.
  static func inputs(for configuration: RecurrentConfiguration) -> SafetensorsFile {
    let units = configuration.layers * configuration.directions
    let hidden: Shape = [units, 3, configuration.stateSize]
    let cell: Shape = [units, 3, configuration.hiddenSize]
    var result: [(name: String, tensor: Tensor)] = [
      ("x", tensor([4, 3, configuration.inputSize], 100)), ("h_0", tensor(hidden, 101)),
      ("grad_y", tensor([4, 3, configuration.outputSize], 103)), ("grad_h_n", tensor(hidden, 104)),
      ("lengths", Tensor([3], [2, 0, 4])),
    ]
    for (index, state) in configuration.cell.traits.memory.enumerated() {
      var initial = tensor(cell, 102 + 10 * index)
      if state.isPositive {
        initial = Tensor(cell, initial.values.map { Double(Float(1 + $0.magnitude)) })
      }
      result += [
        (state.name + "_0", initial), ("grad_\(state.name)_n", tensor(cell, 105 + 10 * index)),
      ]
    }
    return SafetensorsFile(result, elementTypes: ["lengths": .int64])
  }

  /// A folder with a model `m` and inputs `i`, as they are or as they are changed.
  static func folder(
    model: ([(name: String, tensor: Tensor)]) -> [(name: String, tensor: Tensor)] = { $0 },
    inputs: ([(name: String, tensor: Tensor)]) -> [(name: String, tensor: Tensor)] = { $0 },
    metadata: [String: String] = [:]
  ) throws -> Folder {
    let folder = try Folder()
    try SafetensorsFile(model(parameters()), metadata: metadata).write(to: folder["m"])
    try SafetensorsFile(inputs(Self.inputs)).write(to: folder["i"])
    return folder
  }
}

extension Folder {
  /// `carousel run` with the folder's model `m` and inputs `i`, to `o`.
  func run(_ options: String..., device: String = "reference") throws -> Command {
    try Command(
      ["run", self["m"], "--inputs", self["i"], "--outputs", self["o"], "--device", device]
        + options)
  }
}
