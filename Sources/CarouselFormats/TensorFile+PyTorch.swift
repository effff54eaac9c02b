import CarouselModel

extension TensorFile.Contents {
  /// The most bytes of a pickle: some 200,000 tensors.
  private static let pickleLimit = 1 << 25

  /// The tensors of an archive that `torch.save` wrote, under the keys that lead to them.
  static func pyTorch(
    _ file: InputFile, _ archive: ZipDirectory, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
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
    return TensorFile.Contents(format: .pyTorch, entries: entries)
  }
}
