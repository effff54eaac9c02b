import Carousel

/// What `carousel run` read, used and wrote.
struct RunReport: Encodable {
  private let model: String
  private let prefix: String
  private let cell: Cell
  private let sizes: [String: Int]
  private let options: [String: String]
  private let batchFirst: Bool
  private let gradients: Bool
  private let head: String?
  private let device: String
  private let used: Names
  private let unused: Names
  private var nonFinite: [String] = []
  private var outputs: [TensorShape] = []
  /// What is said on standard error before the pass.
  let notes: [String]

  /// The tensors of each file.
  private struct Names: Encodable {
    let model: [String], inputs: [String]
  }

  private struct TensorShape: Encodable {
    let name: String
    let shape: [Int]
  }

  private enum CodingKeys: CodingKey {
    case model, prefix, cell, sizes, options, batchFirst, gradients, head, device, used, unused
    case nonFinite, outputs
  }

  init(
    _ model: RecurrentModel, head: LinearHead?, inputs: TensorFile, pass: RecurrentPass,
    isBatchFirst: Bool, device: String
  ) {
    let layers = model.configuration
    self.model = model.source
    prefix = model.prefix
    cell = layers.cell
    sizes = [
      "sequenceLength": pass.sequenceLength, "batchSize": pass.batchSize,
      "inputSize": layers.inputSize,
      "hiddenSize": layers.hiddenSize, "layers": layers.layers, "directions": layers.directions,
    ].merging(layers.options.projectionSize.map { ["projectionSize": $0] } ?? [:]) { $1 }
    options = Dictionary(uniqueKeysWithValues: layers.caseOptions.map { ($0.key, $0.value) })
    batchFirst = isBatchFirst
    gradients = pass.gradients != nil
    self.head = head?.name
    self.device = device
    let unusedInputs = RecurrentPass.unusedNames(
      in: inputs, of: layers, gradients: gradients)
    unused = Names(model: model.unusedNames(head: head), inputs: unusedInputs)
    used = Names(
      model: model.usedNames(head: head),
      inputs: inputs.entries.map { $0.name }.filter { !unusedInputs.contains($0) })
    notes =
      [
        "\(model.source): \(layers.summary)"
          + (prefix.isEmpty ? "" : ", behind '\(prefix)'")
          + (head.map { ", and the linear layer '\($0.name)' \($0.weightShape)" } ?? ""),
        "\(inputs.path): \(counted(pass.sequenceLength, "step")) (T) of "
          + "\(counted(pass.batchSize, "sequence")) (N) with "
          + "\(counted(layers.inputSize, "feature")) (C)"
          + (isBatchFirst ? ", batch first" : ""),
      ] + Self.unusedNote(unused.model, of: model.source)
      + (head == nil
        ? model.likelyHeads.map {
          "\(model.source): the linear layer '\($0.name)' \($0.weightShape) is not applied, "
            + "--head \($0.name) applies it"
        } : [])
      + Self.unusedNote(unused.inputs, of: inputs.path)
  }

  private static func unusedNote(_ names: [String], of path: String) -> [String] {
    guard !names.isEmpty else { return [] }
    return [
      "\(path): not used: " + names.map { "'\($0)'" }.joined(separator: ", ")
    ]
  }

  /// Takes what was written, and returns a warning for each tensor with values that are not finite.
  mutating func add(_ tensors: [(name: String, tensor: Tensor)], path: String) -> [String] {
    outputs = tensors.map { TensorShape(name: $0.name, shape: $0.tensor.shape.dimensions) }
    var warnings: [String] = []
    for (name, tensor) in tensors {
      guard let index = tensor.firstNonFinite(in: .float32) else { continue }
      nonFinite.append(name)
      warnings.append(
        "warning: \(path): the tensor '\(name)' holds \(tensor.nonFiniteCount) of "
          + "\(tensor.shape.count) values that are not finite in Float32, the first is "
          + "\(Float(tensor[index])) at element \(index)")
    }
    return warnings
  }
}
