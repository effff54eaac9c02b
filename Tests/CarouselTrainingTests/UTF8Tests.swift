import CarouselFormats
import CarouselModel
import CarouselReference
import Foundation
import Testing

@testable import CarouselTraining

@Suite struct UTF8Tests {
  @Test(arguments: ["", "plain", "καλημέρα", "naïve €5", "a😀b", "\u{10FFFF}\u{D7FF}\u{E000}"])
  func wholeCharactersAreUTF8(text: String) {
    #expect(UTF8Scanner.isUTF8(Array(text.utf8)))
  }

  /// Cut, out of place, longer than needed, a surrogate, beyond U+10FFFF.
  @Test(arguments: [
    [0xCE], [0x61, 0xE2, 0x82], [0x80], [0x61, 0xBF, 0x61], [0xC0, 0x80], [0xE0, 0x9F, 0x80],
    [0xF0, 0x8F, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF],
    [0xCE, 0x61], [0xE9, 0x74, 0xE9],
  ])
  func otherBytesAreNot(bytes: [UInt8]) {
    #expect(!UTF8Scanner.isUTF8(bytes))
    #expect(TrainingText([0x61] + bytes).bytesPerCharacter(in: 0..<1) == nil)
  }

  @Test func bitsPerCharacterCountsCharacters() throws {
    // 4 characters of 1, 2, 3 and 4 bytes.
    let text = TrainingText("aé€😀".utf8)
    #expect(text.bytesPerCharacter(in: 0..<10) == 2.5)
    // The part begins within the character of 3 bytes.
    #expect(text.bytesPerCharacter(in: 4..<10) == 6)
    let metrics = TaskMetrics(lossPerByte: log(2), bytesPerCharacter: 2.5)
    #expect(abs(try #require(metrics.bitsPerByte) - 1) < 1e-15)
    #expect(abs(try #require(metrics.bitsPerCharacter) - 2.5) < 1e-15)
    #expect(TaskMetrics(lossPerByte: 1, bytesPerCharacter: nil).bitsPerCharacter == nil)
    #expect(TaskMetrics(loss: 1).bitsPerByte == nil)
  }

  /// The held-out part has other characters than the rest.
  @Test func aTrainerTellsBitsPerByteFromBitsPerCharacter() throws {
    var settings = TestRun.settings(maxSteps: 4)
    settings.validation = 0.25
    let latin = String(repeating: "abcd", count: 75)
    let greek = String(repeating: "δ", count: 50)
    let trainer = try Trainer(
      TrainingText((latin + greek).utf8), settings: settings, backend: ReferenceBackend())
    let folder = try TemporaryFolder()
    _ = try trainer.run(in: folder.run)
    let line = try #require(try metrics(folder.run).last)
    let loss = try #require(line.validationLoss)
    #expect(abs(try #require(line.bitsPerByte) - loss / log(2)) < 1e-12)
    #expect(abs(try #require(line.bitsPerCharacter) - 2 * loss / log(2)) < 1e-12)
    #expect(trainer.trainingMetrics(1).bitsPerCharacter == trainer.trainingMetrics(1).bitsPerByte)
  }
}
