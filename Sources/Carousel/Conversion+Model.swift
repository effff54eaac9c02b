import CarouselFormats
import CarouselModel
import CarouselONNX
import CarouselTraining

extension Conversion {
  /// What a model on its way to an ONNX file needs beside the file itself.
  public struct ModelOptions: Sendable {
    /// Which of several stacks.
    public var prefix: String?
    /// The linear layer behind the stack; of a run its own where nil.
    public var head: String?
    /// Whether the initial states are inputs.
    public var withStates: Bool

    /// Gathers options.
    public init(prefix: String? = nil, head: String? = nil, withStates: Bool = false) {
      self.prefix = prefix
      self.head = head
      self.withStates = withStates
    }
  }

  /// Writes a network of recurrent layers to an ONNX file, as `ONNXNetwork` says.
  ///
  /// - Parameters:
  ///   - input: a run's folder, or a file with the layers' parameters under PyTorch's names.
  ///   - output: the file to write.
  ///   - options: what the file does not tell.
  ///   - hints: what the layers' tensors do not tell.
  ///   - resolve: the layers with the options that the tensors do not tell.
  /// - Returns: what was read and written.
  /// - Throws: as `RecurrentModel` does; a usage error where an option cannot be said in ONNX; and
  ///   `writeFailed`.
  public static func writeModel(
    from input: String, to output: String, options: ModelOptions,
    hints: RecurrentModel.Hints = RecurrentModel.Hints(),
    resolve: (RecurrentConfiguration) throws -> RecurrentConfiguration = { $0 }
  ) throws -> Report {
    try AtomicFile.requireWritable(output)
    let found = try RecurrentModel(contentsOf: input, prefix: options.prefix, hints: hints)
    let model = try found.reading(as: resolve(found.configuration))
    let isNetwork = model.metadata["carousel"] != nil
    var head: LinearHead?
    if let name = options.head {
      head = try model.head(name)
    } else if isNetwork {
      head = model.heads.first { $0.name == "output" }
    }
    let network = ONNXNetwork(
      model.configuration, parameters: try model.parameters(), embedding: try model.embedding(),
      head: try head.map { try model.parameters(of: $0) }, withStates: options.withStates,
      metadata: model.metadata)
    try network.write(to: output)
    let unused = model.unusedNames(head: head).filter {
      !isNetwork || network.embedding == nil || $0 != "embedding.weight"
    }
    return Report(
      input: model.source, output: output, inputFormat: "recurrent layers",
      outputFormat: "onnx", tensors: model.usedNames(head: head),
      notes: unused.isEmpty
        ? [] : ["\(model.source): not written: " + unused.map { "'\($0)'" }.joined(separator: ", ")]
    )
  }
}
