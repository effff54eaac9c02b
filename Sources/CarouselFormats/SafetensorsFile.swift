import CarouselModel
import Foundation

/// Named tensors and a few words about them, as a safetensors file holds them.
///
/// The file: 8 bytes, the length of the header as a little-endian integer; the header, a JSON object
/// with `dtype`, `shape` and `data_offsets` for each tensor and texts under `__metadata__`; the
/// elements, row-major and little-endian, without a gap.
public struct SafetensorsFile: Sendable {
  /// The tensors in the order of their data; no two share a name.
  public var tensors: [(name: String, tensor: Tensor)]
  /// How the file stores a tensor's elements, by the tensor's name.
  ///
  /// `write` keeps the types of whole numbers; it chooses the type of all other tensors.
  public var elementTypes: [String: ElementType]
  /// What the file says about itself.
  public var metadata: [String: String]

  /// Gathers tensors for a file.
  public init(
    _ tensors: [(name: String, tensor: Tensor)], elementTypes: [String: ElementType] = [:],
    metadata: [String: String] = [:]
  ) {
    self.tensors = tensors
    self.elementTypes = elementTypes
    self.metadata = metadata
  }

  /// The first tensor of this name; nil where there is none.
  public subscript(name: String) -> Tensor? { tensors.first { $0.name == name }?.tensor }

  /// The tensors by their names.
  public var tensorsByName: [String: Tensor] {
    Dictionary(tensors.map { ($0.name, $0.tensor) }) { first, _ in first }
  }
}
