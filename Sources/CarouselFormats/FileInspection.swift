import CarouselModel
import Foundation

/// What a model or tensor file holds, as `carousel inspect` prints it.
package struct FileInspection: Sendable, Encodable {
  /// A tensor, or an input or output of a model.
  package struct Row: Sendable, Encodable {
    /// Its name.
    package var name: String
    /// Its extents: a number, the name of one that may be any, or `?`; nil where not even their number is
    /// known.
    package var shape: [JSONScalar]?
    /// The type of its elements, as safetensors calls it.
    package var type: String
  }

  /// The kind of the file: `safetensors`, `pytorch`, `npy`, `npz` or `onnx`.
  package var format: String
  /// What a model is given, without its own weights; empty for files of tensors.
  package var inputs: [Row] = []
  /// What a model gives back.
  package var outputs: [Row] = []
  /// How often a model uses each operator, within its subgraphs too; those that are not ONNX's own with
  /// their domain before them.
  package var operators: [String: Int] = [:]
  /// The tensors in the order of the file.
  package var tensors: [Row]
  /// What the file says about itself.
  package var metadata: [String: String]

  /// Reads names, shapes and types; throws as opening the file does.
  package init(_ path: String) throws(CarouselError) {
    let file = try TensorFile(path)
    format = file.format.rawValue
    tensors = file.entries.map {
      Row(name: $0.name, shape: $0.shape.dimensions.map { .integer($0) }, type: $0.type)
    }
    metadata = file.metadata
    guard file.format == .onnx else { return }
    let model = try ONNXFile(path).model
    for entry in model.opsetImport {
      metadata["opset" + (entry.domain.isEmpty ? "" : " \(entry.domain)")] = "\(entry.version)"
    }
    if !model.producerName.isEmpty {
      metadata["producer"] =
        model.producerName + (model.producerVersion.isEmpty ? "" : " " + model.producerVersion)
    }
    let weights = Set(model.graph.initializer.map(\.name))
    inputs = model.graph.input.filter { !weights.contains($0.name) }.map(Self.row)
    outputs = model.graph.output.map(Self.row)
    operators = Self.operators(of: model.graph.node)
    for function in model.functions {
      operators.merge(Self.operators(of: function.node), uniquingKeysWith: +)
    }
  }

  private static func row(_ value: ONNXValueInfoProto) -> Row {
    let tensor = value.type.tensorType
    let shape: [JSONScalar]? =
      tensor.hasShape
      ? tensor.shape.dim.map { dimension in
        switch dimension.value {
        case .dimValue(let extent)?: .integer(Int(extent))
        case .dimParam(let name)?: .text(name)
        case nil: .text("?")
        }
      } : nil
    return Row(name: value.name, shape: shape, type: ONNXType.name(tensor.elemType))
  }

  private static func operators(of nodes: [ONNXNodeProto]) -> [String: Int] {
    var result: [String: Int] = [:]
    for node in nodes {
      let isStandard = node.domain.isEmpty || node.domain == "ai.onnx"
      result[isStandard ? node.opType : "\(node.domain).\(node.opType)", default: 0] += 1
      for attribute in node.attribute {
        for graph in (attribute.hasG ? [attribute.g] : []) + attribute.graphs {
          result.merge(operators(of: graph.node), uniquingKeysWith: +)
        }
      }
    }
    return result
  }
}

/// What there is at a path, links followed.
package enum FileKind: Sendable {
  /// A regular file.
  case file
  /// A folder.
  case folder
  /// A pipe, a terminal or another device.
  case other

  /// Asks the operating system; nil where there is nothing, or nothing that may be seen.
  package init?(at path: String) {
    guard let status = FileSystem.status(of: path) else { return nil }
    self =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      default: .other
      }
  }
}
