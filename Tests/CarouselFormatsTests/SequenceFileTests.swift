import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

@Suite struct SequenceFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ bytes: some Sequence<UInt8>, _ name: String) throws -> String {
    let path = folder.path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func sentence(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "nothing was thrown"
    } catch {
      #expect((error as? CarouselError)?.kind == .badData, "\(error)")
      return "\(error)"
    }
  }

  private static let header =
    "@problemName x\n@univariate false\n@dimensions 2\n@classLabel true a b\n@data\n"

  @Test func casesOfATimeSeriesFileKeepTheirLengths() throws {
    let set = try SequenceSet(
      timeSeriesFile: write(
        ("# words\r\n" + Self.header + "1,2,3:4,5,6:a\r\n7:-8e1:b\n").utf8, "x.ts"))
    #expect(set.values == [1, 4, 2, 5, 3, 6, 7, -80])
    #expect(set.starts == [0, 3, 4] && set.labels == ["a", "b"] && set.channels.count == 2)
    #expect(set.place(1).hasSuffix("x.ts: line 8"))
  }

  @Test(arguments: [
    ("1,2:3:a\n", "line 6, channel 2: expected 2 values as in channel 1, found 1"),
    ("1:2:3:a\n", "line 6: expected 2 channels as the header says and a class, found 3"),
    ("1:2:c\n", "expected one of the classes of '@classLabel' at the end, found 'c'"),
    ("1:x:a\n", "line 6, channel 2, step 1: expected a number, found 'x'"),
    ("1:?:a\n", "--missing zero or forward"),
    ("", "expected cases behind '@data', found none"),
  ])
  func aWrongCaseSaysWhere(text: String, part: String) throws {
    let path = try write((Self.header + text).utf8, "x.ts")
    #expect(sentence { _ = try SequenceSet(timeSeriesFile: path) }.contains(part))
  }

  @Test(arguments: [
    (
      "@univariat true\n@data\n1:a\n", "line 1: expected a line of a .ts header, found '@univariat'"
    ),
    ("@univariate maybe\n@data\n1\n", "expected '@univariate true' or 'false'"),
    ("@dimensions none\n@data\n1\n", "expected a number of at least 1 behind '@dimensions'"),
    ("@equalLength true\n@seriesLength 3\n@data\n1,2\n", "line 4: expected 3 steps"),
    ("@timeStamps true\n@data\n(0,1)\n", "found time stamps, which are not read"),
    ("1,2,3\n", "line 1: expected a line of the header"),
    ("@univariate true\n", "expected a line '@data'"),
  ])
  func aWrongHeaderSaysWhere(text: String, part: String) throws {
    let path = try write(text.utf8, "x.ts")
    #expect(sentence { _ = try SequenceSet(timeSeriesFile: path) }.contains(part))
  }

  private static let images: [UInt8] =
    [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3] + [
      0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6,
    ]

  @Test func imagesAreReadRowByRow() throws {
    let labels = try write([0, 0, 8, 1, 0, 0, 0, 2, 7, 9], "labels")
    let set = try SequenceSet(images: write(Self.images, "images"), labels: labels)
    #expect(set.starts == [0, 2, 4] && set.labels == ["7", "9"] && set.channels.count == 3)
    #expect(set.values.prefix(6) == [0, 0.2, 0.4, 0.6, 0.8, 1])
    let cut = try write(Self.images.dropLast(), "cut")
    #expect(sentence { _ = try SequenceSet(images: cut, labels: nil) }.contains("found 11"))
    #expect(
      sentence { _ = try SequenceSet(images: labels, labels: nil) }.contains(
        "expected an IDX file of images"))
    let one = try write([0, 0, 8, 1, 0, 0, 0, 1, 7], "one")
    let images = try write(Self.images, "images")
    #expect(
      sentence { _ = try SequenceSet(images: images, labels: one) }.contains("expected 2 labels"))
  }

  /// Text that repeats and bytes that do not, packed by gzip at several levels: stored, with fixed codes
  /// and with codes of its own.
  @Test(arguments: ["-1", "-6", "-9"]) func packedFilesAreUnpacked(level: String) throws {
    let random = Philox(seed: 3, stream: 4)
    for bytes in [
      Array("short".utf8), Array(String(repeating: "the quick brown fox; ", count: 4000).utf8),
      (0..<70_000).map { UInt8(truncatingIfNeeded: random.word($0)) },
    ] {
      let path = try write(bytes, "plain")
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", "gzip -k -f \(level) '\(path)'"]
      try process.run()
      process.waitUntilExit()
      var packed = try [UInt8](contentsOfFile: path + ".gz")
      #expect(try Gzip.unpacked(packed, source: "x") == bytes)
      packed[packed.count - 6] ^= 1
      #expect(sentence { _ = try Gzip.unpacked(packed, source: "x") }.contains("damaged"))
    }
  }

  @Test func damagedPackedBytesAreAnError() throws {
    let random = Philox(seed: 5, stream: 6)
    for count in 0..<300 {
      let bytes =
        [0x1F, 0x8B, 8, UInt8(count % 32), 0, 0, 0, 0, 0, 0]
        + (0..<count).map { UInt8(truncatingIfNeeded: random.word(count * 300 + $0)) }
      #expect(throws: CarouselError.self) { try Gzip.unpacked(bytes, source: "x") }
    }
  }

  @Test func checksAreThoseOfTheirStandards() {
    #expect(CRC32.ieee.value(of: "123456789".utf8) == 0xCBF4_3926)
    #expect(CRC32.castagnoli.value(of: "123456789".utf8) == 0xE306_9283)
  }

  @Test func wordsComeWithTheirTags() throws {
    let text = "-DOCSTART- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\nPeter NNP B-PER\r\n"
    let set = try TaggedSet(columns: write(text.utf8, "x.conll"))
    #expect(set.words == [["EU", "rejects"], ["Peter"]])
    #expect(set.tags == [["B-ORG", "O"], ["B-PER"]] && set.lines == [3, 7])
    let plain = try write("one\ntwo\n".utf8, "plain")
    #expect(try TaggedSet(columns: plain, requiresTags: false).words == [["one", "two"]])
    #expect(
      sentence { _ = try TaggedSet(columns: plain) }.contains("line 1: expected a word and its tag")
    )
    let ragged = try write("a X\nb\n".utf8, "ragged")
    #expect(
      sentence { _ = try TaggedSet(columns: ragged) }.contains(
        "line 2: expected 2 columns, found 1"))
  }
}
