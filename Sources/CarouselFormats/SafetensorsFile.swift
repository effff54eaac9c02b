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

extension SafetensorsFile {
  /// Reads every tensor of a file, as `TensorFile` reads one when it is asked for.
  ///
  /// Throws as that does, and `badData` where a tensor's elements are of a type that is not read.
  public init(contentsOf path: String) throws(CarouselError) {
    let file = try TensorFile(path)
    var tensors: [(name: String, tensor: Tensor)] = []
    for entry in file.entries { tensors.append((entry.name, try file.tensor(entry))) }
    self.init(
      tensors,
      elementTypes: Dictionary(
        uniqueKeysWithValues: file.entries.compactMap { entry in
          entry.elementType.map { (entry.name, $0) }
        }),
      metadata: file.metadata)
  }
}

extension TensorFile.Contents {
  /// The tensors of a safetensors file.
  static func safetensors(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    guard file.byteCount >= 8 else {
      throw FileDamage(
        file.byteCount == 0
          ? "expected a safetensors file, found an empty file"
          : "expected a safetensors file, which begins with 8 bytes for the length of its header, "
            + "found \(file.byteCount == 1 ? "1 byte" : "\(file.byteCount) bytes") in all")
    }
    let length = try file.bytes(at: 0, count: 8).withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))
    }
    guard length <= UInt64(file.byteCount - 8) else {
      throw FileDamage(
        "expected a safetensors file, found a header length of \(length) bytes in a file of "
          + "\(file.byteCount)")
    }
    guard length <= limits.byteCount else {
      throw FileDamage(
        "expected a header of at most \(limits.byteCount) bytes, found one of \(length)")
    }
    let begin = 8 + Int(length)
    let header = try SafetensorsHeader(
      file.bytes(at: 8, count: Int(length)), dataByteCount: file.byteCount - begin,
      limits: limits)
    return TensorFile.Contents(
      format: .safetensors,
      entries: header.entries.map {
        TensorFile.Entry(
          name: $0.name, type: $0.type, elementType: ElementType(rawValue: $0.type),
          shape: $0.shape, offset: begin + $0.bytes.lowerBound, strides: $0.shape.contiguousStrides)
      }, metadata: header.metadata)
  }
}
