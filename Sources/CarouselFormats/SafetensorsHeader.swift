import CarouselModel

/// What is wrong with a file, to stand behind its name and a colon.
struct FileDamage: Error {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }

  /// What `read` returns; where it finds damage, a sentence about the file `path` is thrown as `badData`.
  static func said<Value>(
    of path: String, read: () throws -> Value
  ) throws(CarouselError) -> Value {
    do {
      return try read()
    } catch let damage as FileDamage {
      throw CarouselError(.badData, "\(path): \(damage.sentence)")
    } catch let error as CarouselError {
      throw error
    } catch {
      preconditionFailure("an error of no known type: \(error)")
    }
  }
}

/// The header of a safetensors file, checked against the size of its data.
struct SafetensorsHeader {
  /// A tensor and where its bytes lie in the data.
  struct Entry {
    var name: String
    /// The element type's name, which may be one that is not read.
    var type: String
    var shape: Shape
    var bytes: Range<Int>

    /// By this tensors are put in order; those without a byte by their names.
    fileprivate var place: (Int, Int, String) { (bytes.lowerBound, bytes.upperBound, name) }
  }

  /// What a header may hold.
  struct Limits: Sendable {
    /// The longest header that the format allows, in bytes.
    var byteCount = 100_000_000
    /// More tensors than any checkpoint of ours has.
    var tensorCount = 1 << 19
    /// The most dimensions that PyTorch gives a tensor.
    var rank = 64
  }

  /// The tensors in the order of their bytes, which they cover without a gap.
  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]
  private let limits: Limits

  /// Reads the JSON text and checks that the tensors cover `dataByteCount` bytes exactly.
  init(_ text: [UInt8], dataByteCount: Int, limits: Limits) throws(FileDamage) {
    self.limits = limits
    // UTF-16 has a zero byte in every ASCII character.
    guard text.first == UInt8(ascii: "{"), !text.contains(0) else {
      throw FileDamage(
        "expected a safetensors file, found a header that is not a JSON object")
    }
    do {
      try read(text)
    } catch let damage as FileDamage {
      throw damage
    } catch {
      throw FileDamage("expected a safetensors file, found a header that is not valid JSON")
    }
    entries.sort { $0.place < $1.place }
    try checkCoverage(of: dataByteCount)
  }

  private mutating func read(_ text: [UInt8]) throws {
    var scanner = JSONScanner(text)
    var names: Set<String> = []
    _ = try scanner.object { scanner, name in
      guard names.insert(name).inserted else { throw Self.twice(name) }
      if name == "__metadata__" {
        metadata = try Self.texts(&scanner)
      } else {
        guard entries.count < limits.tensorCount else {
          throw FileDamage(
            "expected at most \(limits.tensorCount) tensors, found more in a header of "
              + "\(text.count) bytes")
        }
        entries.append(try entry(name, &scanner))
      }
    }
    guard scanner.isAtEnd() else { throw JSONScanner.Malformed() }
  }

  private static func twice(_ name: String) -> FileDamage {
    FileDamage("the header names '\(name)' twice")
  }

  private static func texts(_ scanner: inout JSONScanner) throws -> [String: String] {
    let damage = FileDamage("the header's __metadata__ is not an object of texts")
    var texts: [String: String] = [:]
    let isObject = try scanner.object { scanner, name in
      guard let text = try scanner.string() else { throw damage }
      guard texts.updateValue(text, forKey: name) == nil else { throw twice(name) }
    }
    guard isObject else { throw damage }
    return texts
  }

  /// One tensor's entry; where its bytes lie among the others' is not yet checked.
  private func entry(_ name: String, _ scanner: inout JSONScanner) throws -> Entry {
    let tensor = "the tensor '\(name)'"
    let damage = FileDamage("\(tensor) is not described by dtype, shape and data_offsets alone")
    var (type, shape, offsets): (String?, [Int]?, [Int]?)
    let isObject = try scanner.object { scanner, field in
      switch field {
      case "dtype" where type == nil:
        type = try scanner.string()
        guard type != nil else { throw FileDamage("the dtype of \(tensor) is not a text") }
      case "shape" where shape == nil:
        shape = scanner.wholeNumbers()
        guard shape != nil else {
          throw FileDamage("the shape of \(tensor) is not a list of whole numbers from 0 on")
        }
      case "data_offsets" where offsets == nil:
        offsets = scanner.wholeNumbers()
        guard let offsets, offsets.count == 2, offsets[0] <= offsets[1] else {
          throw FileDamage(
            "the data_offsets of \(tensor) are not two whole numbers from 0 on, the second no "
              + "smaller than the first")
        }
      case "dtype", "shape", "data_offsets": throw Self.twice(field)
      default: throw damage
      }
    }
    guard isObject, let type, let shape, let offsets else { throw damage }
    guard shape.count <= limits.rank else {
      throw FileDamage(
        "\(tensor) has \(shape.count) dimensions, expected at most \(limits.rank)")
    }
    let bytes = offsets[0]..<offsets[1]
    try check(bytes.count, of: tensor, type: type, shape: shape)
    return Entry(name: name, type: type, shape: Shape(shape), bytes: bytes)
  }

  /// Throws where a type that is known does not need just `byteCount` bytes.
  private func check(
    _ byteCount: Int, of tensor: String, type: String, shape: [Int]
  ) throws(FileDamage) {
    let elementType = ElementType(rawValue: type)
    guard let needed = Shape.count(of: [elementType?.byteCount ?? 1] + shape) else {
      throw FileDamage("\(tensor) has the shape \(shape), which is too large")
    }
    guard elementType == nil || byteCount == needed else {
      throw FileDamage(
        "\(tensor) of shape \(shape) and dtype \(type) needs \(needed) bytes, found \(byteCount)")
    }
  }

  private func checkCoverage(of dataByteCount: Int) throws(FileDamage) {
    var end = 0
    var previous = ""
    for entry in entries {
      let begin = entry.bytes.lowerBound
      guard begin >= end else {
        throw FileDamage(
          "the tensors '\(previous)' and '\(entry.name)' overlap at byte \(begin) of the data")
      }
      guard begin == end else {
        throw FileDamage(
          "the tensor '\(entry.name)' begins at byte \(begin) of the data, expected \(end)")
      }
      (end, previous) = (entry.bytes.upperBound, entry.name)
    }
    guard end == dataByteCount else {
      throw FileDamage(
        "expected \(end) bytes of data, as the header says, found \(dataByteCount)")
    }
  }
}

extension Shape {
  /// The elements from one index to the next in each dimension, row-major.
  var contiguousStrides: [Int] {
    var (result, stride) = ([Int](), 1)
    for extent in dimensions.reversed() {
      result.append(stride)
      stride = stride &* extent
    }
    return result.reversed()
  }
}
