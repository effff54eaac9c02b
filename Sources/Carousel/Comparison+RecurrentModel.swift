import CarouselFormats
import CarouselModel

/// Recurrent layers of a file with the file's parameters: one of the layers, or all of them.
package struct RecurrentModelComparison: ComparisonCase {
  let pass: RecurrentPass
  let source: String
  /// The layer's number; nil for all layers, and the linear layer behind them where there is one.
  let layer: Int?

  /// `recurrent`.
  package var operation: String { "recurrent" }
  /// The layers' cell.
  package var cell: Cell? { pass.configuration.cell }
  /// T, N, C, H and L.
  package var sizes: KeyValuePairs<String, Int> {
    [
      "sequenceLength": pass.sequenceLength, "batchSize": pass.batchSize,
      "inputSize": pass.configuration.inputSize, "hiddenSize": pass.configuration.hiddenSize,
      "layers": pass.configuration.layers,
    ]
  }
  /// Which layer it is, the file, and the linear layer.
  package var options: [CaseOption] {
    [("operator", layer.map { "layer \($0)" } ?? "all"), ("node", source)]
      + (pass.head.map { [("head", $0.name)] } ?? []) + pass.configuration.caseOptions
  }
  /// The larger of what a layer's input and state have elements.
  package var sumLength: Int { max(pass.configuration.inputSize, pass.configuration.hiddenSize) }

  /// y, the final states, and all gradients.
  package func tensors<B: Backend>(on backend: B, seed: UInt64) throws -> [NamedTensor] {
    try pass.tensors(on: backend)
  }

  /// A case for each layer, where there are several, and one for all of them with the linear layer.
  ///
  /// Inputs, initial states and the gradients of the outputs are drawn from the seed; with `file` those of
  /// all layers are the file's. Throws as reading the parameters and the inputs does.
  package static func all(
    of model: RecurrentModel, head: LinearHead?, inputs file: TensorFile?, sequenceLength: Int,
    batchSize: Int, lengths: [Int]?, seed: UInt64
  ) throws(CarouselError) -> [RecurrentModelComparison] {
    let parameters = try model.parameters()
    func drawn(
      _ configuration: RecurrentConfiguration, _ parameters: [String: Tensor]
    ) throws(CarouselError) -> RecurrentPass {
      var pass = RecurrentComparison(
        configuration, sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths
      ).pass(seed: seed)
      pass.parameters = parameters
      // A model that is used drops nothing.
      pass.dropoutSeed = nil
      return pass
    }
    var result: [RecurrentModelComparison] = []
    if model.configuration.layers > 1 {
      for layer in 0..<model.configuration.layers {
        let (configuration, own) = model.configuration.layer(layer, of: parameters)
        result.append(
          RecurrentModelComparison(
            pass: try drawn(configuration, own), source: model.source, layer: layer))
      }
    }
    var pass: RecurrentPass
    if let file {
      pass = try RecurrentPass(model, inputs: file, head: head, gradients: true)
    } else {
      pass = try drawn(model.configuration, parameters)
      if let head {
        let (weight, bias) = try model.parameters(of: head)
        pass.head = RecurrentPass.Head(name: head.name, weight: weight, bias: bias)
        let shape = pass.outputShape
        pass.gradients?.y = ComparisonInput.normal(shape, seed: seed, index: 3)
      }
    }
    result.append(RecurrentModelComparison(pass: pass, source: model.source, layer: nil))
    return result
  }
}

extension RecurrentConfiguration {
  /// One layer by itself, and its parameters under the names of a first layer.
  fileprivate func layer(
    _ layer: Int, of parameters: [String: Tensor]
  ) -> (RecurrentConfiguration, [String: Tensor]) {
    var single = self
    single.layers = 1
    if layer > 0 { single.inputSize = outputSize }
    var result: [String: Tensor] = [:]
    for (index, unit) in single.units.enumerated() {
      let suffix = units[layer * directions + index].suffix
      for (name, tensor) in parameters where name.hasSuffix(suffix) {
        result[name.dropLast(suffix.count) + unit.suffix] = tensor
      }
    }
    return (single, result)
  }
}
