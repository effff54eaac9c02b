/// A tensor in host memory: a shape and its elements, row-major.
///
/// Its elements are Float32 or Float64, as they came: the weights of a file and what a device computed stay
/// Float32, the numbers of the reference stay Float64. Two tensors are equal where their shapes and values
/// are, however they are stored.
///
/// ```swift
/// let weight = try Tensor(shape: [2, 2], floats: [1, 0, 0, 1])
/// print(weight.elementType, weight[3], weight.values)  // float32 1.0 [1.0, 0.0, 0.0, 1.0]
/// ```
public struct Tensor: Sendable {
  /// The extents, outermost first.
  public let shape: Shape
  /// The elements, row-major and as they are stored; as many as the shape has.
  public internal(set) var elements: Elements

  /// Elements as they are stored.
  public enum Elements: Sendable {
    /// Float32, which holds every Float16, BFloat16 and whole number of 16 bits exactly.
    case float32([Float])
    /// Float64, which holds every Float32 and every whole number up to 2⁵³ exactly.
    case float64([Double])
  }

  /// Makes a tensor of Float64 elements, row-major; throws where there are more or fewer than the shape has.
  public init(shape: Shape, values: [Double]) throws(CarouselError) {
    try self.init(shape: shape, elements: .float64(values))
  }

  /// Makes a tensor of Float32 elements, row-major; throws where there are more or fewer than the shape has.
  public init(shape: Shape, floats: [Float]) throws(CarouselError) {
    try self.init(shape: shape, elements: .float32(floats))
  }

  /// Makes a tensor of elements, row-major; throws where there are more or fewer than the shape has.
  public init(shape: Shape, elements: Elements) throws(CarouselError) {
    guard elements.count == shape.count else {
      throw CarouselError(
        .usage,
        "a tensor of shape \(shape) has \(shape.count) elements, but was given \(elements.count)")
    }
    self.init(shape, elements)
  }

  /// The same where the sizes are known to agree.
  package init(_ shape: Shape, _ elements: Elements) {
    precondition(elements.count == shape.count, "\(elements.count) elements for shape \(shape)")
    self.shape = shape
    self.elements = elements
  }

  /// The same of Float64 elements.
  package init(_ shape: Shape, _ values: [Double]) { self.init(shape, .float64(values)) }

  /// Makes a tensor of Float32 zeros.
  package init(zeros shape: Shape) {
    self.init(shape, .float32([Float](repeating: 0, count: shape.count)))
  }

  /// `.float32` or `.float64`.
  public var elementType: ElementType {
    switch elements {
    case .float32: .float32
    case .float64: .float64
    }
  }

  /// The elements as Doubles of the same values.
  ///
  /// They are converted where the elements are Float32: ask once, not in a loop.
  public var values: [Double] {
    switch elements {
    case .float32(let floats): floats.map(Double.init)
    case .float64(let doubles): doubles
    }
  }

  /// The element at a row-major index; one that is set is rounded to the tensor's type.
  public subscript(index: Int) -> Double {
    get {
      switch elements {
      case .float32(let floats): Double(floats[index])
      case .float64(let doubles): doubles[index]
      }
    }
    set { fill(index..<index + 1, with: newValue) }
  }
}

extension Tensor: Equatable {
  /// Whether shapes and values are the same; NaN equals nothing.
  public static func == (a: Tensor, b: Tensor) -> Bool {
    guard a.shape == b.shape else { return false }
    return switch (a.elements, b.elements) {
    case (.float32(let a), .float32(let b)): a == b
    case (.float64(let a), .float64(let b)): a == b
    case (.float32(let floats), .float64(let doubles)),
      (.float64(let doubles), .float32(let floats)):
      zip(floats, doubles).allSatisfy { Double($0) == $1 }
    }
  }
}

extension Tensor.Elements {
  /// How many there are.
  public var count: Int {
    switch self {
    case .float32(let floats): floats.count
    case .float64(let doubles): doubles.count
    }
  }

  /// Those that lie one behind the other in memory, Float64 or else Float32.
  package init(_ bytes: UnsafeRawBufferPointer, as type: ElementType) {
    func array<Value: BitwiseCopyable>(_: Value.Type) -> [Value] {
      let count = bytes.count / MemoryLayout<Value>.stride
      return [Value](unsafeUninitializedCapacity: count) { values, filled in
        UnsafeMutableRawBufferPointer(values).copyMemory(from: bytes)
        filled = count
      }
    }
    self = type == .float64 ? .float64(array(Double.self)) : .float32(array(Float.self))
  }

  /// Calls `body` with the elements as they lie in memory.
  package func withUnsafeBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    switch self {
    case .float32(let floats): try floats.withUnsafeBytes(body)
    case .float64(let doubles): try doubles.withUnsafeBytes(body)
    }
  }
}

extension Tensor {
  /// A tensor of the elements in ranges of row-major indices, one range behind the other.
  package func gathering(_ ranges: some Sequence<Range<Int>>, as shape: Shape) -> Tensor {
    func gathered<Element>(_ elements: [Element]) -> [Element] {
      var result: [Element] = []
      result.reserveCapacity(shape.count)
      for range in ranges { result += elements[range] }
      return result
    }
    return switch elements {
    case .float32(let floats): Tensor(shape, .float32(gathered(floats)))
    case .float64(let doubles): Tensor(shape, .float64(gathered(doubles)))
    }
  }

  /// The part at one index of the outermost dimension, of one dimension less.
  package func part(_ index: Int) -> Tensor {
    let part = Shape(Array(shape.dimensions.dropFirst()))
    return gathering(CollectionOfOne(index * part.count..<(index + 1) * part.count), as: part)
  }

  /// A tensor of the elements of several, one behind the other; Float32 where all of them are.
  package init(joining parts: [Tensor], as shape: Shape) {
    let floats = parts.compactMap { part in
      if case .float32(let floats) = part.elements { floats } else { nil }
    }
    self.init(
      shape,
      floats.count == parts.count
        ? .float32(Array(floats.joined())) : .float64(parts.flatMap(\.values)))
  }

  /// Sets the elements in a range of row-major indices to `value`, rounded to the tensor's type.
  package mutating func fill(_ range: Range<Int>, with value: Double) {
    // The array leaves the tensor meanwhile, so that it has one owner and is changed in place.
    switch elements {
    case .float32(var floats):
      elements = .float32([])
      for index in range { floats[index] = Float(value) }
      elements = .float32(floats)
    case .float64(var doubles):
      elements = .float64([])
      for index in range { doubles[index] = value }
      elements = .float64(doubles)
    }
  }

  /// The index of the first element that is not finite in `type`; nil where there is none.
  package func firstNonFinite(in type: ElementType) -> Int? {
    switch elements {
    case .float32(let floats): floats.firstIndex { !$0.isFinite }
    case .float64(let doubles):
      type == .float32
        ? doubles.firstIndex { !Float($0).isFinite } : doubles.firstIndex { !$0.isFinite }
    }
  }

  /// How many elements are not finite in Float32.
  package var nonFiniteCount: Int {
    switch elements {
    case .float32(let floats): floats.count { !$0.isFinite }
    case .float64(let doubles): doubles.count { !Float($0).isFinite }
    }
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

  /// What holds every element of this type in a `Tensor`: Float32 where that does, else Float64.
  package var hostType: ElementType {
    switch self {
    case .float64, .int64, .int32, .uint64, .uint32: .float64
    case .float32, .float16, .bfloat16, .int16, .int8, .uint16, .uint8, .bool: .float32
    }
  }
}
