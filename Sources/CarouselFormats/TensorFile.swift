import CarouselModel

/// An open file of named tensors, each of which is read when it is asked for.
///
/// Opening it reads names, types, shapes and metadata alone. A tensor that is not asked for costs
/// nothing and may be of any type.
public final class TensorFile: Sendable {
  /// What is known of a tensor before it is read.
  public struct Entry: Sendable {
    /// The tensor's name.
    public let name: String
    /// The element type as the file calls it.
    public let type: String
    /// The element type where it is one that is read.
    public let elementType: ElementType?
    /// The extents, outermost first.
    public let shape: Shape
    /// The byte of the file at which the first element begins.
    var offset: Int
    /// The elements from one index to the next in each dimension.
    let strides: [Int]
    /// What holds the bytes, where it is not the file itself.
    var source: (any TensorSource)?
    /// Whether each element's first byte is its most significant.
    var isBigEndian = false
  }

  /// What a format's reader finds in a file.
  struct Contents {
    /// What the file is.
    var format: Format
    /// The tensors; no two share a name.
    var entries: [Entry]
    var metadata: [String: String] = [:]
  }

  /// The kinds of files that hold tensors.
  public enum Format: String, Sendable, Codable, CaseIterable {
    /// Names, types and shapes in a JSON header, then the elements.
    case safetensors
    /// The zip archive that PyTorch's `torch.save` writes.
    case pyTorch = "pytorch"
    /// One array of NumPy's.
    case npy
    /// A zip archive of NumPy's arrays.
    case npz
    /// A model with its initializers.
    case onnx
  }

  /// The path as it was given; begins every sentence about the file.
  public var path: String { file.path }
  /// What kind of file it is.
  public let format: Format
  /// The tensors in the order of their data.
  public let entries: [Entry]
  /// What the file says about itself.
  public let metadata: [String: String]
  private let file: InputFile
  private let indices: [String: Int]

  /// Opens a file of any `Format`.
  ///
  /// The tensors of a PyTorch file are named by the keys that lead to them, with dots between. Nothing in
  /// its pickle is executed, and a pickle that asks for more than tensors is refused. The array of an
  /// `.npy` file is named as the file is, without its ending. What an `.npz` file packs is unpacked at once.
  ///
  /// Throws `missingInput` where the file is not there or not readable, and `badData` where its header
  /// is not as the format wants it, or larger than its limits. Nothing is allocated for data that the
  /// file does not have.
  public convenience init(_ path: String) throws(CarouselError) {
    try self.init(path, limits: SafetensorsHeader.Limits())
  }

  /// Takes tensors that were made of those of a file, with their names.
  ///
  /// Throws as `init(_:)` does where the file is not there.
  package init(
    _ path: String, format: Format, holding tensors: [String: Tensor], metadata: [String: String]
  ) throws(CarouselError) {
    file = try InputFile(path)
    self.format = format
    self.metadata = metadata
    entries = tensors.sorted { $0.key < $1.key }.map { name, tensor in
      let type = tensor.elementType
      var bytes: [UInt8] = []
      bytes.append(tensor.values, as: type)
      return Entry(
        name: name, type: type.rawValue, elementType: type, shape: tensor.shape, offset: 0,
        strides: tensor.shape.contiguousStrides, source: MemorySource(path: path, bytes: bytes))
    }
    indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
  }

  init(_ path: String, limits: SafetensorsHeader.Limits) throws(CarouselError) {
    let file = try InputFile(path)
    let contents = try FileDamage.said(of: path) { try Contents.any(file, limits: limits) }
    self.file = file
    format = contents.format
    entries = contents.entries
    metadata = contents.metadata
    indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
  }

  /// What is known of the tensor of this name; nil where there is none.
  public subscript(name: String) -> Entry? { indices[name].map { entries[$0] } }

  /// Reads the tensor of this name; nil where there is none.
  ///
  /// Throws as for its entry.
  public func tensor(_ name: String) throws(CarouselError) -> Tensor? {
    guard let entry = self[name] else { return nil }
    return try tensor(entry)
  }

