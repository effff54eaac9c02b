import CarouselModel
import Foundation
import Testing

@testable import CarouselTraining

@Suite struct ByteVocabularyTests {
  @Test func holdsTheDistinctBytesInOrder() throws {
    let vocabulary = ByteVocabulary(of: [200, 10, 97, 10, 0])
    #expect(vocabulary.bytes == [0, 10, 97, 200])
    #expect(try vocabulary.encode([97, 0, 200, 10], source: "x") == [2, 0, 3, 1])
    #expect(vocabulary.decode([2, 0, 3, 1]) == [97, 0, 200, 10])
    #expect(vocabulary.token(11) == nil)
  }

  @Test func namesAByteThatItLacks() {
    let vocabulary = ByteVocabulary(of: "abc".utf8)
    expectError(.badData, "in.txt", "0x5A 'Z'", "offset 2") {
      _ = try vocabulary.encode(Array("abZ".utf8), source: "in.txt")
    }
    expectError(.badData, "0x0A", "offset 0") {
      _ = try vocabulary.encode([10], source: "in.txt")
    }
    expectError(.badData, "0x5A 'Z'", "offset 3") {
      try vocabulary.check(Array("abcZ".utf8), source: "in.txt")
    }
  }

  @Test func whatIsUnknownIsLeftOutAndCounted() {
    let vocabulary = ByteVocabulary(of: "ab αβ".utf8)
    let plain = vocabulary.known(in: Array("abba".utf8))
    #expect(plain.bytes == Array("abba".utf8) && plain.leftOut == 0 && plain.firstUnknown == nil)
    // γ shares its first byte with α; the whole character goes.
    let greek = vocabulary.known(in: Array("aγb xα".utf8))
    #expect(greek.bytes == Array("ab α".utf8) && greek.leftOut == 3)
    #expect(greek.firstUnknown == "0xB3 at offset 2")
    // No UTF-8: bytes go one by one.
    let latin = vocabulary.known(in: [0x61, 0xCE, 0xB3, 0xFF])
    #expect(latin.bytes == [0x61, 0xCE] && latin.leftOut == 2)
  }

  @Test func allBytesAreTheirOwnTokens() throws {
    #expect(ByteVocabulary.all.count == 256)
    #expect(try ByteVocabulary.all.encode([0, 65, 255], source: "x") == [0, 65, 255])
    #expect(
      ByteVocabulary(of: "ac".utf8).union(ByteVocabulary(of: "bc".utf8))
        == ByteVocabulary(of: "abc".utf8))
  }

  @Test func theBytesOfUTF8AreTold() {
    for text in ["plain", "naïve", "αβγ"] {
      #expect(ByteVocabulary(of: text.utf8).canBeUTF8, "\(text)")
    }
    for bytes: [UInt8] in [[0x61, 0xC3], [0xA9], [0xC3, 0xA9, 0xFF], [0xC0, 0x80, 0xC2]] {
      #expect(!ByteVocabulary(of: bytes).canBeUTF8)
    }
  }

  @Test func survivesJSONAndRefusesDisorder() throws {
    let vocabulary = ByteVocabulary(of: "hello".utf8)
    let data = try JSONEncoder().encode(vocabulary)
    #expect(try JSONDecoder().decode(ByteVocabulary.self, from: data) == vocabulary)
    for wrong in ["[]", "[2,1]", "[1,1]", "[1,256]"] {
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(ByteVocabulary.self, from: Data(wrong.utf8))
      }
    }
  }
}

@Suite struct TextStreamsTests {
  /// Every byte is its own token.
  static let allBytes = ByteVocabulary(of: 0...255)

  @Test func droppedRemainderGivesWholeWindowsOnly() throws {
    // 14 targets in 2 streams of 7, windows of 3.
    let streams = try TextStreams(
      [UInt8](0..<15)[...], vocabulary: Self.allBytes, batchSize: 2, sequenceLength: 3,
      remainder: .dropped)
    #expect(streams.windowCount == 2)
    #expect(streams.streamLength == 7)
    #expect(try streams.window(0).inputs == [0, 7, 1, 8, 2, 9])
    #expect(try streams.window(0).targets == [1, 8, 2, 9, 3, 10])
    #expect(try streams.window(1).inputs == [3, 10, 4, 11, 5, 12])
    #expect(try streams.window(1).targets == [4, 11, 5, 12, 6, 13])
  }

