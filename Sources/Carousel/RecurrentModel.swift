import CarouselFormats
import CarouselModel
import CarouselONNX
import Foundation

/// A stack of recurrent layers as a file holds it: PyTorch's names behind a prefix (`lstm.`,
/// `recurrent.`) or none.
///
/// The cell is read from the rows of `weight_hh_l0`, or of `weight_ih_l0` where there is none; layers, directions, bias vectors, peepholes,
/// projection and layer normalisation from the names; a diagonal or block-diagonal recurrence from the
/// rank of `weight_hh_l0`. A file that describes its network by the entry `carousel` of its metadata has
/// the layers behind `recurrent.`. Names of weight normalisation, of weight-drop and of `nn.LSTMCell` are
/// read as `StoredModules` says. Tensors that do not belong to the layers are never read.
public struct RecurrentModel: Sendable {
  /// The layers.
  public let configuration: RecurrentConfiguration
  /// What the names of the parameters begin with in the file.
  public let prefix: String
  /// The linear layers of the file that could read the layers' outputs.
  public let heads: [LinearHead]
  /// The tables of embeddings of the file whose rows the layers could read.
  let likelyEmbeddings: [LinearHead]
  /// What the file says about itself.
  let metadata: [String: String]
  /// The file, for errors.
  public let source: String
  private let file: TensorFile?
  private let stored: [String: StoredParameter]
  private let storedEmbedding: StoredParameter?

  /// What the tensors alone may not tell.
  public struct Hints: Sendable {
    /// The cell, where a diagonal recurrence hides it, or another has as many gates.
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

  /// Opens a safetensors, PyTorch or ONNX file or a run's folder, and reads the names and shapes of the tensors.
  ///
  /// Recurrent nodes of an ONNX model that read each other are the layers of a stack behind the name of the
  /// first, `LSTM.weight_ih_l1` being a parameter of the second; a linear layer has the name of its module.
  ///
  /// - Parameters:
  ///   - path: the file, or a folder, whose `best.safetensors` or `last.safetensors` it is then.
  ///   - prefix: which of several stacks, with the dot at the end or without it; nil for the only one.
  ///   - hints: what the tensors do not tell.
  /// - Throws: `missingInput` where the file cannot be read; `badData` where it is damaged, holds no
  ///   recurrent layers or several stacks, or layers of a kind that is not supported; a usage error
  ///   where no stack has the prefix.
  public init(
    contentsOf path: String, prefix: String? = nil, hints: Hints = Hints()
  ) throws(CarouselError) {
    if let onnx = ONNXModel.path(at: path) {
      try self.init(onnx: onnx, prefix: prefix, hints: hints)
      return
    }
    let file = try TensorFile(RunFolder.model(at: path))
    let described = try Self.describedConfiguration(file.metadata, source: file.path)
    try self.init(file, described: described, prefix: prefix, hints: hints)
  }

  /// Reads the names and shapes of the parameters of an ONNX model, named as `ONNXStateDict` says.
  ///
  /// Throws as `ONNXModel` does, and as for other files.
  private init(
    onnx path: String, prefix: String?, hints: Hints
  ) throws(CarouselError) {
    let model = try ONNXModel(contentsOf: path)
    let described = try Self.describedConfiguration(model.metadata, source: path)
    let state = ONNXStateDict(model, described: described, merge: hints.merge)
    let file = try TensorFile(
      path, format: .onnx, holding: state.tensors, metadata: model.metadata)
    try self.init(
      file, described: described, stacks: state.stacks, prefix: prefix, hints: hints)
  }

  /// `described` are the layers of the network that the file describes, `stacks` those that are known to
  /// stand behind a prefix.
  private init(
    _ file: TensorFile, described: RecurrentConfiguration?,
    stacks: [String: RecurrentConfiguration] = [:], prefix: String?, hints: Hints
  ) throws(CarouselError) {
    let source = file.path
    let modules = StoredModules(file)
    let prefixes = described == nil ? modules.recurrent : ["recurrent."]
    let module = try Self.choose(prefix, of: prefixes, format: file.format, source: source)
    stored = modules.recurrentParameters(of: module)
    var hints = hints
    let known = described ?? stacks[module]
    if let described = known {
      hints = Hints(
        cell: described.cell, hiddenSize: described.hiddenSize,
        forgetGate: described.options.forgetGate, merge: described.merge)
    }
    let shapes = stored.compactMapValues { $0.shape(in: file) }
    let found = try RecurrentTensors(shapes, hints: hints, source: source).configuration
    if let described = known, !found.hasTensors(of: described) {
      throw CarouselError(
        .badData,
        "\(source): the tensors are those of \(found.summary), but the entry 'carousel' of the "
          + "metadata describes \(described.summary)")
    }
    configuration = known ?? found
    self.prefix = module
    self.source = source
    self.file = file
    storedEmbedding = described == nil ? nil : modules.parameter("weight", of: "embedding.")
    heads = LinearHead.all(in: modules, of: file, inputSize: configuration.outputSize)
    likelyEmbeddings = LinearHead.all(in: modules, of: file, inputSize: configuration.inputSize)
      .filter(\.isEmbedding)
    metadata = file.metadata
  }

  /// Takes layers that are in memory; `source` names them, for errors.
  init(
    _ configuration: RecurrentConfiguration, parameters: [String: Tensor], embedding: Tensor?,
    source: String
  ) {
    self.configuration = configuration
    prefix = ""
    heads = []
    likelyEmbeddings = []
    metadata = [:]
    self.source = source
    file = nil
    stored = parameters.mapValues { .memory($0) }
    storedEmbedding = embedding.map { .memory($0) }
  }

