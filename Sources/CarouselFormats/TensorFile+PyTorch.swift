import CarouselModel

extension TensorFile.Contents {
  /// What a zip archive begins with.
  private static let zipMark: [UInt8] = [0x50, 0x4B, 3, 4]
  /// The most bytes of a pickle: some 200,000 tensors.
  private static let pickleLimit = 1 << 25

  /// The tensors of a file that PyTorch or safetensors wrote.
  static func any(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    let head = try file.bytes(at: 0, count: min(file.byteCount, 9))
    // A header of safetensors begins behind its length.
    if head.starts(with: zipMark), head.last != UInt8(ascii: "{") {
      return try pyTorch(file, limits: limits)
    }
    // The number that PyTorch's older form begins with, as a pickle of protocol 2 to 5.
    if head.count > 4, head[0] == 0x80, head[2...].starts(with: [0x8A, 0x0A]) {
      throw FileDamage(
        "expected a safetensors file, or a PyTorch file in the zip form that torch.save writes, found "
          + "one in the form from before PyTorch 1.6")
    }
    return try safetensors(file, limits: limits)
  }

  /// The tensors of an archive that `torch.save` wrote, under the keys that lead to them.
  private static func pyTorch(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    let archive = try ZipDirectory(file)
    guard let pickleName = archive.names.filter({ $0.hasSuffix("/data.pkl") }).min(),
      let place = try archive.bytes(of: pickleName, in: file)
    else { throw FileDamage("expected a PyTorch file, found a zip archive without 'data.pkl'") }
    guard place.count <= pickleLimit else {
      throw FileDamage(
        "expected a pickle of at most \(pickleLimit) bytes, found one of \(place.count)")
    }
    let folder = pickleName.dropLast("data.pkl".count)
    if let order = try archive.bytes(of: folder + "byteorder", in: file) {
      guard order.count == 6, try file.bytes(at: order.lowerBound, count: 6) == Array("little".utf8)
      else { throw FileDamage("expected little-endian numbers, found another order of bytes") }
    }
    var pickle = Pickle(try file.bytes(at: place.lowerBound, count: place.count))
    var builder = PyTorchTensors()
    let root = try pickle.run(&builder)
    let views = try builder.named(root, in: pickle, limit: limits.tensorCount)
    var names: Set<String> = []
    var storages: [String: Range<Int>] = [:]
    let entries = try views.map { name, view in
      guard names.insert(name).inserted else {
        throw FileDamage("two tensors are named '\(name)'")
      }
      let (storage, type) = (view.storage, view.storage.type)
      let path = folder + "data/" + storage.key
      guard let bytes = try storages[path] ?? archive.bytes(of: path, in: file) else {
        throw FileDamage("expected '\(path)' in the zip archive, found none")
      }
      storages[path] = bytes
      guard storage.elementCount <= bytes.count / type.width else {
        throw FileDamage(
          "expected \(storage.elementCount) elements of \(type.width) bytes in '\(path)' of the zip "
            + "archive, found \(bytes.count) bytes")
      }
      return TensorFile.Entry(
        name: name, type: type.name, elementType: ElementType(rawValue: type.name),
        shape: view.shape,
        offset: bytes.lowerBound + (view.shape.count == 0 ? 0 : view.offset * type.width),
        strides: view.strides)
    }
    return TensorFile.Contents(entries: entries)
  }
}
