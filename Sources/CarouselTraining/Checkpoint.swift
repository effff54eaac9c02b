import CarouselFormats
import CarouselModel
import Foundation

/// A trained network in a safetensors file: its parameters under their names, and an entry `carousel`
/// in the metadata that says, as JSON, what they belong to.
///
/// The checkpoint from which a run is resumed holds besides them the optimizer's moments
/// (`optimizer.0.NAME`, …) and the recurrent states (`state.hidden_l0 [N, H]`, `state.cell_l0`, …).
public struct Checkpoint: Sendable {
  /// The entry `carousel` of the metadata.
  public struct Description: Hashable, Sendable, Codable {
    /// The version of this description.
    public var version = 1
    /// What the network was trained for.
    public var task = TrainingTask.text
    /// What the network is made of.
    public var network: NetworkConfiguration
    /// The bytes behind the tokens of a text.
    public var vocabulary: ByteVocabulary?
    /// How the network is trained.
    public var settings: TrainingSettings
    /// The text on which it is trained, where it is one.
    public var text: TrainingText.Identity?
    /// Texts of their own that it is measured on.
    public var heldOut: HeldOutTexts.Identity?
    /// The data on which it is trained, where they are one's own.
    public var data: DataDescription?
    /// How far the training has come.
    public var position: TrainingPosition
    /// What computed the last session.
    public var computedOn: BackendRecord?
    /// The last lines of metrics, all of one step, which a resumed run writes again.
    public var metrics: [TrainingMetrics]?
  }

  /// What the tensors belong to.
  public let description: Description
  /// The file, for errors.
  public let path: String
  private let file: TensorFile

  /// Reads a checkpoint, or the best one of a run's folder.
  ///
  /// Throws where the file is missing, damaged or not a checkpoint, or where a parameter is missing,
  /// of another shape than the description says, or not finite.
  public init(at path: String) throws(CarouselError) {
    try self.init(contentsOf: RunFolder.model(at: path))
  }

  /// Reads a checkpoint from a file; throws as `init(at:)` does.
  public init(contentsOf path: String) throws(CarouselError) {
    let file = try TensorFile(path)
    guard let text = file.metadata["carousel"] else {
      throw CarouselError(
        .badData,
        "\(path): expected a checkpoint of 'carousel train', whose metadata say what it holds, found "
          + "tensors alone, which 'carousel run' and 'carousel train … --from' take")
    }
    do {
      description = try JSONDecoder().decode(Description.self, from: Data(text.utf8))
    } catch {
      throw CarouselError(
        .badData,
        "\(path): expected the description of a model in the entry 'carousel' of the "
          + "metadata, found something else\(Self.location(of: error))")
    }
    self.path = path
    self.file = file
    try validate()
  }

  private static func location(of error: any Error) -> String {
    let context: DecodingError.Context? =
      switch error as? DecodingError {
      case .keyNotFound(let key, let context):
        .init(
          codingPath: context.codingPath + [key], debugDescription: "")
      case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .dataCorrupted(let context):
        context
      default: nil
      }
    guard let path = context?.codingPath, !path.isEmpty else { return "" }
    return " at '\(path.map(\.stringValue).joined(separator: "."))'"
  }

  private func validate() throws(CarouselError) {
    let network = description.network
    guard description.version == 1 else {
      throw CarouselError(
        .badData,
        "\(path): expected a model of version 1, found version \(description.version)")
    }
    try validateVocabulary()
    do throws(CarouselError) {
      try network.validate()
      try network.validateSize()
      try description.settings.validate()
      let described = try description.describedNetwork
      guard network == described else {
        throw CarouselError(
          .badData,
          "expected the network that the task \(description.task.rawValue) and the settings ask for, "
            + "\(described.summary), found \(network.summary)")
      }
      try description.position.validate()
    } catch {
      throw CarouselError(.badData, "\(path): the description is wrong: \(error.message)")
    }
    for parameter in network.parameterDescriptions {
      _ = try tensor(parameter.name, shape: parameter.shape)
    }
  }

  private func validateVocabulary() throws(CarouselError) {
    let (network, count) = (description.network, description.vocabulary?.count)
    guard description.task == .text else {
      guard let count else { return }
      throw CarouselError(
        .badData,
        "\(path): expected no vocabulary of bytes for the task \(description.task.rawValue), "
          + "found one of \(count)")
    }
    guard let count, network.vocabularySize == count, network.outputSize == count else {
      throw CarouselError(
        .badData,
        "\(path): expected a vocabulary of \(network.outputSize) bytes, found one of \(count ?? 0)")
    }
  }

