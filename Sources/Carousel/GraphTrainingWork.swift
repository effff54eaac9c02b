import CarouselFormats
import CarouselModel
import CarouselONNX
import CarouselTraining

/// A model of an ONNX file, the weights that its training begins with, and the data.
package struct GraphTrainingWork: Sendable {
  /// The model.
  package let model: ONNXModel
  /// The values of all its parameters.
  package let parameters: [String: Tensor]
  /// The data, and the graph with its loss.
  package let data: GraphTrainingParts
  /// What of another file's weights was taken, a sentence each.
  package let notes: [String]

  /// Reads what settings name; `settings.training.from` is a file whose tensors replace those of the same
  /// name and shape.
  ///
  /// Throws as reading the files does, and a usage error where the other file has no tensor that fits.
  package init(_ settings: GraphTrainingSettings) throws(CarouselError) {
    model = try ONNXModel(contentsOf: settings.model)
    var parameters = model.parameters
    var notes: [String] = []
    if let path = settings.training.from {
      let others = try Self.tensors(in: path)
      var missing: [String] = []
      for (name, tensor) in parameters.sorted(by: { $0.key < $1.key }) {
        if let other = others[name], other.shape == tensor.shape {
          parameters[name] = other
        } else {
          missing.append("'\(name)'")
        }
      }
      guard missing.count < parameters.count else {
        throw CarouselError(
          .usage, "\(path): no tensor has the name and the shape of a parameter of the model")
      }
      notes.append("\(path): \(parameters.count - missing.count) tensors are its")
      if !missing.isEmpty {
        notes.append(
          "\(path): those of the model stay for \(missing.joined(separator: ", "))")
      }
    }
    self.parameters = parameters
    self.notes = notes
    data = try GraphTrainingParts(model.graph, settings: settings)
  }

  /// Writes the model with these parameters, and for the others those that training began with.
  package func write(_ trained: [String: Tensor], to path: String) throws(CarouselError) {
    var values = trained
    for (name, tensor) in parameters where values[name] == nil {
      if tensor != model.parameters[name] { values[name] = tensor }
    }
    try model.write(values, to: path)
  }

  private static func tensors(in path: String) throws(CarouselError) -> [String: Tensor] {
    if path.lowercased().hasSuffix(".onnx") {
      return try ONNXModel(contentsOf: path).parameters
    }
    let file = try TensorFile(path)
    var result: [String: Tensor] = [:]
    for entry in file.entries where entry.elementType != nil {
      result[entry.name] = try file.tensor(entry)
    }
    return result
  }
}
