import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

/// Sequences that stay in their file: the same numbers and words as from memory, each in one part.
@Suite struct SequenceStreamTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The forms that the lines of a file may have.
  enum Form: CaseIterable {
    case plain, carriageReturns, withoutLastEnd, emptyLines, byteOrderMark

    func text(_ lines: [String]) -> String {
      switch self {
      case .plain: lines.map { $0 + "\n" }.joined()
      case .carriageReturns: lines.map { $0 + "\r\n" }.joined()
      case .withoutLastEnd: lines.joined(separator: "\n")
      case .emptyLines: lines.map { $0 + "\n" }.joined(separator: "\n") + "\n\n"
      case .byteOrderMark: "\u{FEFF}" + lines.map { $0 + "\n" }.joined()
      }
    }
  }

  /// All sequences of a file that is cut into parts of so many bytes.
  private func all(_ records: RecordFile, cutBy size: Int) throws -> [RecordFile.Record] {
    try stride(from: records.range.lowerBound, to: records.range.upperBound, by: size).flatMap {
      try records.records(in: $0..<min($0 + size, records.range.upperBound))
    }
  }

  private func expectTheSame(
    _ path: String, _ columns: SequenceColumns = SequenceColumns(), labels: String? = nil
  ) throws {
    let whole = try SequenceSet(contentsOf: path, columns: columns, labels: labels)
    let stream = try SequenceStream(path, columns: columns, labels: labels)
    #expect(stream.channels == whole.channels)
    for size in [1, 2, 7, 33, 100, 1 << 20] {
      let set = try stream.set(all(stream.records, cutBy: size))
      #expect(set.values == whole.values && set.starts == whole.starts, "\(size)")
      #expect(set.labels == whole.labels && set.ids == whole.ids, "\(size)")
      #expect(set.hasOneScale == whole.hasOneScale)
    }
    // The first sequence behind each place is one of them, in the order of places.
    let starts = try all(stream.records, cutBy: 50).map(\.start)
    var earlier = 0
    for place in stream.records.range {
      let found = try stream.records.records(
        in: place..<stream.records.range.upperBound, most: 1)
      guard let start = found.first?.start else { continue }
      #expect(starts.contains(start) && start >= earlier)
      earlier = start
    }
    #expect(earlier == starts.last)
  }

  @Test(arguments: Form.allCases) func aSequenceARow(form: Form) throws {
    let rows = (0..<23).map { "\($0 * $0).5,\"c\($0 % 3)\",\(-$0)" }
    let path = try folder.write(form.text(["a,kind,b"] + rows))
    try expectTheSame(path, SequenceColumns(label: "kind"))
    let decimal = try folder.write(
      form.text(
        (["a,kind,b"] + rows).map { $0.replacing(",", with: ";").replacing(".", with: ",") }))
    try expectTheSame(decimal, SequenceColumns(label: "kind"))
    let bare = try folder.write(form.text(rows))
    try expectTheSame(bare, SequenceColumns(label: "2", hasHeader: false))
  }

  @Test(arguments: Form.allCases) func rowsOfAnIdAreASequence(form: Form) throws {
    let rows = (0..<9).flatMap { id in
      (0..<1 + id * 5 % 7).map { step in
        "\(step),\"an, id \(id)\",c\(id % 2),\(Double(id) + Double(step) / 8),-\(step * id)"
      }
    }
    let path = try folder.write(form.text(["t,id,label,x,y"] + rows))
    try expectTheSame(path, SequenceColumns(label: "label", id: "id", time: "t"))
  }

  @Test(arguments: [false, true]) func casesOfATimeSeriesFile(hasReturns: Bool) throws {
    let text =
      "# words\n@problemName x\n@univariate false\n@dimensions 2\n@classLabel true a b\n@data\n"
      + (0..<17).map { index in
        let values = (0...index % 5).map { "\($0 + index)" }.joined(separator: ",")
        return "\(values):\(values):\("ab".dropFirst(index % 2).prefix(1))\n"
      }.joined().replacing("7,8:", with: "7,8:") + "# an end\n\n"
    let path = try folder.write(hasReturns ? text.replacing("\n", with: "\r\n") : text, "x.ts")
    try expectTheSame(path)
    let stream = try SequenceStream(path, columns: SequenceColumns())
    #expect(stream.classes == ["a", "b"] && !stream.haveOneLength)
  }

  @Test func lengthsOfATimeSeriesFileAreThatOfItsFirstCase() throws {
    let path = try folder.write(
      "@univariate true\n@equalLength true\n@classLabel true a b\n@data\n1,2:a\n3,4:b\n5:a\n",
      "x.ts")
    let stream = try SequenceStream(path, columns: SequenceColumns())
    #expect(stream.haveOneLength)
    #expect {
      _ = try stream.set(all(stream.records, cutBy: 100))
    } throws: {
      "\($0)".contains("x.ts: line 7: expected 2 steps as '@equalLength true' says, found 1")
    }
  }

  @Test func imagesAreFoundByTheirNumber() throws {
    func write(_ head: [UInt8], _ bytes: [UInt8], _ name: String) throws -> String {
      try folder.file(name, holding: [0, 0, 8] + head + bytes)
    }
    let images = try write(
      [3, 0, 0, 0, 11, 0, 0, 0, 2, 0, 0, 0, 3], (0..<66).map { UInt8($0 * 3) }, "a-images-idx3")
    let labels = try write([1, 0, 0, 0, 11], (0..<11).map { $0 % 4 }, "a-labels-idx1")
    try expectTheSame(images, labels: labels)
    let stream = try SequenceStream(images, columns: SequenceColumns())
    #expect(stream.classes == ["0", "1", "2", "3"] && stream.haveOneLength)
    let fewer = try write([1, 0, 0, 0, 10], [UInt8](repeating: 0, count: 10), "fewer")
    #expect {
      _ = try SequenceStream(images, columns: SequenceColumns(), labels: fewer)
    } throws: {
      "\($0)".contains("expected 11 labels, one for each image")
    }
  }

  @Test(arguments: [false, true]) func wordsBetweenEmptyLines(hasReturns: Bool) throws {
    let text =
      "-DOCSTART- O\n\n"
      + (0..<15).map { sentence in
        (0...sentence % 4).map { "w\(sentence * $0) x T\($0)\n" }.joined()
          + ["\n", "\n\n", "-DOCSTART- -X- O\n"][sentence % 3]
      }.joined() + "last y T0"
    let path = try folder.write(
      (hasReturns ? "\u{FEFF}" : "")
        + (hasReturns ? text.replacing("\n", with: "\r\n") : text), "x.conll")
    let whole = try TaggedSet(columns: path)
    let stream = try TaggedStream(path, columns: SequenceColumns(), word: nil)
    for size in [1, 2, 5, 19, 64, 1 << 16] {
      let set = try stream.set(all(stream.records, cutBy: size))
      #expect(set.words == whole.words && set.tags == whole.tags, "\(size)")
    }
  }

  @Test func wordsOfAnIdAreASequence() throws {
    let rows = (0..<40).map { "s\($0 / 7),\"w,\($0)\",t\($0 % 3)\n" }
    let path = try folder.write("id,word,tag\n" + rows.joined())
    let columns = SequenceColumns(label: "tag", id: "id")
    let whole = try TaggedSet(table: path, columns: columns, word: nil)
    let stream = try TaggedStream(path, columns: columns, word: nil)
    for size in [1, 10, 77] {
      let set = try stream.set(all(stream.records, cutBy: size))
      #expect(set.words == whole.words && set.tags == whole.tags && set.ids == whole.ids)
    }
  }

  @Test func whatIsPackedIsReadWhole() throws {
    let path = try folder.write("\u{1F}\u{8B}" + String(repeating: "x", count: 100))
    #expect(try SequenceStream.canStream(path, above: 10) == true)
    try Data([0x1F, 0x8B, 8, 0] + [UInt8](repeating: 1, count: 99)).write(
      to: URL(fileURLWithPath: path))
    #expect(try !SequenceStream.canStream(path, above: 10))
    #expect(try !SequenceStream.canStream("-", above: 10))
    #expect(try !SequenceStream.canStream(folder.write("a,b\n"), above: 10))
  }
}
