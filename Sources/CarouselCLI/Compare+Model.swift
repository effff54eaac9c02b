import Carousel

extension Compare {
  /// T and N of a model's inputs where nothing else says them.
  static let modelSequenceLength = 25, modelBatchSize = 1

  /// The cases of a model of a file: its operators or layers one by one, then all of it.
  func cases(ofModel path: String) throws -> [any ComparisonCase] {
    Progress.show(Status("reading"))
    let file = try given.inputs.map { path throws(CarouselError) in try TensorFile(path) }
    guard let path = ONNXModel.path(at: path) else {
      return try cases(ofLayers: path, inputs: file)
    }
    guard recurrent.isEmpty, prefix.prefix == nil, batch.lengths == nil else {
      throw CarouselError(
        .usage,
        "\(path): an ONNX model says all of itself, but layer options, --lengths or --prefix were given"
      )
    }
    let (model, inputs) = try given.model(
      at: path, file: file, work: batch.work, seed: seed.seed)
    Progress.show(Status("computing the reference"))
    let cases = try ModelComparison.all(of: model, inputs: inputs)
    let left = model.graph.nodes.count - (cases.count - 1)
    if left > 0 {
      Output.note(
        "carousel: \(left) of \(model.graph.nodes.count) operators are known when the shapes are, and "
          + "are computed by neither")
    }
    return cases
  }

  /// The layers of a safetensors or PyTorch file, or a run's folder.
  private func cases(
    ofLayers path: String, inputs file: TensorFile?
  ) throws -> [any ComparisonCase] {
    guard given.shape.isEmpty, given.value.isEmpty else {
      throw CarouselError(
        .usage, "\(path): --shape and --value are for ONNX models, whose inputs have names")
    }
    let found = try RecurrentModel(
      contentsOf: path, prefix: prefix.prefix, hints: recurrent.hints)
    let model = try found.reading(as: recurrent.configuration(defaults: found.configuration))
    let heads = model.likelyHeads
    if let head = heads.first {
      Output.note(
        heads.count == 1
          ? "carousel: \(path): the linear layer '\(head.name)' is compared behind the layers"
          : "carousel: \(path): of \(heads.count) linear layers none is compared")
    }
    let (sequenceLength, batchSize, lengths) = try batch.batch(
      sequenceLength: Self.modelSequenceLength, batchSize: Self.modelBatchSize)
    try model.configuration.requireRoom(sequenceLength: sequenceLength, batchSize: batchSize)
    Output.note(
      "carousel: \(path): \(model.configuration.summary), "
        + (file.map { "inputs from \($0.path)" }
          ?? "T \(sequenceLength), N \(batchSize), inputs drawn with the seed \(seed.seed)"))
    return try RecurrentModelComparison.all(
      of: model, head: heads.count == 1 ? heads.first : nil, inputs: file,
      sequenceLength: sequenceLength, batchSize: batchSize, lengths: lengths, seed: seed.seed)
  }
}
