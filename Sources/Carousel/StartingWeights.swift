import CarouselFormats
import CarouselModel
import CarouselTraining
import Foundation

/// The weights of a file, to train a network further that need not be the file's.
///
/// Parameters match by name and shape. The layers may stand behind any prefix, the embedding and the
/// linear output under their usual names. Where both networks say which bytes their tokens are, the rows
/// of embedding and output match by byte.
package struct StartingWeights {
  /// The file's layers.
  package let model: RecurrentModel
  /// The bytes behind the file's tokens, where it says so.
  package let vocabulary: ByteVocabulary?
  /// The linear layer behind the layers, and the embedding before them.
  private let head: LinearHead?, embedding: LinearHead?

  /// Opens a run's folder, a checkpoint, a safetensors file, one of `torch.save` or an ONNX model.
  ///
  /// Throws as `RecurrentModel` does.
  package init(
    contentsOf path: String, prefix: String? = nil, hints: RecurrentModel.Hints = .init()
  ) throws(CarouselError) {
    try self.init(RecurrentModel(contentsOf: path, prefix: prefix, hints: hints))
  }

  private struct Described: Decodable {
    let vocabulary: ByteVocabulary?
  }

  private init(_ model: RecurrentModel) {
    self.model = model
    let described = model.metadata["carousel"].flatMap {
      try? JSONDecoder().decode(Described.self, from: Data($0.utf8))
    }
    vocabulary = described?.vocabulary
    let heads = model.likelyHeads
    head = heads.count == 1 ? heads[0] : nil
    embedding = model.likelyEmbeddings.count == 1 ? model.likelyEmbeddings[0] : nil
  }

  /// How the file's parameters fit a network's.
  package struct Match: Sendable {
    /// What the network begins with.
    package fileprivate(set) var weights = InitialWeights()
    /// The network's parameters that begin with the file's values.
    package fileprivate(set) var taken: [String] = []
    /// Those of which only the rows of known bytes do, with the numbers of these rows and of all.
    package fileprivate(set) var partly: [(name: String, rows: Int, all: Int)] = []
    /// Those that the file lacks.
    package fileprivate(set) var missing: [String] = []
    /// Those that have another shape in the file.
    package fileprivate(set) var reshaped: [(name: String, shape: Shape, found: Shape)] = []
    /// The file's tensors that the network has no use for.
    package fileprivate(set) var unused: [String] = []
  }

  /// Matches the file's parameters with those of a network, whose tokens are `vocabulary`.
  ///
  /// Throws `badData` where none matches, or a value is not finite in Float32.
  package func match(
    _ network: NetworkConfiguration, vocabulary: ByteVocabulary? = nil
  ) throws(CarouselError) -> Match {
    var stored: [String: Tensor] = [:]
    for (name, tensor) in try model.parameters() { stored["recurrent." + name] = tensor }
    if let embedding { stored["embedding.weight"] = try model.parameters(of: embedding).weight }
    if let head {
      let (weight, bias) = try model.parameters(of: head)
      stored["output.weight"] = weight
      stored["output.bias"] = bias
    }
    var result = Match()
    for description in network.parameterDescriptions {
      let (name, shape) = (description.name, description.shape)
      guard let tensor = stored.removeValue(forKey: name) else {
        result.missing.append(name)
        continue
      }
      let isByByte = name.hasPrefix("embedding.") || name.hasPrefix("output.")
      if isByByte, let vocabulary, let known = self.vocabulary, vocabulary != known,
        tensor.shape.dimensions.dropFirst() == shape.dimensions.dropFirst(),
        tensor.shape[0] == known.count, shape[0] == vocabulary.count
      {
        let rows = Self.rows(of: tensor, known, as: vocabulary)
        result.weights.rows[name] = rows
        result.partly.append((name, rows.count, shape[0]))
      } else if tensor.shape == shape {
        result.weights.tensors[name] = tensor
        result.taken.append(name)
      } else {
        result.reshaped.append((name, shape, tensor.shape))
      }
    }
    guard !result.taken.isEmpty || !result.partly.isEmpty else {
      throw CarouselError(
        .badData,
        "\(model.source): expected a tensor with the name and the shape of a parameter of the network, "
          + "found none")
    }
    result.unused = unusedNames + stored.keys.sorted().map(storedName)
    return result
  }

  /// The rows of a tensor by the tokens that their bytes have in another vocabulary.
  private static func rows(
    of tensor: Tensor, _ known: ByteVocabulary, as vocabulary: ByteVocabulary
  ) -> [Int: Tensor] {
    var result: [Int: Tensor] = [:]
    for (row, byte) in known.bytes.enumerated() {
      guard let token = vocabulary.token(byte) else { continue }
      result[Int(token)] = tensor.part(row)
    }
    return result
  }

  /// The file's tensors that are no parameters of its layers, embedding and output; what a checkpoint
  /// holds beside them to be resumed is none of a model's.
  private var unusedNames: [String] {
    let table = Set(embedding?.names ?? [])
    let isCheckpoint = model.metadata["carousel"] != nil
    return model.unusedNames(head: head).filter { name in
      !table.contains(name)
        && !(isCheckpoint && (name.hasPrefix("optimizer.") || name.hasPrefix("state.")))
    }
  }

  /// What the file calls a parameter of a network.
  private func storedName(_ name: String) -> String {
    name.hasPrefix("recurrent.") ? model.prefix + name.dropFirst("recurrent.".count) : name
  }
}