  /// Whatever is left at the end, also where the last stream has ended windows before the others.
  @Test(arguments: [1, 2, 3, 5, 8])
  func paddedStreamsPredictEveryTokenButTheFirstOnce(sequenceLength: Int) throws {
    for count in Array(2...60) + [100] {
      for batchSize in 1...min(count - 1, 9) {
        let streams = try TextStreams(
          [UInt8](0..<UInt8(count))[...], vocabulary: Self.allBytes, batchSize: batchSize,
          sequenceLength: sequenceLength, remainder: .padded)
        var targets: [Int32] = []
        for index in 0..<streams.windowCount {
          let window = try streams.window(index)
          for (input, target) in zip(window.inputs, window.targets) where target >= 0 {
            #expect(target == input + 1)
            targets.append(target)
          }
        }
        #expect(targets.sorted() == Array(1..<Int32(count)), "\(count), \(batchSize)")
      }
    }
  }

  /// 100 targets in 4 streams: with a limit each reads its first part.
  @Test(arguments: [
    (20, 5, [0, 25, 50, 75]), (21, 6, [0, 25, 50, 75]), (100, 25, [0, 25, 50, 75]),
  ])
  func aLimitIsSpreadEvenlyOverTheText(limit: Int, length: Int, starts: [Int32]) throws {
    let streams = try TextStreams(
      [UInt8](0...100)[...], vocabulary: Self.allBytes, batchSize: 4, sequenceLength: 4,
      remainder: .padded,
      limit: limit)
    #expect(streams.streamLength == length)
    #expect(try Array(streams.window(0).inputs[..<4]) == starts)
    let targets = try (0..<streams.windowCount).flatMap {
      try streams.window($0).targets.filter { $0 >= 0 }
    }
    #expect(targets.sorted() == starts.flatMap { Array($0 + 1...$0 + Int32(length)) })
  }

  @Test func aTextShorterThanAWindowHasNone() throws {
    func windows(_ count: Int) throws -> Int {
      try TextStreams(
        [UInt8](repeating: 0, count: count)[...], vocabulary: Self.allBytes, batchSize: 3,
        sequenceLength: 4, remainder: .dropped
      ).windowCount
    }
    #expect(try windows(12) == 0)
    #expect(try windows(13) == 1)
  }

  @Test func aPartOfATextIsReadByItsVocabulary() throws {
    let text = Array("-cabbage".utf8)
    let streams = try TextStreams(
      text[1..<6], vocabulary: ByteVocabulary(of: text), batchSize: 1, sequenceLength: 4,
      remainder: .dropped)
    // -, a, b, c, e, g.
    #expect(try streams.window(0).inputs == [3, 1, 2, 2])
    #expect(try streams.window(0).targets == [1, 2, 2, 1])
  }
}

@Suite struct TrainingTextTests {
  @Test func joinsFilesAndKnowsThemAgain() throws {
    let folder = try TemporaryFolder()
    try Data("ab".utf8).write(to: URL(fileURLWithPath: folder.path + "/1"))
    try Data("cd".utf8).write(to: URL(fileURLWithPath: folder.path + "/2"))
    let text = try TrainingText(files: [folder.path + "/1", folder.path + "/2"])
    #expect(text.bytes == Array("abcd".utf8))
    #expect(text.vocabulary == ByteVocabulary(of: "dcba".utf8))
    #expect(text.identity.hash == TrainingText("abcd".utf8).identity.hash)
    #expect(text.identity.hash != TrainingText("abdc".utf8).identity.hash)
  }

  @Test func refusesWhatIsNoText() throws {
    let folder = try TemporaryFolder()
    expectError(.missingInput, folder.path) {
      _ = try TrainingText(files: [folder.path + "/missing"])
    }
    expectError(.missingInput, "directory") { _ = try TrainingText(files: [folder.path]) }
    try Data().write(to: URL(fileURLWithPath: folder.path + "/empty"))
    expectError(.badData, "/empty", "empty") {
      _ = try TrainingText(files: [folder.path + "/empty"])
    }
    try Data([7]).write(to: URL(fileURLWithPath: folder.path + "/one"))
    expectError(.badData, "/one", "1 byte") { _ = try TrainingText(files: [folder.path + "/one"]) }
  }
}
