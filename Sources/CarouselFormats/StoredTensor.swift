import CarouselModel

/// A tensor as files store it: its bytes, row-major and little-endian, and what they mean.
///
/// Formats are converted by such tensors, so that every bit of a number stays, those of a NaN too.
public struct StoredTensor: Sendable {
  /// The tensor's name.
  public var name: String
  /// What the elements are.
  public var type: ElementType
  /// The extents, outermost first.
  public var shape: Shape
  /// The elements' bytes.
  public var bytes: [UInt8]
}

extension TensorFile {
  /// Reads a tensor's bytes.
  ///
  /// Throws `badData` where the type of its elements is not known, where there is no memory for them, or
  /// where the file has become shorter.
  public func stored(_ entry: Entry) throws(CarouselError) -> StoredTensor {
    guard let type = entry.elementType else {
      throw CarouselError(
        .badData,
        "\(path): the tensor '\(entry.name)' has the dtype '\(entry.type)', which cannot be converted"
      )
    }
    return StoredTensor(
      name: entry.name, type: type, shape: entry.shape,
      bytes: try bytes(entry, width: type.byteCount))
  }
}

extension StoredTensor {
  /// The same numbers in the nearest type that NumPy has: BFloat16 becomes Float32.
  var inNumPyType: StoredTensor {
    guard type == .bfloat16 else { return self }
    var wide: [UInt8] = []
    wide.reserveCapacity(2 * bytes.count)
    for index in stride(from: 0, to: bytes.count, by: 2) {
      wide += [0, 0, bytes[index], bytes[index + 1]]
    }
    return StoredTensor(name: name, type: .float32, shape: shape, bytes: wide)
  }
}
