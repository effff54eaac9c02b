import CarouselModel

// What `torch.save` writes: a pickle that says which elements of which storages the tensors are, and the storages.
extension TensorFile.Contents {
  /// The most bytes of a pickle: some 200,000 tensors.
  private static let pickleLimit = 1 << 25

  /// Whether a file begins as the form from before PyTorch 1.6 does: with a pickle of the number
  /// 0x1950A86A20F9469CFC6C.
  static func isOldPyTorch(_ head: [UInt8]) -> Bool {
    head.count > 2 && head[0] == 0x80
      && head[2...].starts(with: [0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9])
  }

  /// The tensors of an archive, under the keys that lead to them.
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
    var storages: [String: Range<Int>] = [:]
    return try contents(of: views) { key in
      let path = folder + "data/" + key
      guard let bytes = try storages[path] ?? archive.bytes(of: path, in: file) else {
        throw FileDamage("expected '\(path)' in the zip archive, found none")
      }
      storages[path] = bytes
      return bytes
    }
  }

  /// The tensors of the form from before PyTorch 1.6: pickles of a number, a version, the machine, the
  /// tensors and the keys of their storages, then of each storage how many elements it has, and these.
  static func oldPyTorch(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    var position = 0
    func next(_ builder: inout PyTorchTensors, most: Int) throws -> (Pickle.Value, Pickle) {
      let count = min(most, file.byteCount - position)
      var pickle = Pickle(try file.bytes(at: position, count: count))
      let value = try pickle.run(&builder)
      position += pickle.position
      return (value, pickle)
    }
    var builder = PyTorchTensors()
    for _ in 0..<2 { _ = try next(&builder, most: 1024) }
    let (machine, described) = try next(&builder, most: 1024)
    guard described.isTrue("little_endian", of: machine) else {
      throw FileDamage("expected little-endian numbers, found another order of bytes")
    }
    let (root, pickle) = try next(&builder, most: pickleLimit)
    let views = try builder.named(root, in: pickle, limit: limits.tensorCount)
    let (keys, list) = try next(&builder, most: pickleLimit)
    let widths = builder.storageWidths
    var storages: [String: Range<Int>] = [:]
    for key in list.items(keys) ?? [] {
      guard case .text(let key) = key, let width = widths[key] else {
        throw FileDamage("the file has a storage that no tensor looks at")
      }
      let subject = "the storage '\(key)'"
      var reader = try ByteReader(file, at: UInt64(position), count: 8, of: subject)
      let elements = try reader.read(Int64.self)
      position += 8
      guard elements >= 0, elements <= (file.byteCount - position) / width else {
        throw FileDamage(
          "\(subject) should have \(elements) elements of \(width) bytes, found the end of the file"
        )
      }
      storages[key] = position..<position + Int(elements) * width
      position += Int(elements) * width
    }
    return try contents(of: views) { key in
      guard let bytes = storages[key] else {
        throw FileDamage("expected the storage '\(key)', found none")
      }
      return bytes
    }
  }

  /// The tensors, for the place of each storage in the file.
  private static func contents(
    of views: [(String, PyTorchTensors.View)], storage place: (String) throws -> Range<Int>
  ) throws -> TensorFile.Contents {
    var names: Set<String> = []
    let entries = try views.map { name, view in
      guard names.insert(name).inserted else {
        throw FileDamage("two tensors are named '\(name)'")
      }
      let (storage, type) = (view.storage, view.storage.type)
      let bytes = try place(storage.key)
      guard storage.elementCount <= bytes.count / type.width else {
        throw FileDamage(
          "expected \(storage.elementCount) elements of \(type.width) bytes in the storage "
            + "'\(storage.key)', found \(bytes.count) bytes")
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
