import CarouselModel

/// A model's message without the bytes of large tensors, which stay in the file.
///
/// The wire format is a sequence of fields, each a key (number and kind) and its content; messages are
/// fields with a length. This reads only as much as it has to look at, and puts a `Payload` in the place of
/// each large field of numbers.
struct ONNXSkeleton {
  /// The messages that are looked into, with the fields that hold others of them.
  private enum Message {
    case model, graph, node, attribute, tensor, sparseTensor, function, trainingInfo

    func child(_ field: UInt64) -> Message? {
      switch (self, field) {
      case (.model, 7): .graph
      case (.model, 20): .trainingInfo
      case (.model, 25): .function
      case (.trainingInfo, 1), (.trainingInfo, 2), (.attribute, 6), (.attribute, 11): .graph
      case (.graph, 1), (.function, 7): .node
      case (.graph, 5), (.attribute, 5), (.attribute, 10): .tensor
      case (.sparseTensor, 1), (.sparseTensor, 2): .tensor
      case (.graph, 15): .sparseTensor
      case (.node, 5), (.function, 11): .attribute
      default: nil
      }
    }
  }

  /// From how many bytes on a tensor's numbers stay in the file.
  private static let threshold = 1 << 12
  /// The most bytes of all that is not numbers.
  private static let limit = 1 << 28
  /// The deepest nesting of messages.
  private static let depthLimit = 90

  private let file: InputFile
  private var window: [UInt8] = []
  private var windowStart = 0
  private var kept = 0

  private init(_ file: InputFile) { self.file = file }

  /// The message's bytes; throws `FileDamage`, and where the file cannot be read.
  static func bytes(of file: InputFile) throws -> [UInt8] {
    var skeleton = ONNXSkeleton(file)
    return try skeleton.message(.model, 0..<file.byteCount, depth: 0)
  }

  private var damage: FileDamage {
    FileDamage("expected an ONNX file, found something else, or one that is damaged")
  }

  private mutating func message(
    _ kind: Message, _ range: Range<Int>, depth: Int
  ) throws -> [UInt8] {
    guard depth < Self.depthLimit else {
      throw FileDamage("the file nests its messages deeper than \(Self.depthLimit)")
    }
    var result: [UInt8] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let start = position
      let key = try number(&position, before: range.upperBound)
      let (field, wire) = (key >> 3, key & 7)
      switch wire {
      case 0: _ = try number(&position, before: range.upperBound)
      case 1: position += 8
      case 5: position += 4
      case 2:
        let count = try number(&position, before: range.upperBound)
        guard count <= UInt64(range.upperBound - position) else { throw damage }
        let content = position..<(position + Int(count))
        position = content.upperBound
        if content.count >= Self.threshold {
          if kind == .tensor, [4, 9, 10].contains(field) {
            append(field: .payload, message: payload(content, field: field), to: &result)
            continue
          }
          if let child = kind.child(field) {
            append(
              field: field, message: try message(child, content, depth: depth + 1), to: &result)
            continue
          }
        }
      default: throw damage
      }
      guard field > 0, position <= range.upperBound else { throw damage }
      try keep(position - start)
      result += try bytes(start..<position)
    }
    return result
  }

  private mutating func keep(_ count: Int) throws(FileDamage) {
    kept += count
    guard kept <= Self.limit else {
      throw FileDamage(
        "the file has more than \(Self.limit) bytes beside the numbers of its tensors")
    }
  }

  private func payload(_ range: Range<Int>, field: UInt64) -> [UInt8] {
    var result: [UInt8] = []
    for (number, value) in [(1, UInt64(range.lowerBound)), (2, UInt64(range.count)), (3, field)] {
      append(UInt64(number) << 3, to: &result)
      append(value, to: &result)
    }
    return result
  }

  private func append(field: UInt64, message: [UInt8], to result: inout [UInt8]) {
    append(field << 3 | 2, to: &result)
    append(UInt64(message.count), to: &result)
    result += message
  }

  private func append(_ number: UInt64, to result: inout [UInt8]) {
    var rest = number
    while rest >= 0x80 {
      result.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    result.append(UInt8(rest))
  }

  /// A number of seven bits a byte, the lowest first.
  private mutating func number(_ position: inout Int, before end: Int) throws -> UInt64 {
    var (result, shift) = (UInt64(0), UInt64(0))
    while position < end, shift < 64 {
      if position < windowStart || position >= windowStart + window.count {
        windowStart = position
        window = try file.bytes(at: position, count: min(1 << 16, file.byteCount - position))
      }
      let byte = window[position - windowStart]
      position += 1
      result |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return result }
      shift += 7
    }
    throw damage
  }

  private func bytes(_ range: Range<Int>) throws -> [UInt8] {
    if range.lowerBound >= windowStart, range.upperBound <= windowStart + window.count {
      return Array(window[(range.lowerBound - windowStart)..<(range.upperBound - windowStart)])
    }
    return try file.bytes(at: range.lowerBound, count: range.count)
  }
}

extension UInt64 {
  /// The field of a tensor's `Payload`.
  fileprivate static let payload: UInt64 = 536_870_911
}
