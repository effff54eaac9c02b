import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

/// What TensorBoard relies on in the bytes of an event file; that it reads them is tested with the command.
@Suite struct EventFileTests {
  @Test func theChecksumIsCastagnolis() {
    // RFC 3720, B.4, and the customary check value.
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
  }

  @Test func aRecordHasItsLengthAndTwoMaskedChecksums() {
    let record = EventFile.record([1, 2, 3])
    #expect(record.count == 8 + 4 + 3 + 4)
    #expect(
      Array(record[..<8]) == [3, 0, 0, 0, 0, 0, 0, 0] && Array(record[12..<15]) == [1, 2, 3])
    func number(_ range: Range<Int>) -> UInt32 {
      record[range].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    for (range, bytes) in [(8..<12, Array(record[..<8])), (15..<19, [1, 2, 3])] {
      let rotated = number(range) &- 0xA282_EAD8
      #expect(rotated >> 17 | rotated << 15 == CRC32C.checksum(bytes))
    }
  }

  @Test func everyFileOfAFolderIsItsOwn() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/carousel-\(UUID().uuidString)/a"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let files = try (0..<3).map { _ in try EventFile(in: folder) }
    #expect(Set(files.map(\.path)).count == 3)
    for file in files { #expect(try Data(contentsOf: URL(filePath: file.path)).count > 20) }
  }

  @Test func aFolderThatCannotBeMadeIsSaid() {
    let error = #expect(throws: CarouselError.self) { try EventFile(in: "/dev/null/events") }
    #expect(error?.kind == .writeFailed)
  }
}
