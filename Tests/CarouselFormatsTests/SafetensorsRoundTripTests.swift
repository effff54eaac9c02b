import CarouselFormats
import CarouselModel
import Foundation
import Testing

@Suite struct SafetensorsRoundTripTests {
  /// The bits of a stored element and its value.
  struct Element: Sendable {
    let type: ElementType
    let bits: UInt64
    let value: Double
  }

  static let elements: [Element] =
    [
      (0x3C00, 1), (0xC248, -3.140625), (0x7BFF, 65504), (0x0400, 0x1p-14), (0x0001, 0x1p-24),
      (0x03FF, 0x3FFp-24), (0x8001, -0x1p-24), (0x7C00, .infinity), (0xFC00, -.infinity),
      (0x8000, -0.0), (0x7E00, .nan), (0x7C01, .nan),
    ].map { Element(type: .float16, bits: $0, value: $1) }
    + [
      (0x3F80, 1), (0xC049, -3.140625), (0x7F7F, 0xFF * 0x1p120), (0x0080, 0x1p-126),
      (0x0001, 0x1p-133), (0x807F, -0x7Fp-133), (0x7F80, .infinity), (0xFF80, -.infinity),
      (0x8000, -0.0), (0x7FC0, .nan), (0x7F81, .nan),
    ].map { Element(type: .bfloat16, bits: $0, value: $1) }
    + [
      (0x3F80_0000, 1), (0x4049_0FDB, Double(Float(3.141592653589793))),
      (0x0000_0001, 0x1p-149), (0x807F_FFFF, -0x7FFFFFp-149), (0x7F7F_FFFF, 0xFFFFFFp104),
      (0x7F80_0000, .infinity), (0x8000_0000, -0.0), (0x7FC0_0000, .nan),
    ].map { Element(type: .float32, bits: $0, value: $1) }
    + [
      (0x3FB9_9999_9999_999A, 0.1), (0x0000_0000_0000_0001, 0x1p-1074),
      (0xFFEF_FFFF_FFFF_FFFF, -Double.greatestFiniteMagnitude),
      (0xFFF0_0000_0000_0000, -.infinity), (0x7FF8_0000_0000_0000, .nan),
    ].map { Element(type: .float64, bits: $0, value: $1) }
    + [
      (7, 7), (0xFFFF_FFFF_FFFF_FFFE, -2), (0x0020_0000_0000_0000, 0x1p53),
      (0xFFE0_0000_0000_0000, -0x1p53),
    ].map { Element(type: .int64, bits: $0, value: $1) }
    + [(7, 7), (0xFFFF_FFFE, -2), (0x7FFF_FFFF, 0x7FFF_FFFF), (0x8000_0000, -0x8000_0000)].map {
      Element(type: .int32, bits: $0, value: $1)
    }
    + [(7, 7), (128, 128), (255, 255)].map { Element(type: .uint8, bits: $0, value: $1) }

  private func isSame(_ a: Double, _ b: Double) -> Bool {
    a.isNaN ? b.isNaN : a == b && a.sign == b.sign
  }

  /// The one byte before the element moves it off its natural alignment.
  @Test(arguments: elements) func everyElementIsReadAsItsValue(_ element: Element) throws {
    let folder = try TemporaryFolder()
    let width = element.type.byteCount
    let header = """
      {"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"\
      \(element.type.rawValue)","shape":[2],"data_offsets":[1,\(1 + 2 * width)]}}
      """
    let bytes = (0..<width).map { UInt8(truncatingIfNeeded: element.bits >> (8 * UInt64($0))) }
    let path = try folder.file("in", holding: safetensors(header, data: [42] + bytes + bytes))
    let file = try SafetensorsFile(contentsOf: path)
    #expect(file["pad"] == Tensor([1], [42]))
    #expect(file.elementTypes == ["pad": .uint8, "a": element.type])
    let values = try #require(file["a"]).values
    #expect(values.count == 2 && values.allSatisfy { isSame($0, element.value) }, "\(values)")
  }

  static let shapes: [Shape] = [
    [], [0], [1], [1, 1], [3, 0, 2], [7], [3, 5], [2, 3, 5], [17, 31],
  ]

  /// Values that Float32 holds exactly, none 0, no two neighbours alike.
  private func tensor(_ shape: Shape, seed: UInt64) -> Tensor {
    let random = Philox(seed: seed, stream: 0)
    return Tensor(shape, (0..<shape.count).map { Double(Float(random.normal($0))) })
  }

