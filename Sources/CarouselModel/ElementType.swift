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
  /// What holds every element of this type in a `Tensor`: Float32 where that does, else Float64.
  package var hostType: ElementType {
    switch self {
    case .float64, .int64, .int32, .uint64, .uint32: .float64
    case .float32, .float16, .bfloat16, .int16, .int8, .uint16, .uint8, .bool: .float32
    }
  }
}