  /// Reads a tensor: each element becomes the Float32 of the same value where Float32 holds its type, else
  /// the Float64, NaN and infinities included.
  ///
  /// Throws `badData` where its elements are of a type that is not read, where it needs more memory
  /// than there is, holds a whole number beyond 2^53, or where the file has become shorter.
  public func tensor(_ entry: Entry) throws(CarouselError) -> Tensor {
    guard let type = entry.elementType else {
      let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
      throw CarouselError(
        .badData,
        "\(path): the tensor '\(entry.name)' has the dtype '\(entry.type)', expected one of \(known)"
      )
    }
    let source: any TensorSource = entry.source ?? file
    try requireRoom(for: entry, width: type.hostType.byteCount)
    let isContiguous = entry.isContiguous
    let elements = try source.elements(
      type, at: entry.offset, count: isContiguous ? entry.shape.count : entry.span,
      isBigEndian: entry.isBigEndian, of: entry.name)
    if isContiguous { return Tensor(entry.shape, elements) }
    let places = entry.places
    return switch elements {
    case .float32(let floats): Tensor(entry.shape, .float32(places.map { floats[$0] }))
    case .float64(let doubles): Tensor(entry.shape, .float64(places.map { doubles[$0] }))
    }
  }

  /// Reads a tensor's bytes, row-major and little-endian, whatever order the file has them in.
  ///
  /// Throws as `tensor` does, but for no value: all are kept as they are.
  func bytes(_ entry: Entry, width: Int) throws(CarouselError) -> [UInt8] {
    let source: any TensorSource = entry.source ?? file
    try requireRoom(for: entry, width: width)
    let isContiguous = entry.isContiguous
    let count = (isContiguous ? entry.shape.count : entry.span) * width
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(CarouselError) in
        try source.read(into: buffer, at: entry.offset)
        if entry.isBigEndian { buffer.reverseEach(width) }
      }
    }.get()
    if isContiguous { return bytes }
    return entry.places.flatMap { bytes[($0 * width)..<(($0 + 1) * width)] }
  }

  /// Throws where there is no memory for elements of `width` bytes, and for other strides the elements
  /// that lie between too, and their places.
  private func requireRoom(for entry: Entry, width: Int) throws(CarouselError) {
    let isContiguous = entry.isContiguous
    let (needed, overflow) =
      (Shape.count(of: [isContiguous ? width : width + 8] + entry.shape.dimensions) ?? .max)
      .addingReportingOverflow(
        isContiguous ? 0 : width * min(entry.span, (entry.source ?? file).byteCount))
    try HostMemory.require(
      overflow ? .max : needed, for: "the tensor '\(entry.name)' of shape \(entry.shape)", of: path)
  }
}

extension TensorFile.Entry {
  /// Whether the elements lie one behind the other.
  fileprivate var isContiguous: Bool {
    var stride = 1
    for (extent, found) in zip(shape.dimensions, strides).reversed() where extent != 1 {
      if extent > 0, found != stride { return false }
      stride *= extent
    }
    return true
  }

  /// Where each element lies, counted from the first, row-major.
  fileprivate var places: [Int] {
    zip(shape.dimensions, strides).reduce([0]) { places, dimension in
      places.flatMap { place in (0..<dimension.0).map { place + $0 * dimension.1 } }
    }
  }

  /// The elements from the first to the last, what lies between them included.
  fileprivate var span: Int {
    zip(shape.dimensions, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
  }
}

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

extension TensorFile.Format {
  /// The formats that are written, and how the names of such files end.
  public static let endings: [(ending: String, format: TensorFile.Format)] = [
    (".safetensors", .safetensors), (".npz", .npz), (".npy", .npy),
  ]

  /// What the ending of a name says; nil for any other.
  public init?(endingOf path: String) {
    guard let found = Self.endings.first(where: { path.lowercased().hasSuffix($0.ending) }) else {
      return nil
    }
    self = found.format
  }

  /// Writes tensors in the format; throws where it is none that is written, or takes one tensor alone.
  package func write(
    _ tensors: [StoredTensor], metadata: [String: String] = [:], to path: String
  ) throws(CarouselError) {
    switch self {
    case .safetensors: try SafetensorsFile.write(tensors, metadata: metadata, to: path)
    case .npz: try NumPyFile.write(tensors, to: path)
    case .npy:
      guard tensors.count == 1 else {
        throw CarouselError(
          .usage,
          "\(path): expected one tensor, found \(tensors.map(\.name).joined(separator: ", ")); .npz holds several"
        )
      }
      try NumPyFile.write(tensors[0], to: path)
    case .pyTorch, .onnx:
      throw CarouselError(.usage, "\(path): tensors are not written as \(rawValue)")
    }
  }
}
