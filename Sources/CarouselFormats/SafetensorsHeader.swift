import CarouselModel
import Foundation

/// What is wrong with a file, to stand behind its name and a colon.
struct SafetensorsDamage: Error {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }
}

/// The header of a safetensors file, checked against the size of its data.
struct SafetensorsHeader {
  /// A tensor and where its bytes lie in the data; as many as its shape and type need.
  struct Entry {
    var name: String
    var elementType: ElementType
    var shape: Shape
    var bytes: Range<Int>

    /// By this tensors are put in order; those without a byte by their names.
    fileprivate var place: (Int, Int, String) { (bytes.lowerBound, bytes.upperBound, name) }
  }

  /// The tensors in the order of their bytes, which they cover without a gap.
  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]
  /// The members of all objects of the header that were read.
  private var memberCount = 0

  /// Reads the JSON text and checks that the tensors cover `dataByteCount` bytes exactly.
  init(_ text: [UInt8], dataByteCount: Int) throws {
    // A JSON parser would take UTF-16 too, in which every ASCII character has a zero byte.
    guard text.first == UInt8(ascii: "{"), !text.contains(0) else {
      throw SafetensorsDamage(
        "expected a safetensors file, found a header that is not a JSON object")
    }
    do {
      self = try JSONDecoder().decode(SafetensorsHeader.self, from: Data(text))
    } catch is DecodingError {
      throw SafetensorsDamage("expected a safetensors file, found a header that is not valid JSON")
    }
    try checkUnique(in: text)
    entries.sort { $0.place < $1.place }
    try checkCoverage(of: dataByteCount)
  }

  /// Finds what a JSON parser hides: two members of one name, of which it keeps one.
  ///
  /// As every member of the header is known by now, there must be as many as there are colons
  /// outside of texts.
  private func checkUnique(in text: [UInt8]) throws(SafetensorsDamage) {
    var (colons, isText, isEscaped) = (0, false, false)
    for byte in text {
      if isEscaped {
        isEscaped = false
      } else if isText, byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isText.toggle()
      } else if !isText, byte == UInt8(ascii: ":") {
        colons += 1
      }
    }
    guard colons == memberCount else {
      throw SafetensorsDamage("the header names a tensor or a field twice")
    }
  }

  private func checkCoverage(of dataByteCount: Int) throws(SafetensorsDamage) {
    var end = 0
    var previous = ""
    for entry in entries {
      let begin = entry.bytes.lowerBound
      guard begin >= end else {
        throw SafetensorsDamage(
          "the tensors '\(previous)' and '\(entry.name)' overlap at byte \(begin) of the data")
      }
      guard begin == end else {
        throw SafetensorsDamage(
          "the tensor '\(entry.name)' begins at byte \(begin) of the data, expected \(end)")
      }
      (end, previous) = (entry.bytes.upperBound, entry.name)
    }
    guard end == dataByteCount else {
      throw SafetensorsDamage(
        "expected \(end) bytes of data, as the header says, found \(dataByteCount)")
    }
  }
}

extension SafetensorsHeader: Decodable {
  private struct Key: CodingKey, Hashable {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }

    static let metadata = Key(stringValue: "__metadata__")
    static let dtype = Key(stringValue: "dtype")
    static let shape = Key(stringValue: "shape")
    static let offsets = Key(stringValue: "data_offsets")
  }

  /// Reads every tensor's entry; where the bytes lie is not yet checked.
  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    for key in container.allKeys {
      if key == .metadata {
        guard let texts = try? container.decode([String: String].self, forKey: key) else {
          throw SafetensorsDamage("the header's __metadata__ is not an object of texts")
        }
        metadata = texts
        memberCount += 1 + texts.count
      } else {
        entries.append(try Self.entry(key, in: container))
        memberCount += 4  // the tensor and its three fields
      }
    }
  }

  private static func entry(
    _ key: Key, in container: KeyedDecodingContainer<Key>
  ) throws(SafetensorsDamage) -> Entry {
    let tensor = "the tensor '\(key.stringValue)'"
    guard let fields = try? container.nestedContainer(keyedBy: Key.self, forKey: key),
      Set(fields.allKeys) == [.dtype, .shape, .offsets]
    else {
      throw SafetensorsDamage("\(tensor) is not described by dtype, shape and data_offsets alone")
    }
    guard let type = try? fields.decode(String.self, forKey: .dtype) else {
      throw SafetensorsDamage("the dtype of \(tensor) is not a text")
    }
    guard let elementType = ElementType(rawValue: type) else {
      let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
      throw SafetensorsDamage("\(tensor) has the dtype '\(type)', expected one of \(known)")
    }
    guard let shape = try? fields.decode([Int].self, forKey: .shape),
      shape.allSatisfy({ $0 >= 0 })
    else {
      throw SafetensorsDamage("the shape of \(tensor) is not a list of whole numbers from 0 on")
    }
    guard let offsets = try? fields.decode([Int].self, forKey: .offsets), offsets.count == 2,
      0 <= offsets[0], offsets[0] <= offsets[1]
    else {
      throw SafetensorsDamage(
        "the data_offsets of \(tensor) are not two whole numbers from 0 on, the second no smaller "
          + "than the first")
    }
    var needed = elementType.byteCount
    for extent in shape {
      let (product, overflow) = needed.multipliedReportingOverflow(by: extent)
      guard !overflow else {
        throw SafetensorsDamage("\(tensor) has the shape \(shape), which is too large")
      }
      needed = product
    }
    guard offsets[1] - offsets[0] == needed else {
      throw SafetensorsDamage(
        "\(tensor) of shape \(shape) and dtype \(type) needs \(needed) bytes, found "
          + "\(offsets[1] - offsets[0])")
    }
    return Entry(
      name: key.stringValue, elementType: elementType, shape: Shape(shape),
      bytes: offsets[0]..<offsets[1])
  }
}
