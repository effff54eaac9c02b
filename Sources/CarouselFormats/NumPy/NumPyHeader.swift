import CarouselModel

/// The header of one of NumPy's arrays: a mark, the version, a length, and a literal of a Python dict.
///
/// The literal is read, never evaluated. Source: NumPy's `numpy.lib.format`, versions 1 to 3.
struct NumPyHeader {
  /// The element type as safetensors calls it, or NumPy's own word for one that is not read.
  var type: String
  var elementType: ElementType?
  var isBigEndian = false
  /// Whether the first index moves fastest.
  var isFortran: Bool
  var shape: Shape
  /// The bytes before the elements.
  var byteCount: Int

  /// The most bytes of a header: NumPy itself refuses more than 10,000 unless it trusts the file.
  private static let limit = 1 << 16
  private static let types: [String: ElementType] = [
    "f8": .float64, "f4": .float32, "f2": .float16, "i8": .int64, "i4": .int32, "i2": .int16,
    "i1": .int8, "u8": .uint64, "u4": .uint32, "u2": .uint16, "u1": .uint8, "b1": .bool,
  ]

  /// Reads the header at byte `offset` of a source; `subject` names the array, for errors.
  init(_ source: any TensorSource, at offset: Int, subject: String) throws {
    let damage = FileDamage("\(subject) has a damaged header")
    func bytes(_ start: Int, _ count: Int) throws -> [UInt8] {
      guard count <= source.byteCount - start else { throw damage }
      var result = [UInt8](repeating: 0, count: count)
      try result.withUnsafeMutableBytes { try source.read(into: $0, at: start) }
      return result
    }
    let head = try bytes(offset, 8)
    guard head.starts(with: [0x93] + Array("NUMPY".utf8)) else {
      throw FileDamage("\(subject) does not begin as an array of NumPy's does")
    }
    guard 1...3 ~= head[6] else {
      throw FileDamage("\(subject) is of the version \(head[6]).\(head[7]), expected 1 to 3")
    }
    let width = head[6] == 1 ? 2 : 4
    let length = try bytes(offset + 8, width).reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= Self.limit else {
      throw FileDamage("\(subject) has a header of \(length) bytes, expected at most \(Self.limit)")
    }
    byteCount = 8 + width + length
    var literal = PythonLiteral(try bytes(offset + 8 + width, length))
    guard let fields = literal.dictionary(), case .text(let type)? = fields["descr"],
      case .flag(let isFortran)? = fields["fortran_order"],
      case .tuple(let extents)? = fields["shape"],
      fields.count == 3
    else {
      throw FileDamage(
        "\(subject) is not described by descr, fortran_order and shape alone, or has elements of "
          + "several parts")
    }
    guard extents.count <= 64, let shape = try? Shape(dimensions: extents) else {
      throw FileDamage("\(subject) has the shape \(extents), which is too large")
    }
    self.isFortran = isFortran
    self.shape = shape
    let order = type.first.map { "<>=|".contains($0) } == true ? type.first : nil
    isBigEndian = order == ">"
    elementType = Self.types[order == nil ? type : String(type.dropFirst())]
    self.type = elementType?.rawValue ?? type
  }

  /// The elements from one index to the next in each dimension.
  var strides: [Int] {
    guard isFortran else { return shape.contiguousStrides }
    var (result, stride) = ([Int](), 1)
    for extent in shape.dimensions {
      result.append(stride)
      stride = stride &* extent
    }
    return result
  }

  /// The bytes of a header before the elements of a row-major tensor, in version 1 where it fits.
  static func bytes(type: ElementType, shape: Shape) -> [UInt8]? {
    guard let word = types.first(where: { $0.value == type })?.key else { return nil }
    let order = type.byteCount == 1 ? "|" : "<"
    let extents = shape.dimensions.map { "\($0)," }.joined(separator: " ")
    let tuple = shape.rank > 1 ? String(extents.dropLast()) : extents
    var text = Array(
      "{'descr': '\(order)\(word)', 'fortran_order': False, 'shape': (\(tuple)), }".utf8)
    // The elements begin at a multiple of 64 bytes; the header ends with a line feed.
    text += [UInt8](repeating: UInt8(ascii: " "), count: 63 - (10 + text.count) % 64)
    text.append(UInt8(ascii: "\n"))
    guard text.count <= 65535 else { return nil }
    return [0x93] + Array("NUMPY".utf8)
      + [1, 0, UInt8(text.count & 255), UInt8(text.count >> 8)] + text
  }
}

/// The few literals of Python that a header holds.
private struct PythonLiteral {
  enum Value {
    case text(String)
    case flag(Bool)
    case tuple([Int])
  }

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// A dict of texts, truth values and tuples of whole numbers; nil for anything else.
  mutating func dictionary() -> [String: Value]? {
    var result: [String: Value] = [:]
    guard take("{") else { return nil }
    while !take("}") {
      guard let key = text(), take(":"), let value = value(),
        result.updateValue(value, forKey: key) == nil
      else { return nil }
      if !take(",") {
        guard take("}") else { return nil }
        break
      }
    }
    skipSpaces()
    return position == bytes.count ? result : nil
  }

  private mutating func value() -> Value? {
    if take("True") { return .flag(true) }
    if take("False") { return .flag(false) }
    if let text = text() { return .text(text) }
    guard take("(") else { return nil }
    var extents: [Int] = []
    while !take(")") {
      guard let number = number() else { return nil }
      extents.append(number)
      if !take(",") {
        guard take(")") else { return nil }
        break
      }
    }
    return .tuple(extents)
  }

  private mutating func skipSpaces() {
    while position < bytes.count, [0x20, 0x0A, 0x09, 0x0D].contains(bytes[position]) {
      position += 1
    }
  }

  private mutating func take(_ word: StaticString) -> Bool {
    skipSpaces()
    let word = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    guard bytes[position...].starts(with: word) else { return false }
    position += word.count
    return true
  }

  private mutating func text() -> String? {
    skipSpaces()
    guard position < bytes.count, [0x22, 0x27].contains(bytes[position]),
      let end = bytes[(position + 1)...].firstIndex(of: bytes[position])
    else { return nil }
    defer { position = end + 1 }
    let text = bytes[(position + 1)..<end]
    return text.contains(0x5C) ? nil : String(decoding: text, as: UTF8.self)
  }

  private mutating func number() -> Int? {
    skipSpaces()
    let digits = bytes[position...].prefix { 0x30...0x39 ~= $0 }
    position += digits.count
    // Python 2 wrote long numbers with an L behind them.
    if position < bytes.count, bytes[position] == UInt8(ascii: "L") { position += 1 }
    return Int(String(decoding: digits, as: UTF8.self))
  }
}
