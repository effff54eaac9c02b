/// A tensor in host memory: a shape and its elements, row-major.
///
/// Elements are Float64, which holds every Float32, Float16 and BFloat16 value exactly, so that one
/// host type serves the device (Float32) and the reference (Float64) without loss.
public struct Tensor: Equatable, Sendable {
  /// The extents, outermost first.
  public let shape: Shape
  /// The elements, row-major; `values.count == shape.count`.
  public var values: [Double]

  /// Makes a tensor from its elements, row-major; throws where there are more or fewer than the shape has.
  public init(shape: Shape, values: [Double]) throws(CarouselError) {
    guard values.count == shape.count else {
      throw CarouselError(
        .usage,
        "a tensor of shape \(shape) has \(shape.count) elements, but was given \(values.count)")
    }
    self.init(shape, values)
  }

  /// The same where the sizes are known to agree.
  package init(_ shape: Shape, _ values: [Double]) {
    precondition(values.count == shape.count, "\(values.count) values for shape \(shape)")
    self.shape = shape
    self.values = values
  }

  /// Makes a tensor of zeros.
  package init(zeros shape: Shape) {
    self.init(shape, [Double](repeating: 0, count: shape.count))
  }
}

/// How a backend or a file stores the elements of a tensor.
public enum ElementType: String, Sendable, Codable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint64 = "U64"
  case uint32 = "U32"
  case uint16 = "U16"
  case uint8 = "U8"
  /// A byte that is 0 or 1.
  case bool = "BOOL"

  /// The bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64, .uint64: 8
    case .float32, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .int8, .uint8, .bool: 1
    }
  }
}