  @Test(arguments: shapes, [ElementType.float32, .float64])
  func writtenTensorsAreReadBack(_ shape: Shape, as type: ElementType) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("out")
    let last = Tensor([2], [-3, 0x1p40])
    let written = SafetensorsFile(
      [("z", tensor(shape, seed: 1)), ("lengths", last), ("a", tensor(shape, seed: 2))],
      elementTypes: ["lengths": .int64, "z": .bfloat16],
      metadata: ["carousel": #"{"cell":"lstm","path":"a/b"}"#, "umlaut": "ä\n\u{1F300}"])
    try written.write(to: path, elementType: type)
    let read = try SafetensorsFile(contentsOf: path)
    #expect(Set(read.tensors.map(\.name)) == ["z", "lengths", "a"])
    #expect(read.tensorsByName == written.tensorsByName)
    #expect(read.metadata == written.metadata)
    #expect(read.elementTypes == ["z": type, "lengths": .int64, "a": type])
    if shape.count > 0 { #expect(read.tensors.map(\.name) == ["z", "lengths", "a"]) }
    let again = folder.file("again")
    if shape.count > 0 {
      try read.write(to: again, elementType: type)
      #expect(try [UInt8](contentsOfFile: again) == [UInt8](contentsOfFile: path))
    }
  }

  @Test func dataBeginsAtAMultipleOfEightBytesAndMetadataStandsFirst() throws {
    let folder = try TemporaryFolder()
    for count in 1...9 {
      let path = folder.file("out")
      try SafetensorsFile(
        [(String(repeating: "n", count: count), Tensor([1], [1.5]))],
        metadata: ["b": "2", "a": "1"]
      ).write(to: path)
      let bytes = try [UInt8](contentsOfFile: path)
      #expect(bytes[0] % 8 == 0 && bytes[1...7].allSatisfy { $0 == 0 })
      let header = String(decoding: bytes[8..<(8 + Int(bytes[0]))], as: UTF8.self)
      #expect(
        header.hasPrefix(#"{"__metadata__":{"a":"1","b":"2"},"nn"#.dropLast(count == 1 ? 1 : 0)))
      #expect(bytes.suffix(4) == [0, 0, 0xC0, 0x3F])
    }
  }

  @Test func float32IsRoundedAndKeepsWhatIsNotFinite() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("out")
    try SafetensorsFile([("a", Tensor([4], [0.1, 1e300, -.infinity, .nan]))]).write(to: path)
    let values = try #require(try SafetensorsFile(contentsOf: path)["a"]).values
    #expect(values[0] == Double(Float(0.1)) && values[0] != 0.1)
    #expect(values[1] == .infinity && values[2] == -.infinity && values[3].isNaN)
  }

  @Test func wholeNumbersKeepTheirType() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("out")
    let tensors = [
      (name: "i64", tensor: Tensor([3], [-0x1p53, 0x1p53, 5])),
      (name: "i32", tensor: Tensor([2], [-0x8000_0000, 0x7FFF_FFFF])),
      (name: "u8", tensor: Tensor([2], [1, 255])),
    ]
    let types: [String: ElementType] = ["i64": .int64, "i32": .int32, "u8": .uint8]
    try SafetensorsFile(tensors, elementTypes: types).write(to: path)
    let read = try SafetensorsFile(contentsOf: path)
    #expect(read.tensors.map(\.tensor) == tensors.map(\.tensor))
    #expect(read.elementTypes == types)
    #expect(read["i16"] == nil)
  }

  @Test func anEmptyFileOfTensorsIsReadBack() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("out")
    try SafetensorsFile([]).write(to: path)
    #expect(try [UInt8](contentsOfFile: path) == safetensors("{}      ", data: []))
    #expect(try SafetensorsFile(contentsOf: path).tensors.isEmpty)
  }

  /// Tensors that no file can hold, and what is said of them.
  static let unwritable: [(SafetensorsFile, ElementType, String)] = [
    (
      SafetensorsFile([("a", Tensor(zeros: [1])), ("a", Tensor(zeros: [2]))]), .float32,
      "the name 'a' is taken and cannot be that of another tensor"
    ),
    (
      SafetensorsFile([("__metadata__", Tensor(zeros: [1]))]), .float32,
      "the name '__metadata__' is taken and cannot be that of another tensor"
    ),
    (
      SafetensorsFile([("n", Tensor([2], [1, 0.5]))], elementTypes: ["n": .int64]), .float32,
      "the tensor 'n' of type I64 cannot hold the value 0.5"
    ),
    (
      SafetensorsFile([("n", Tensor([1], [256]))], elementTypes: ["n": .uint8]), .float32,
      "the tensor 'n' of type U8 cannot hold the value 256.0"
    ),
    (
      SafetensorsFile([("n", Tensor([1], [.nan]))], elementTypes: ["n": .int32]), .float32,
      "the tensor 'n' of type I32 cannot hold the value nan"
    ),
    (
      SafetensorsFile([("a", Tensor(zeros: [1]))]), .float16,
      "numbers are written as F32 or F64, but F16 was asked for"
    ),
  ]

  @Test(arguments: unwritable)
  func whatNoFileCanHoldIsRefused(
    file: SafetensorsFile, type: ElementType, sentence: String
  ) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("out")
    let error = failure { () throws(CarouselError) in
      try file.write(to: path, elementType: type)
    }
    #expect(error == CarouselError(.usage, "\(path): \(sentence)"))
    #expect(try folder.names.isEmpty)
  }
}
