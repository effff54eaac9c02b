import ArgumentParser
import Carousel

extension Run {
  /// One pass of a model from an ONNX file.
  func runONNX(_ path: String, inputs: String, outputs: String) throws {
    guard recurrent.isEmpty, !batchFirst, prefix.prefix == nil, head == nil else {
      throw CarouselError(
        .usage,
        "\(path): an ONNX model says all of itself, but layer options, --batch-first, --prefix or "
          + "--head were given")
    }
    let file = try TensorFile(inputs)
    let model = try ONNXModel(contentsOf: path, inputs: file)
    let pass = try ONNXPass(model, inputs: file, gradients: gradients)
    try AtomicFile.requireWritable(outputs)
    let backend: any Backend = try device.makeBackend()
    Output.note("carousel: \(path): \(model.summary)")
    for (name, tensor) in pass.inputs.sorted(by: { $0.key < $1.key }) {
      Output.note("carousel: \(inputs): \(name) \(tensor.shape) \(tensor.type.rawValue)")
    }
    if !pass.unusedNames.isEmpty {
      let names = pass.unusedNames.map { "'\($0)'" }.joined(separator: ", ")
      Output.note("carousel: \(inputs): not used: \(names)")
    }
    Progress.show(Status("computing"))
    let tensors = try pass.tensors(on: backend)
    Progress.show(Status("writing \(outputs)"))
    try SafetensorsFile(
      tensors.map { ($0.name, $0.tensor.tensor) },
      elementTypes: Dictionary(
        uniqueKeysWithValues: tensors.map { ($0.name, $0.tensor.type.elementType) })
    ).write(inFormatOf: outputs)
    let report = ONNXRunReport(
      model: model.source, device: backend.name, gradients: gradients,
      inputs: pass.inputs.map { .init($0.key, $0.value) }.sorted { $0.name < $1.name },
      outputs: tensors.map { .init($0.name, $0.tensor) }, unused: pass.unusedNames,
      nonFinite: tensors.filter { tensor in
        !tensor.tensor.values.allSatisfy { Float($0).isFinite }
      }.map(\.name))
    for name in report.nonFinite {
      Output.note(
        "carousel: warning: \(outputs): the tensor '\(name)' holds values that are not finite in Float32"
      )
    }
    if output.json { try Output.write(json: report) }
  }
}

/// What `carousel run` read of an ONNX model, and wrote.
private struct ONNXRunReport: Encodable {
  let model: String, device: String
  let gradients: Bool
  let inputs: [Row], outputs: [Row]
  let unused: [String], nonFinite: [String]

  struct Row: Encodable {
    let name: String
    let shape: [Int]
    let type: String

    init(_ name: String, _ tensor: GraphTensor) {
      (self.name, shape, type) = (name, tensor.shape.dimensions, tensor.type.rawValue)
    }
  }
}