  private init(_ model: RecurrentModel, as configuration: RecurrentConfiguration) {
    self.configuration = configuration
    prefix = model.prefix
    heads = model.heads
    likelyEmbeddings = model.likelyEmbeddings
    metadata = model.metadata
    source = model.source
    file = model.file
    stored = model.stored
    storedEmbedding = model.storedEmbedding
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

  /// Reads the parameters, under their bare names, `weight_ih_l0` and so on.
  ///
  /// Throws `badData` where a value is not finite in Float32 or the file has changed.
  public func parameters() throws(CarouselError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for description in configuration.parameterDescriptions {
      guard let parameter = stored[description.name] else {
        preconditionFailure("the model has no '\(description.name)'")
      }
      result[description.name] = try read(
        parameter, description.name, shape: description.shape)
    }
    return result
  }

  /// Reads the weight `[O, D·H]` and the bias `[O]` of one of `heads`.
  ///
  /// Throws as `parameters` does.
  public func parameters(
    of head: LinearHead
  ) throws(CarouselError) -> (weight: Tensor, bias: Tensor?) {
    let weight = try read(head.weight, head.name + ".weight", shape: head.weightShape)
    guard let bias = head.bias else { return (weight, nil) }
    return (weight, try read(bias, head.name + ".bias", shape: [head.outputSize]))
  }

  /// Reads the embedding `[V, C]` whose rows the layers read, where the file describes a network.
  public func embedding() throws(CarouselError) -> Tensor? {
    try storedEmbedding?.tensor(in: file)
  }

  private func read(
    _ parameter: StoredParameter, _ name: String, shape: Shape
  ) throws(CarouselError) -> Tensor {
    let name = parameter.names.last ?? name
    try parameter.shape(in: file)?.check(name, expected: shape, source: source)
    let tensor = try parameter.tensor(in: file)
    try tensor.checkFinite(name, source: source)
    return tensor
  }

  /// The tensors of the file that the layers, and the head where there is one, are made of.
  public func usedNames(head: LinearHead? = nil) -> [String] {
    let parameters =
      configuration.parameterDescriptions.compactMap { stored[$0.name] }
      + [head?.weight, head?.bias].compactMap(\.self)
    return parameters.flatMap(\.names)
  }

  /// All other tensors of the file.
  public func unusedNames(head: LinearHead? = nil) -> [String] {
    let used = Set(usedNames(head: head))
    return file?.entries.map(\.name).filter { !used.contains($0) } ?? []
  }

  /// The head of this name, or the only one whose name ends with it.
  ///
  /// Throws a usage error where there is none; it names those there are.
  public func head(_ name: String) throws(CarouselError) -> LinearHead {
    let found =
      heads.filter { $0.name == name } + heads.filter { $0.name.hasSuffix("." + name) }
    if found.count == 1 || found.first?.name == name { return found[0] }
    throw CarouselError(
      .usage,
      "\(source): expected a linear layer '\(name)' with \(configuration.outputSize) columns, "
        + (heads.isEmpty
          ? "found none of that width"
          : "found \(heads.map { "'\($0.name)'" }.joined(separator: ", "))"))
  }

  /// The linear layers that seem to stand behind the layers: those with a usual name, or else the only
  /// one that fits.
  public var likelyHeads: [LinearHead] {
    let usual = heads.filter(\.hasUsualName)
    if !usual.isEmpty { return usual }
    let others = heads.filter { !$0.isEmbedding }
    return others.count == 1 ? others : []
  }

  /// The part of a network's description that is about its recurrent layers.
  private struct Description: Decodable {
    struct Network: Decodable {
      let recurrent: RecurrentConfiguration
    }
    let network: Network
  }

  private static func describedConfiguration(
    _ metadata: [String: String], source: String
  ) throws(CarouselError) -> RecurrentConfiguration? {
    guard let text = metadata["carousel"] else { return nil }
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

  private static func choose(
    _ prefix: String?, of prefixes: [String], format: TensorFile.Format, source: String
  ) throws(CarouselError) -> String {
    let found = prefixes.map { "'\($0)'" }.joined(separator: ", ")
    guard let first = prefixes.first else {
      throw CarouselError(
        .badData,
        "\(source): expected recurrent layers, found no "
          + (format == .onnx ? "RNN, LSTM or GRU node" : "tensor named 'weight_hh_l0'"))
    }
    if let prefix {
      guard let chosen = prefixes.first(where: { $0 == prefix || $0 == prefix + "." }) else {
        throw CarouselError(
          .usage,
          "\(source): expected recurrent layers behind '\(prefix)', found them behind \(found)")
      }
      return chosen
    }
    guard prefixes.count == 1 else {
      throw CarouselError(
        .badData,
        "\(source): expected one stack of recurrent layers, found \(prefixes.count), behind "
          + "\(found); --prefix chooses one")
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

extension Shape {
  /// Throws `badData` where the shape of the tensor `name` is not as expected.
  func check(_ name: String, expected: Shape, source: String) throws(CarouselError) {
    guard self == expected else {
      throw CarouselError(
        .badData, "\(source): the tensor '\(name)' has the shape \(self), expected \(expected)")
    }
  }
}

extension Tensor {
  /// Throws `badData` where a value is not finite in Float32.
  func checkFinite(_ name: String, source: String) throws(CarouselError) {
    guard let index = firstNonFinite(in: .float32) else { return }
    throw CarouselError(
      .badData,
      "\(source): the tensor '\(name)' holds \(self[index]) at element \(index), "
        + "expected finite numbers of Float32")
  }
}
