import CarouselFormats
import CarouselModel
import Foundation

/// A stack of recurrent layers as a safetensors file holds it: PyTorch's names, behind one prefix
/// (`lstm.`, `recurrent.`) or none.
///
/// The cell is read from the rows of `weight_hh_l0`; layers, directions, bias vectors, peepholes,
/// projection and layer normalisation from the names; a diagonal or block-diagonal recurrence from the
/// rank of `weight_hh_l0`. A file that describes its
/// network by the entry `carousel` of its metadata has the layers behind `recurrent.`. Tensors that
/// do not belong to the layers are left alone.
public struct RecurrentModel: Sendable {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// The parameters under their bare names, `weight_ih_l0` and so on.
  public let parameters: [String: Tensor]
  /// The embedding `[V, C]` whose rows the layers read, where the file describes a network.
  public let embedding: Tensor?
  /// The file, for errors.
  public let source: String

  /// What the tensors alone may not tell.
  public struct Hints: Sendable {
    /// The cell, where a diagonal recurrence hides it.
    public var cell: Cell?
    /// H, where a diagonal recurrence hides it.
    public var hiddenSize: Int?
    /// Where the forget gate comes from: LSTM gates of 3·H rows where not from its own weights.
    public var forgetGate: ForgetGate
    /// What two directions become together.
    public var merge: Merge

    /// Gathers hints.
    public init(
      cell: Cell? = nil, hiddenSize: Int? = nil, forgetGate: ForgetGate = .own,
      merge: Merge = .concatenate
    ) {
      self.cell = cell
      self.hiddenSize = hiddenSize
      self.forgetGate = forgetGate
      self.merge = merge
    }
  }

  /// Reads a file.
  ///
  /// Throws `missingInput` where the file cannot be read, and `badData` where it is damaged, holds
  /// no recurrent layers or several stacks, or layers of a kind that is not supported.
  public init(contentsOf path: String, hints: Hints = Hints()) throws(CarouselError) {
    try self.init(SafetensorsFile(contentsOf: path), source: path, hints: hints)
  }

  /// Takes the layers from a file's tensors; `source` names the file, for errors.
  public init(
    _ file: SafetensorsFile, source: String, hints: Hints = Hints()
  ) throws(CarouselError) {
    let described = try Self.describedConfiguration(in: file, source: source)
    let prefix = try described == nil ? Self.prefix(in: file, source: source) : "recurrent."
    var parameters: [String: Tensor] = [:]
    for (name, tensor) in file.tensors where name.hasPrefix(prefix) {
      let bare = String(name.dropFirst(prefix.count))
      if bare.wholeMatch(of: /(weight|bias)_[a-z_]+_l[0-9]+(_reverse)?/) != nil {
        parameters[bare] = tensor
      }
    }
    var hints = hints
    if let described {
      hints = Hints(
        cell: described.cell, hiddenSize: described.hiddenSize,
        forgetGate: described.options.forgetGate, merge: described.merge)
    }
    let found = try RecurrentTensors(parameters, hints: hints, source: source).configuration
    if let described, !found.hasTensors(of: described) {
      throw CarouselError(
        .badData,
        "\(source): the tensors are those of \(found.summary), but the entry 'carousel' of the "
          + "metadata describes \(described.summary)")
    }
    configuration = described ?? found
    self.parameters = parameters
    self.source = source
    embedding = described == nil ? nil : file["embedding.weight"]
  }

  /// Takes layers that are in memory; `source` names them, for errors.
  init(
    _ configuration: RecurrentConfiguration, parameters: [String: Tensor], embedding: Tensor?,
    source: String
  ) {
    self.configuration = configuration
    self.parameters = parameters
    self.embedding = embedding
    self.source = source
  }

  private init(_ model: RecurrentModel, as configuration: RecurrentConfiguration) {
    self.configuration = configuration
    parameters = model.parameters
    embedding = model.embedding
    source = model.source
  }

  /// The same parameters in layers whose other options are `configuration`'s.
  ///
  /// Throws a usage error where those layers would have other parameters.
  public func reading(
    as configuration: RecurrentConfiguration
  ) throws(CarouselError) -> RecurrentModel {
    guard configuration.cell == self.configuration.cell,
      configuration.hasTensors(of: self.configuration)
    else {
      throw CarouselError(
        .usage,
        "\(source) holds \(self.configuration.summary), but the options ask for "
          + configuration.summary)
    }
    return RecurrentModel(self, as: configuration)
  }

  /// The part of a network's description that is about its recurrent layers.
  private struct Description: Decodable {
    struct Network: Decodable {
      let recurrent: RecurrentConfiguration
    }
    let network: Network
  }

  private static func describedConfiguration(
    in file: SafetensorsFile, source: String
  ) throws(CarouselError) -> RecurrentConfiguration? {
    guard let text = file.metadata["carousel"] else { return nil }
    let result: RecurrentConfiguration
    do {
      result = try JSONDecoder().decode(Description.self, from: Data(text.utf8)).network.recurrent
    } catch {
      throw CarouselError(
        .badData,
        "\(source): expected the description of a network in the entry 'carousel' of the metadata, "
          + "found something else")
    }
    do {
      try result.validate()
    } catch {
      throw CarouselError(
        .badData,
        "\(source): the entry 'carousel' of the metadata describes what cannot be: "
          + error.message)
    }
    return result
  }

  private static func prefix(
    in file: SafetensorsFile, source: String
  ) throws(CarouselError) -> String {
    let mark = "weight_hh_l0"
    let prefixes = file.tensors.map(\.name)
      .filter { $0 == mark || $0.hasSuffix("." + mark) }.map { String($0.dropLast(mark.count)) }
    guard let first = prefixes.first else {
      throw CarouselError(
        .badData, "\(source): expected recurrent layers, found no tensor named '\(mark)'")
    }
    guard prefixes.count == 1 else {
      throw CarouselError(
        .badData,
        "\(source): expected one stack of recurrent layers, found \(prefixes.count), behind "
          + prefixes.map { "'\($0)'" }.joined(separator: ", "))
    }
    return first
  }
}

extension RecurrentConfiguration {
  /// Whether the parameters have the same names and shapes, however they begin.
  fileprivate func hasTensors(of other: RecurrentConfiguration) -> Bool {
    parameterDescriptions.map(\.name) == other.parameterDescriptions.map(\.name)
      && parameterDescriptions.map(\.shape) == other.parameterDescriptions.map(\.shape)
  }
}

extension Tensor {
  /// Throws `badData` where the shape is not as expected or a value is not finite in Float32.
  func check(_ name: String, shape expected: Shape, source: String) throws(CarouselError) {
    guard shape == expected else {
      throw CarouselError(
        .badData, "\(source): the tensor '\(name)' has the shape \(shape), expected \(expected)")
    }
    guard let index = values.firstIndex(where: { !Float($0).isFinite }) else { return }
    throw CarouselError(
      .badData,
      "\(source): the tensor '\(name)' holds \(values[index]) at element \(index), "
        + "expected finite numbers of Float32")
  }
}
