import CarouselModel

extension TensorFile.Contents {
  /// What a zip archive begins with, and what an array of NumPy's does.
  private static let zipMark: [UInt8] = [0x50, 0x4B, 3, 4], arrayMark = [0x93] + Array("NUMPY".utf8)

  /// The tensors of a file of any format, which its first bytes tell.
  static func any(
    _ file: InputFile, limits: SafetensorsHeader.Limits
  ) throws -> TensorFile.Contents {
    let head = try file.bytes(at: 0, count: min(file.byteCount, 9))
    // A header of safetensors begins behind its length.
    if head.count == 9, head.last == UInt8(ascii: "{") {
      return try safetensors(file, limits: limits)
    }
    if head.starts(with: zipMark) {
      let archive = try ZipDirectory(file)
      return archive.names.contains { $0.hasSuffix(".npy") }
        && !archive.names.contains { $0.hasSuffix("/data.pkl") }
        ? try npz(file, archive) : try pyTorch(file, archive, limits: limits)
    }
    if head.starts(with: arrayMark) { return try npy(file) }
    if ONNXFile.isLikely(head, path: file.path) {
      return try ONNXFile(file).contents()
    }
    // The number that PyTorch's older form begins with, as a pickle of protocol 2 to 5.
    if head.count > 4, head[0] == 0x80, head[2...].starts(with: [0x8A, 0x0A]) {
      throw FileDamage(
        "expected a safetensors file, or a PyTorch file in the zip form that torch.save writes, found "
          + "one in the form from before PyTorch 1.6")
    }
    return try safetensors(file, limits: limits)
  }

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

  /// The array of a `.npy` file, named as the file is.
  static func npy(_ file: InputFile) throws -> TensorFile.Contents {
    let base = file.path.split(separator: "/").last.map(String.init) ?? file.path
    let name = base.hasSuffix(".npy") ? String(base.dropLast(4)) : base
    let entry = try entry(
      name, in: file, at: 0..<file.byteCount, subject: "the array", isOfFile: true)
    return TensorFile.Contents(format: .npy, entries: [entry])
  }

  /// The arrays of an archive, by their names without `.npy`.
  static func npz(_ file: InputFile, _ archive: ZipDirectory) throws -> TensorFile.Contents {
    var entries: [TensorFile.Entry] = []
    for member in archive.names.sorted() where member.hasSuffix(".npy") {
      guard let (source, place) = try archive.contents(of: member, in: file) else { continue }
      entries.append(
        try entry(
          String(member.dropLast(4)), in: source, at: place,
          subject: "the array '\(member)'", isOfFile: source is InputFile))
    }
    entries.sort { ($0.offset, $0.name) < ($1.offset, $1.name) }
    return TensorFile.Contents(format: .npz, entries: entries)
  }

  private static func entry(
    _ name: String, in source: any TensorSource, at place: Range<Int>, subject: String,
    isOfFile: Bool
  ) throws -> TensorFile.Entry {
    let header = try NumPyHeader(source, at: place.lowerBound, subject: subject)
    let rest = place.count - header.byteCount
    if let type = header.elementType {
      let needed = Shape.count(of: [type.byteCount] + header.shape.dimensions)
      guard let needed, needed <= rest else {
        throw FileDamage(
          "\(subject) of shape \(header.shape) and type \(header.type) needs "
            + "\(needed.map(String.init) ?? "too many") bytes, found \(rest)")
      }
    }
    return TensorFile.Entry(
      name: name, type: header.type, elementType: header.elementType, shape: header.shape,
      offset: place.lowerBound + header.byteCount, strides: header.strides,
      source: isOfFile ? nil : source, isBigEndian: header.isBigEndian)
  }
}
