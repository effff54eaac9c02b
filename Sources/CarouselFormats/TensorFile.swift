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
    let offset: Int
    /// The elements from one index to the next in each dimension.
    let strides: [Int]
  }

  /// What a format's reader finds in a file.
  struct Contents {
    /// The tensors; no two share a name.
    var entries: [Entry]
    var metadata: [String: String] = [:]
  }

  /// The path as it was given; begins every sentence about the file.
  public var path: String { file.path }
  /// The tensors in the order of their data.
  public let entries: [Entry]
  /// What the file says about itself.
  public let metadata: [String: String]
  private let file: InputFile
  private let indices: [String: Int]

  /// Opens a safetensors file, or the zip archive that PyTorch's `torch.save` writes.
  ///
  /// The tensors of the latter are named by the keys that lead to them, with dots between. Nothing in
  /// its pickle is executed, and a pickle that asks for more than tensors is refused.
  ///
  /// Throws `missingInput` where the file is not there or not readable, and `badData` where its header
  /// is not as the format wants it, or larger than its limits. Nothing is allocated for data that the
  /// file does not have.
  public convenience init(_ path: String) throws(CarouselError) {
    try self.init(path, limits: SafetensorsHeader.Limits())
  }

  init(_ path: String, limits: SafetensorsHeader.Limits) throws(CarouselError) {
    file = try InputFile(path)
    do {
      let contents = try Contents.any(file, limits: limits)
      entries = contents.entries
      metadata = contents.metadata
    } catch let damage as FileDamage {
      throw CarouselError(.badData, "\(path): \(damage.sentence)")
    } catch let error as CarouselError {
      throw error
    } catch {
      preconditionFailure("an error of no known type: \(error)")
    }
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

  /// Reads a tensor: each element becomes the Double of the same value, NaN and infinities included.
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
    let subject = "the tensor '\(entry.name)' of shape \(entry.shape)"
    let isContiguous = entry.isContiguous
    // Float64; for other strides the elements that lie between too, and their places.
    let (needed, overflow) =
      (Shape.count(of: [isContiguous ? 8 : 16] + entry.shape.dimensions) ?? .max)
      .addingReportingOverflow(isContiguous ? 0 : 8 * min(entry.span, file.byteCount))
    try HostMemory.require(overflow ? .max : needed, for: subject, of: path)
    if isContiguous {
      return Tensor(
        entry.shape,
        try file.elements(type, at: entry.offset, count: entry.shape.count, of: entry.name))
    }
    let storage = try file.elements(type, at: entry.offset, count: entry.span, of: entry.name)
    let places = zip(entry.shape.dimensions, entry.strides).reduce([0]) { places, dimension in
      places.flatMap { place in (0..<dimension.0).map { place + $0 * dimension.1 } }
    }
    return Tensor(entry.shape, places.map { storage[$0] })
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

  /// The elements from the first to the last, what lies between them included.
  fileprivate var span: Int {
    zip(shape.dimensions, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
  }
}
