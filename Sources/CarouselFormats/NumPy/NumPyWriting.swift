import CarouselModel

/// Writes tensors as NumPy's arrays; nothing half-written is left under the name.
public enum NumPyFile {
  /// Writes one tensor as `.npy`; throws `writeFailed`.
  ///
  /// BFloat16, which NumPy does not have, becomes Float32, as in an archive.
  public static func write(_ tensor: StoredTensor, to path: String) throws(CarouselError) {
    try AtomicFile.write(try bytes(tensor.inNumPyType, path: path), to: path)
  }

  /// Writes tensors as an archive, `.npz`, nothing packed, by their names.
  ///
  /// Throws `writeFailed`, and a usage error where the archive would need more than 4 GB, where two
  /// tensors share a name, or a name has more than 65,000 bytes.
  public static func write(
    _ tensors: [StoredTensor], to path: String
  ) throws(CarouselError) {
    var (archive, directory): ([UInt8], [UInt8]) = ([], [])
    var names: Set<String> = []
    for tensor in tensors {
      let name = Array((tensor.name + ".npy").utf8)
      guard names.insert(tensor.name).inserted, name.count <= 65000 else {
        throw CarouselError(
          .usage,
          "\(path): the name '\(tensor.name)' is taken or too long and cannot be that of an array")
      }
      let bytes = try bytes(tensor.inNumPyType, path: path)
      guard archive.count + directory.count + bytes.count + 2 * name.count < 1 << 32 - 1 << 16,
        names.count < 65535
      else {
        throw CarouselError(.usage, "\(path): an archive holds at most 4 GB and 65,534 arrays")
      }
      let offset = UInt32(archive.count)
      // What both headers have: version, flags (names in UTF-8), stored, 1980-01-01, checksum, sizes.
      var fields: [UInt8] = [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0]
      fields.append(littleEndian: CRC32.ieee.value(of: bytes))
      for _ in 0..<2 { fields.append(littleEndian: UInt32(bytes.count)) }
      fields.append(littleEndian: UInt16(name.count))
      fields.append(littleEndian: UInt16(0))
      archive += [0x50, 0x4B, 3, 4] + fields + name + bytes
      directory += [0x50, 0x4B, 1, 2, 20, 0] + fields + [UInt8](repeating: 0, count: 10)
      directory.append(littleEndian: offset)
      directory += name
    }
    let start = UInt32(archive.count)
    archive += directory + [0x50, 0x4B, 5, 6, 0, 0, 0, 0]
    for _ in 0..<2 { archive.append(littleEndian: UInt16(tensors.count)) }
    archive.append(littleEndian: UInt32(directory.count))
    archive.append(littleEndian: start)
    archive += [0, 0]
    try AtomicFile.write(archive, to: path)
  }

  private static func bytes(
    _ tensor: StoredTensor, path: String
  ) throws(CarouselError) -> [UInt8] {
    guard let header = NumPyHeader.bytes(type: tensor.type, shape: tensor.shape) else {
      throw CarouselError(
        .usage,
        "\(path): the tensor '\(tensor.name)' of type \(tensor.type.rawValue) and shape "
          + "\(tensor.shape) cannot be one of NumPy's arrays")
    }
    return header + tensor.bytes
  }
}
