import CarouselModel

extension TensorFile.Contents {
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
