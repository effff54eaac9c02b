import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

/// One way in which a file can be damaged, and what its error has to say.
struct Damage: CustomTestStringConvertible, Sendable {
  let name: String
  let bytes: [UInt8]
  let words: [String]

  init(_ name: String, _ bytes: [UInt8], _ words: String...) {
    self.name = name
    self.bytes = bytes
    self.words = words
  }

  /// A header over 8 bytes of data.
  init(_ name: String, header: String, data: Int = 8, _ words: String...) {
    self.name = name
    bytes = safetensors(header, data: (0..<data).map { UInt8($0 + 1) })
    self.words = words
  }

  var testDescription: String { name }

  /// The members of one tensor's entry.
  static func entry(
    _ name: String, _ dtype: String = "F32", _ shape: String = "[2]", _ offsets: String = "[0,8]"
  ) -> String {
    #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}"#
  }

  static let framing: [Damage] = [
    Damage("an empty file", [], "empty file"),
    Damage("one byte", [7], "8 bytes", "1 byte in all"),
    Damage("seven bytes", [1, 2, 3, 4, 5, 6, 7], "8 bytes", "7 bytes in all"),
    Damage("eight bytes, no header", safetensors("", data: []), "not a JSON object"),
    Damage(
      "a header one byte longer than the file", safetensors("{}", data: [], length: 3),
      "header length of 3 bytes", "file of 10"),
    Damage(
      "a header length of 2^63", safetensors("{}", data: [9], length: 1 << 63),
      "header length of 9223372036854775808 bytes"),
    Damage(
      "a header length of 2^64-1", safetensors("{}", data: [9], length: .max),
      "header length of 18446744073709551615 bytes"),
    Damage(
      "a header length of 2^63-1", safetensors("{}", data: [9], length: 1 << 63 - 1),
      "header length of 9223372036854775807 bytes"),
    Damage("not JSON", header: "{nonsense}", "not valid JSON"),
    Damage("an open JSON object", header: "{" + entry("a"), "not valid JSON"),
    Damage("text behind the JSON", header: "{" + entry("a") + "} 7", "not valid JSON"),
    Damage("a JSON list", header: "[1, 2]", "not a JSON object"),
    Damage("a JSON text", header: #""a""#, "not a JSON object"),
    Damage("not UTF-8", safetensors("{", data: []).dropLast() + [0xFF], "not a JSON object"),
    Damage(
      "a name that is not UTF-8",
      safetensors("", data: [], length: 7) + [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D],
      "not valid JSON"),
    Damage(
      "UTF-16", safetensors("", data: [], length: 4) + [0x7B, 0, 0x7D, 0], "not a JSON object"),
    Damage("zeros behind the JSON", header: "{\(entry("a"))}\0\0", "not a JSON object"),
  ]

  static let entries: [Damage] = [
    Damage("an entry that is a number", header: #"{"a":1}"#, "'a'", "dtype, shape"),
    Damage(
      "no dtype", header: #"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, "'a'", "dtype, shape"),
    Damage(
      "an unknown field",
      header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"device":"gpu"}}"#, "'a'",
      "alone"),
    Damage(
      "a dtype that is a number", header: #"{"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}}"#,
      "dtype of the tensor 'a'"),
    Damage(
      "an unknown dtype", header: "{\(entry("a", "F8_E4M3"))}", "'a'", "'F8_E4M3'",
      "expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL"),
    Damage("a dtype in lower case", header: "{\(entry("a", "f32"))}", "'a'", "'f32'"),
    Damage("a negative extent", header: "{\(entry("a", "F32", "[-2]"))}", "shape", "'a'"),
    Damage("two negative extents", header: "{\(entry("a", "F32", "[-1,-2]"))}", "shape", "'a'"),
    Damage("a fractional extent", header: "{\(entry("a", "F32", "[2.5]"))}", "shape", "'a'"),
    Damage("a text as extent", header: "{\(entry("a", "F32", #"["2"]"#))}", "shape", "'a'"),
    Damage("true as extent", header: "{\(entry("a", "F64", "[true]"))}", "shape", "'a'"),
    Damage("null as extent", header: "{\(entry("a", "F64", "[null]"))}", "shape", "'a'"),
    Damage("a shape without list", header: "{\(entry("a", "F32", "2"))}", "shape", "'a'"),
    Damage(
      "an extent of 2^64", header: "{\(entry("a", "F32", "[18446744073709551616]"))}", "shape",
      "'a'"),
    Damage(
      "an overflowing shape", header: "{\(entry("a", "F32", "[4294967296,4294967296]"))}", "'a'",
      "too large"),
    Damage(
      "a shape that overflows to 0", header: "{\(entry("a", "U8", "[4611686018427387904,4,0]"))}",
      "'a'", "too large"),
    Damage(
      "a shape that overflows in bytes alone",
      header: "{\(entry("a", "F64", "[4611686018427387904]"))}", "'a'", "too large"),
    Damage(
      "fewer bytes than the shape", header: "{\(entry("a", "F32", "[3]"))}", "'a'", "[3]", "F32",
      "needs 12 bytes, found 8"),
    Damage(
      "more bytes than the shape", header: "{\(entry("a", "F16", "[3]"))}", "'a'", "needs 6 bytes"),
    Damage("one offset", header: "{\(entry("a", "F32", "[2]", "[8]"))}", "data_offsets", "'a'"),
    Damage(
      "three offsets", header: "{\(entry("a", "F32", "[2]", "[0,4,8]"))}", "data_offsets", "'a'"),
    Damage(
      "swapped offsets", header: "{\(entry("a", "F32", "[2]", "[8,0]"))}", "data_offsets", "'a'"),
    Damage(
      "a negative offset", header: "{\(entry("a", "F32", "[2]", "[-8,0]"))}", "data_offsets", "'a'"),
    Damage(
      "a fractional offset", header: "{\(entry("a", "F32", "[2]", "[0.5,8.5]"))}", "data_offsets",
      "'a'"),
    Damage(
      "whole numbers beyond 2^53",
      safetensors("{\(entry("a", "I64", "[1]"))}", data: [1, 0, 0, 0, 0, 0, 0x20, 0]), "'a'",
      "9007199254740993", "2^53"),
    Damage(
      "whole numbers below -2^53",
      safetensors(
        "{\(entry("a", "I64", "[1]"))}", data: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xDF, 0xFF]),
      "'a'", "-9007199254740993"),
    Damage(
      "the smallest whole number",
      safetensors("{\(entry("a", "I64", "[1]"))}", data: [0, 0, 0, 0, 0, 0, 0, 0x80]), "'a'",
      "-9223372036854775808"),
  ]

