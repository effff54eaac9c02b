/// The extent of a tensor along each dimension, outermost first (row-major).
///
/// `[T, N, C]` is written `[steps, batchSize, inputSize]`.
public struct Shape: Hashable, Sendable, Codable, ExpressibleByArrayLiteral,
  CustomStringConvertible
{
  /// The extents, outermost first, each at least 0.
  public let dimensions: [Int]

  /// Makes a shape from its extents, none of which may be negative.
  public init(_ dimensions: [Int]) {
    precondition(dimensions.allSatisfy { $0 >= 0 }, "a dimension is negative: \(dimensions)")
    self.dimensions = dimensions
  }

  /// Makes a shape from its extents.
  public init(arrayLiteral elements: Int...) { self.init(elements) }

  /// The number of elements: the product of the extents, 1 for a scalar.
  public var count: Int { dimensions.reduce(1, *) }

  /// The number of dimensions.
  public var rank: Int { dimensions.count }

  /// The extent along dimension `index`.
  public subscript(index: Int) -> Int { dimensions[index] }

  /// The shape as it is printed everywhere: `[50, 32, 128]`.
  public var description: String {
    "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
  }
}
