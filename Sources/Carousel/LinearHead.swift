import CarouselFormats
import CarouselModel

/// A linear layer that reads what a recurrent stack puts out: y·weightᵀ + bias at every step.
public struct LinearHead: Sendable {
  /// The module in the file: `fc`.
  public let name: String
  /// `[O, D·H]`.
  public let weightShape: Shape
  let weight: StoredParameter
  let bias: StoredParameter?

  /// The tensors of the file that it is made of.
  var names: [String] { weight.names + (bias?.names ?? []) }

  /// O, the features of an output.
  public var outputSize: Int { weightShape[0] }

  /// What such layers are usually called.
  private static let usualNames = ["output", "fc", "linear", "head", "classifier"]

  /// Whether it is called as such layers usually are.
  var hasUsualName: Bool { Self.usualNames.contains(lastWord) }

  /// Whether its name is that of a table of embeddings, which has the same shape where E = D·H.
  var isEmbedding: Bool { lastWord.hasPrefix("emb") || lastWord.hasPrefix("encoder") }

  private var lastWord: String { name.split(separator: ".").last.map(String.init) ?? name }

  /// Every two-dimensional weight of the file with `inputSize` columns.
  static func all(
    in modules: StoredModules, of file: TensorFile, inputSize: Int
  ) -> [LinearHead] {
    modules.weighted.compactMap { name in
      guard let weight = modules.parameter("weight", of: name + "."),
        let shape = weight.shape(in: file), shape.rank == 2, shape[1] == inputSize, shape[0] > 0
      else { return nil }
      return LinearHead(
        name: name, weightShape: shape, weight: weight,
        bias: modules.parameter("bias", of: name + "."))
    }
  }
}
