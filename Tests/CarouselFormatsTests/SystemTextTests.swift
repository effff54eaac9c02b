import CarouselFormats
import Testing

@Suite struct SystemTextTests {
  @Test(arguments: [
    "plain", "naïve", "€😀", "\u{FFFD}", "\u{10FF7F}", "\u{10FFE9}", "\u{10FFFF}", "",
  ])
  func textsComeBackAsTheyWere(text: String) {
    let bytes = Array(text.utf8)
    #expect(String(systemBytes: bytes).systemBytes == bytes)
    if !text.contains(where: { $0.unicodeScalars.first!.value >= 0x10FF80 }) {
      #expect(String(systemBytes: bytes) == text)
    }
  }

  @Test(arguments: [
    [0xE9], [0x63, 0x61, 0x66, 0xE9, 0x2E], [0xE2, 0x82], [0xE2, 0x82, 0x61], [0xED, 0xA0, 0x80],
    [0xFF, 0xC3, 0xA9, 0x80], [0xC0, 0x80],
  ])
  func bytesThatAreNoUTF8ComeBackToo(bytes: [UInt8]) {
    let text = String(systemBytes: bytes)
    #expect(text.systemBytes == bytes)
    #expect(
      text.withSystemPath { path in bytes.indices.map { UInt8(bitPattern: path[$0]) } } == bytes)
    #expect(text.escapingSystemBytes.contains("\\x"))
  }

  @Test func theNamesOfBytesCanBeRead() {
    #expect(String(systemBytes: [0x63, 0xE9, 0x74]).escapingSystemBytes == "c\\xE9t")
  }
}
