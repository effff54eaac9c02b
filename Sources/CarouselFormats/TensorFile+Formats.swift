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
    if isOldPyTorch(head) { return try oldPyTorch(file, limits: limits) }
    // A pickle of protocol 2 to 5; a header of that many bytes would have begun above.
    if head.count > 2, head[0] == 0x80, 2...5 ~= head[1], head[2] != 0 {
      throw FileDamage(
        "expected a safetensors file, or a PyTorch file that torch.save wrote, found a bare pickle, of "
          + "which nothing is executed")
    }
    if let format = TensorFile.Format(endingOf: file.path), format != .safetensors {
      throw FileDamage(
        "expected an array of NumPy's or a zip archive of such, found "
          + (head.isEmpty ? "an empty file" : "neither's first bytes"))
    }
    return try safetensors(file, limits: limits)
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
