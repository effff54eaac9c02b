import CarouselFormats
import CarouselModel
import CarouselONNX
import CarouselTraining

/// A file on its way to another format.
public struct Conversion: Sendable {
  /// What was read and written.
  public struct Report: Sendable, Encodable {
    /// The files.
    public let input: String, output: String
    /// What they are.
    public let inputFormat: String, outputFormat: String
    /// The tensors, by their names.
    public let tensors: [String]
    /// Whatever could not be kept as it was.
    public let notes: [String]
  }

  private let file: TensorFile
  private let path: String
  private let format: TensorFile.Format

  /// Opens a file, or a run's folder, for a file whose ending says its format.
  ///
  /// Throws as opening does, and a usage error for another ending.
  public init(from input: String, to output: String) throws(CarouselError) {
    guard let format = TensorFile.Format(endingOf: output) else {
      throw CarouselError(
        .usage,
        "\(output): expected a name that ends with "
          + TensorFile.Format.endings.map(\.ending).joined(separator: ", ")
          + ", which says what is written")
    }
    file = try TensorFile(RunFolder.model(at: input))
    path = output
    self.format = format
  }

  /// Reads all tensors and writes them.
  ///
  /// Throws `badData` where a tensor's type has no place in the format, or the file is damaged, and
  /// `writeFailed`.
  public func write() throws(CarouselError) -> Report {
    try AtomicFile.requireWritable(path)
    if format == .npy, file.entries.count != 1 {
      throw CarouselError(
        .badData,
        "\(file.path): expected one tensor for \(path), found \(file.entries.count); .npz holds several"
      )
    }
    var tensors: [StoredTensor] = []
    for entry in file.entries { tensors.append(try file.stored(entry)) }
    var notes: [String] = []
    try format.write(tensors, metadata: file.metadata, to: path)
    if format != .safetensors {
      notes += tensors.filter { $0.type == .bfloat16 }.map {
        "\(path): '\($0.name)' became F32, since NumPy has no BF16"
      }
      if !file.metadata.isEmpty {
        notes.append(
          "\(path): left out, since NumPy has no place for it: what the file says of itself")
      }
    }
    return Report(
      input: file.path, output: path, inputFormat: file.format.rawValue,
      outputFormat: format.rawValue, tensors: tensors.map(\.name), notes: notes)
  }
}

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