  /// The bytes behind the tokens.
  ///
  /// Throws where the model was trained for another task than text.
  public var vocabulary: ByteVocabulary {
    get throws(CarouselError) {
      guard description.task == .text, let vocabulary = description.vocabulary else {
        throw CarouselError(
          .badData,
          "\(path): expected a model of text, found one for the task \(description.task.rawValue)")
      }
      return vocabulary
    }
  }

  /// Whether the model writes UTF-8: whether the text that it was trained on is, or, where its file is
  /// from before that was noted, can be.
  public var writesUTF8: Bool {
    description.text?.isUTF8 ?? description.vocabulary?.canBeUTF8 ?? false
  }

  /// The tensor of this name.
  ///
  /// Throws where it is missing, of another shape, or not finite.
  func tensor(_ name: String, shape: Shape) throws(CarouselError) -> Tensor {
    guard let entry = file[name] else {
      throw CarouselError(.badData, "\(path): expected a tensor '\(name)', found none")
    }
    guard entry.shape == shape else {
      throw CarouselError(
        .badData,
        "\(path): expected the shape \(shape) of the tensor '\(name)', found \(entry.shape)")
    }
    let tensor = try file.tensor(entry)
    guard let index = tensor.firstNonFinite(in: tensor.elementType) else { return tensor }
    throw CarouselError(
      .badData,
      "\(path): expected finite values in the tensor '\(name)', found \(tensor[index]) "
        + "at element \(index)")
  }

  /// Makes the network with its parameters in a backend's memory.
  ///
  /// `overrides` hold gates at constants, beside those that were held in training. Throws a usage
  /// error where the cell has no such gate, and where the device fails.
  public func makeNetwork<B: Backend>(
    backend: B, overrides: [String: Double] = [:]
  ) throws -> Network<B> {
    var configuration = description.network
    configuration.recurrent.options.overrides.merge(overrides) { $1 }
    let network = try Network(configuration, backend: backend, seed: nil)
    var tensors: [String: Tensor] = [:]
    for parameter in configuration.parameterDescriptions {
      tensors[parameter.name] = try tensor(parameter.name, shape: parameter.shape)
    }
    try network.parameters.load(tensors, source: path)
    return network
  }

  /// Writes a checkpoint; nothing half-written is left under the name.
  ///
  /// `elementType` is that of the
  /// backend, so that nothing is lost.
  static func write(
    _ description: Description, tensors: [(name: String, tensor: Tensor)],
    elementType: ElementType, to path: String
  ) throws(CarouselError) {
    let file = SafetensorsFile(tensors, metadata: ["carousel": JSON.encode(description)])
    try file.write(to: path, elementType: elementType)
  }
}

extension Checkpoint.Description {
  /// The network that the task, the vocabulary and the settings ask for.
  fileprivate var describedNetwork: NetworkConfiguration {
    get throws(CarouselError) {
      if task.readsExamples {
        guard let data else {
          throw CarouselError(.badData, "expected a description of the data, found none")
        }
        try data.validate(for: task)
        return data.network(settings.recurrent)
      }
      if task == .text {
        try settings.validateForText()
        return NetworkConfiguration(
          vocabularySize: vocabulary?.count ?? 0, recurrent: settings.recurrent)
      }
      return try SyntheticData(
        task, length: settings.sequenceLength, batchSize: settings.batchSize, seed: settings.seed
      ).network(settings.recurrent)
    }
  }
}

extension NetworkConfiguration {
  /// The network in a few words, for messages.
  fileprivate var summary: String {
    (vocabularySize.map { "\($0) tokens" } ?? "features")
      + ", \(recurrent.cell.rawValue) layers from "
      + "\(recurrent.inputSize) to \(recurrent.outputSize), \(outputSize) outputs"
  }

  /// Throws where the parameters are more than any device can hold, so that no size overflows.
  func validateSize() throws(CarouselError) {
    let (inputSize, outputSize) = (Double(recurrent.inputSize), Double(recurrent.outputSize))
    let hiddenSize = Double(recurrent.hiddenSize)
    let gateRows = Double(recurrent.layer(0, isReverse: false).gateRows * recurrent.directions)
    let count =
      Double(vocabularySize ?? 0) * inputSize + Double(self.outputSize) * outputSize
      + gateRows * (inputSize + hiddenSize)
      + Double(recurrent.layers - 1) * gateRows * (outputSize + hiddenSize)
    guard count < 0x1p40, recurrent.layers < 1 << 16 else {
      throw CarouselError(
        .noDevice,
        "the hidden size \(recurrent.hiddenSize), the embedding size \(recurrent.inputSize) and "
          + "\(recurrent.layers) layers make \(count) parameters, expected fewer than 2^40 in "
          + "fewer than 2^16 layers, beyond which no device has memory for them")
    }
  }
}
