import CarouselFormats
import CarouselModel
import Foundation

/// What a run of `GraphTrainer` saves: the trained parameters and the running statistics, the optimizer's moments,
/// and in the entry `carousel-graph` of the metadata, as JSON, the settings and how far it came.
public struct GraphCheckpoint: Sendable {
  /// The entry of the metadata.
  struct Description: Codable, Sendable {
    var settings: GraphTrainingSettings
    var dataHash: String, modelHash: String
    var position: TrainingPosition
    var computedOn: BackendRecord
    var metrics: [TrainingMetrics]
  }

  private static let key = "carousel-graph"
  let description: Description
  private let file: TensorFile

  /// How the run was trained.
  public var settings: GraphTrainingSettings { description.settings }

  /// Reads a checkpoint; throws where it is missing, damaged, or none of a graph.
  public init(contentsOf path: String) throws(CarouselError) {
    file = try TensorFile(path)
    guard let text = file.metadata[Self.key],
      let description = try? JSONDecoder().decode(Description.self, from: Data(text.utf8))
    else {
      throw CarouselError(
        .badData, "\(path): expected a checkpoint of 'carousel train graph', found something else")
    }
    self.description = description
    do {
      try description.settings.validate()
      try description.position.validate()
    } catch {
      throw CarouselError(.badData, "\(path): the description is wrong: \(error.message)")
    }
  }

  /// The tensor of this name; throws where it is missing or of another shape.
  func tensor(_ name: String, shape: Shape) throws(CarouselError) -> Tensor {
    guard let entry = file[name], entry.shape == shape else {
      throw CarouselError(
        .badData,
        "\(file.path): expected a tensor '\(name)' \(shape), found "
          + (file[name].map { "\($0.shape)" } ?? "none"))
    }
    return try file.tensor(entry)
  }

  /// All trained parameters, and the running statistics that training moved.
  public func parameters() throws(CarouselError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for entry in file.entries
    where !["optimizer.", "average."].contains(where: entry.name.hasPrefix) {
      result[entry.name] = try file.tensor(entry)
    }
    return result
  }

  static func write(
    _ description: Description, _ tensors: [(name: String, tensor: Tensor)],
    elementType: ElementType, to path: String
  ) throws(CarouselError) {
    try SafetensorsFile(tensors, metadata: [key: JSON.encode(description)])
      .write(to: path, elementType: elementType)
  }
}

extension GraphTrainer {
  private var description: GraphCheckpoint.Description {
    GraphCheckpoint.Description(
      settings: settings, dataHash: parts.hash, modelHash: modelHash, position: position,
      computedOn: backend.record, metrics: loop.session.lines)
  }

  func saveBeginning(to folder: RunFolder) throws {
    try save(to: folder.last, resumable: true, folder)
  }

  func writeSettings(to folder: RunFolder) throws {
    try AtomicFile.write(
      JSON.encode(GraphTrainingSettings.Record(settings), pretty: true) + "\n", to: folder.settings)
    if let configuration { try AtomicFile.write(configuration, to: folder.config) }
  }

  func stateTensors() -> [(name: String, tensor: Tensor)] { [] }

  func write(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws {
    try GraphCheckpoint.write(description, tensors, elementType: backend.elementType, to: path)
  }

  /// The names of the running statistics of batch normalisation that training moves.
  private var statistics: [String] {
    let names = model.graph.nodes.flatMap { node in
      if case .batchNormalization(_, _, _, false) = node.operation {
        node.inputs.dropFirst(3).prefix(2).compactMap(\.self)
      } else {
        [String]()
      }
    }
    return model.fixedParameters.descriptions.map(\.name).filter(names.contains)
  }

  /// What the best model is made of: the trained parameters, and the running statistics.
  func bestTensors() throws -> [String: Tensor] {
    Dictionary(uniqueKeysWithValues: try modelTensors().map { ($0.name, $0.tensor) })
  }

  func modelTensors() throws -> [(name: String, tensor: Tensor)] {
    let moved = statistics
    return try model.parameters.tensors()
      + (moved.isEmpty ? [] : model.fixedParameters.tensors().filter { moved.contains($0.name) })
  }

  /// Takes over trained parameters and running statistics.
  func loadParameters(_ tensors: [String: Tensor]) throws {
    let store = model.fixedParameters
    for name in statistics {
      let shape = model.graph.parameter(name)?.description.shape
      guard let tensor = tensors[name], tensor.shape == shape else {
        throw CarouselError(
          .badData, "\(settings.model): expected the running statistics '\(name)', found none")
      }
      try backend.write(tensor, to: store.value(name))
    }
    try model.parameters.load(tensors, source: settings.model)
  }

  /// Gives the model the parameters of the run's best evaluation, from its folder where it has one.
  ///
  /// They replace those as they are: a run that goes on after this goes on from them. Throws a usage error
  /// where nothing was evaluated yet.
  public func loadBest() throws {
    if let best { return try loadParameters(best) }
    guard let folder, FileKind(at: folder.best) != nil else {
      throw CarouselError(.usage, "expected a run with an evaluation, found none")
    }
    try loadParameters(GraphCheckpoint(contentsOf: folder.best).parameters())
  }

  /// Takes over what a run saved; throws where the data are no longer what they were.
  func load(_ checkpoint: GraphCheckpoint) throws {
    let known = checkpoint.description
    guard known.dataHash == parts.hash else {
      throw CarouselError(
        .badData,
        "\(settings.data): expected the data that the run was trained on, with the hash "
          + "\(known.dataHash), found others with the hash \(parts.hash)")
    }
    guard known.modelHash == modelHash else {
      throw CarouselError(
        .badData,
        "\(settings.model): expected the weights that the run began with, with the hash "
          + "\(known.modelHash), found others with the hash \(modelHash)")
    }
    var tensors: [String: Tensor] = [:]
    let moved = statistics
    for parameter in model.parameters.descriptions
      + model.fixedParameters.descriptions.filter({ moved.contains($0.name) })
    {
      tensors[parameter.name] = try checkpoint.tensor(parameter.name, shape: parameter.shape)
    }
    try loadParameters(tensors)
    try loop.optimizer.load { name, shape in try checkpoint.tensor(name, shape: shape) }
    try loop.average?.load { name, shape in try checkpoint.tensor(name, shape: shape) }
    loop.resume(known.position, known.metrics, known.computedOn)
    // The folder has just this.
    loop.session.saved = (known.position, 0)
  }
}
