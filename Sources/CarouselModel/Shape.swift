/// The extent of a tensor along each dimension, outermost first (row-major).
///
/// `[T, N, C]` is written `[steps, batchSize, inputSize]`.
public struct Shape: Hashable, Sendable, Codable, ExpressibleByArrayLiteral,
  CustomStringConvertible
{
  /// The extents, outermost first, each at least 0.
  public let dimensions: [Int]

  /// Makes a shape from its extents; throws where one is negative or their product does not fit an Int.
  public init(dimensions: [Int]) throws(CarouselError) {
    guard dimensions.allSatisfy({ $0 >= 0 }), Self.count(of: dimensions) != nil else {
      throw CarouselError(
        .usage,
        "a shape's extents must be at least 0 and their product an Int, but they are \(dimensions)")
    }
    self.init(dimensions)
  }

  /// The same where the extents are known to be good.
  package init(_ dimensions: [Int]) {
    precondition(dimensions.allSatisfy { $0 >= 0 }, "a dimension is negative: \(dimensions)")
    self.dimensions = dimensions
  }

  /// The product of extents, none of which may be negative; nil where that of those above 0 does not fit an
  /// Int, though another be 0.
  ///
  /// The one place where sizes that come from outside are multiplied. Strides, which are products of some extents,
  /// fit then too, from whatever end they are counted.
  public static func count(of dimensions: [Int]) -> Int? {
    var result = 1
    for extent in dimensions where extent != 0 {
      let (product, overflow) = result.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
      result = product
    }
    return dimensions.contains(0) ? 0 : result
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
