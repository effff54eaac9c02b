/// What the elements of a tensor of a graph are.
///
/// Every backend computes with its own floating-point type: whole numbers and truth values (1 and 0) are
/// stored in it too, exact up to 2²⁴ on a device. What is known before anything runs, such as shapes, is
/// computed on the host, exact up to 2⁵³. The type says what an operator does with the numbers (a division
/// of whole numbers drops the remainder) and what a file calls them.
public enum GraphType: String, Hashable, Sendable, Codable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case bool = "BOOL"

  /// Whether the elements are floating-point numbers.
  public var isReal: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    case .int64, .int32, .int16, .int8, .uint8, .bool: false
    }
  }

  /// Whether the elements are whole numbers; truth values are not.
  public var isWhole: Bool { !isReal && self != .bool }

  /// The numbers that an element may be; nil for floating-point numbers.
  var range: ClosedRange<Double>? {
    switch self {
    case .float64, .float32, .float16, .bfloat16: nil
    case .int64: -0x1p53...0x1p53
    case .int32: -0x1p31...0x1p31 - 1
    case .int16: -32768...32767
    case .int8: -128...127
    case .uint8: 0...255
    case .bool: 0...1
    }
  }
}

/// A tensor on the host with its type: what a graph is given, holds as a constant, or gives back.
public struct GraphTensor: Equatable, Sendable {
  /// What the elements are.
  public var type: GraphType
  /// The shape and the elements.
  public var tensor: Tensor

  /// Makes a tensor of a type; Float32 where none is given.
  public init(_ tensor: Tensor, type: GraphType = .float32) {
    self.type = type
    self.tensor = tensor
  }

  /// Makes a list of whole numbers, `[values.count]`.
  public init(wholeNumbers values: [Int], type: GraphType = .int64) {
    self.init(Tensor([values.count], values.map(Double.init)), type: type)
  }

  /// Makes a scalar.
  public init(scalar value: Double, type: GraphType = .float32) {
    self.init(Tensor([], [value]), type: type)
  }

  /// The extents, outermost first.
  public var shape: Shape { tensor.shape }
  /// The elements, row-major.
  public var values: [Double] { tensor.values }
}

/// The extent of an input along one dimension, as far as it is known before a graph is bound.
public enum Dimension: Hashable, Sendable, Codable, ExpressibleByIntegerLiteral,
  ExpressibleByStringLiteral, CustomStringConvertible
{
  /// Always this many.
  case fixed(Int)
  /// Any number, the same wherever the name stands: `T`, `N`, `batch_size`.
  case symbol(String)
  /// Any number.
  case unknown

  /// A fixed extent.
  public init(integerLiteral value: Int) { self = .fixed(value) }
  /// A named extent.
  public init(stringLiteral value: String) { self = .symbol(value) }

  /// The extent, its name, or `?`.
  public var description: String {
    switch self {
    case .fixed(let extent): "\(extent)"
    case .symbol(let name): name
    case .unknown: "?"
    }
  }
}