  static let coverage: [Damage] = [
    Damage("truncated data", header: "{\(entry("a"))}", data: 7, "expected 8 bytes", "found 7"),
    Damage("no data", header: "{\(entry("a"))}", data: 0, "expected 8 bytes", "found 0"),
    Damage("data behind the last", header: "{\(entry("a"))}", data: 9, "8 bytes", "found 9"),
    Damage("data without a tensor", header: "{}", data: 3, "expected 0 bytes", "found 3"),
    Damage(
      "a huge tensor that is not there",
      header: "{\(entry("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]"))}",
      "expected 9223372036854775807 bytes", "found 8"),
    Damage(
      "a gap before the first", header: "{\(entry("a", "F32", "[1]", "[4,8]"))}", "'a'",
      "byte 4", "expected 0"),
    Damage(
      "a gap between",
      header: "{\(entry("a", "U8", "[2]", "[0,2]")),\(entry("b", "F32", "[1]", "[4,8]"))}", "'b'",
      "byte 4", "expected 2"),
    Damage(
      "an overlap",
      header: "{\(entry("a", "U8", "[6]", "[0,6]")),\(entry("b", "F32", "[1]", "[4,8]"))}", "'a'",
      "'b'", "overlap"),
    Damage(
      "the same bytes twice", header: "{\(entry("a")),\(entry("b"))}", "'a'", "'b'", "overlap"),
    Damage(
      "one within the other",
      header: "{\(entry("a", "U8", "[8]")),\(entry("b", "U8", "[2]", "[2,4]"))}", "'a'", "'b'",
      "overlap"),
    Damage("a name twice", header: "{\(entry("a")),\(entry("a"))}", "twice"),
    Damage(
      "a name twice, once escaped", header: #"{\#(entry("a")),\#(entry(#"\u0061"#))}"#, "twice"),
    Damage(
      "a field twice",
      header: #"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "twice"),
    Damage(
      "metadata twice", header: #"{"__metadata__":{},"__metadata__":{},\#(entry("a"))}"#, "twice"),
    Damage(
      "metadata with a number", header: #"{"__metadata__":{"epoch":3},\#(entry("a"))}"#,
      "__metadata__"),
    Damage(
      "metadata with null", header: #"{"__metadata__":{"epoch":null},\#(entry("a"))}"#,
      "__metadata__"),
    Damage(
      "metadata that is a list", header: #"{"__metadata__":["a"],\#(entry("a"))}"#, "__metadata__"),
  ]
}

@Suite struct SafetensorsDamageTests {
  @Test(arguments: Damage.framing + Damage.entries + Damage.coverage)
  func everyDamageIsOneSentenceThatNamesTheFile(_ damage: Damage) throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("model.safetensors", holding: damage.bytes)
    let error = try #require(
      failure { () throws(CarouselError) in _ = try SafetensorsFile(contentsOf: path) })
    #expect(error.kind == .badData)
    #expect(error.message.hasPrefix(path + ": "))
    #expect(!error.message.hasSuffix(".") && !error.message.contains("\n"))
    for word in damage.words { #expect(error.message.contains(word), "\(error.message)") }
  }

  @Test func everyLengthOfATruncatedFileIsRefused() throws {
    let folder = try TemporaryFolder()
    let whole = folder.file("whole")
    try SafetensorsFile(
      [("a", Tensor([3], [1, 2, 3])), ("b", Tensor([1, 2], [4, 5]))], metadata: ["k": "v"]
    ).write(to: whole)
    let bytes = try [UInt8](contentsOfFile: whole)
    for count in 0..<bytes.count {
      let path = try folder.file("cut", holding: Array(bytes[..<count]))
      let error = failure { () throws(CarouselError) in _ = try SafetensorsFile(contentsOf: path) }
      #expect(error?.kind == .badData, "\(count) of \(bytes.count) bytes")
    }
  }

  @Test func aHeaderBeyondALimitIsRefused() throws {
    let folder = try TemporaryFolder()
    let entries = ["a", "b", "c"].map { Damage.entry($0, "U8", "[1,0,1]", "[0,0]") }
    let path = try folder.file(
      "long", holding: safetensors("{\(entries.joined(separator: ","))}", data: []))
    typealias Limits = SafetensorsHeader.Limits
    for (limits, words) in [
      (Limits(byteCount: 20), "at most 20 bytes, found one of"),
      (Limits(tensorCount: 2), "at most 2 tensors, found more in a header of"),
      (Limits(rank: 2), "'a' has 3 dimensions, expected at most 2"),
    ] {
      let error = failure { () throws(CarouselError) in _ = try TensorFile(path, limits: limits) }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains(words) == true, "\(String(describing: error))")
    }
    #expect(try TensorFile(path, limits: Limits(tensorCount: 3, rank: 3)).entries.count == 3)
  }

  @Test func whatIsNotThereOrNotAFileIsMissing() throws {
    let folder = try TemporaryFolder()
    let file = try folder.file("file", holding: [1])
    let pipe = folder.file("pipe")
    #expect(mkfifo(pipe, 0o600) == 0)
    for (path, words) in [
      (folder.file("none"), "No such file"), (folder.path, "a directory"), (file + "/x", "Not a"),
      (pipe, "not a regular file"), ("/dev/null", "not a regular file"), ("", "No such file"),
    ] {
      let error = failure { () throws(CarouselError) in _ = try SafetensorsFile(contentsOf: path) }
      #expect(error?.kind == .missingInput)
      #expect(error?.message.hasPrefix(path + ": ") == true)
      #expect(error?.message.contains(words) == true, "\(String(describing: error))")
    }
  }

  @Test(.disabled(if: geteuid() == 0, "root reads every file"))
  func anUnreadableFileIsMissing() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("secret", holding: [1])
    #expect(chmod(path, 0) == 0)
    let error = failure { () throws(CarouselError) in _ = try SafetensorsFile(contentsOf: path) }
    #expect(error?.kind == .missingInput)
    #expect(error?.message.contains("Permission denied") == true)
  }
}
