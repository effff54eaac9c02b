import CarouselModel
import Foundation
import Testing

@testable import CarouselFormats

@Suite struct TableTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func rows(_ text: String) throws -> [[String]] {
    let table = try TableReader(folder.write(text))
    var rows = [table.columns]
    while try table.next() { rows.append((0..<table.cellCount).map(table.text)) }
    return rows
  }

  /// The sentence of the error that `body` throws.
  private func sentence(
    _ kind: CarouselError.Kind = .badData, _ body: () throws -> Void
  ) -> String {
    do {
      try body()
      return "nothing was thrown"
    } catch let error as CarouselError {
      #expect(error.kind == kind, "\(error)")
      return error.message
    } catch {
      return "\(error)"
    }
  }

  @Test func cellsAreReadAsSpreadsheetsWriteThem() throws {
    let expected = [["a", "b"], ["1", "x, \"y\"\nz"], ["2", ""]]
    #expect(try rows("a,b\n1,\"x, \"\"y\"\"\nz\"\n2,\n") == expected)
    #expect(try rows("\u{FEFF}a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n\r\n2,\"\"") == expected)
    #expect(try rows("\n\na;\"b;c,d,e\"\r1;2,5\r") == [["a", "b;c,d,e"], ["1", "2,5"]])
    #expect(try rows("a\tb\n1\t2") == [["a", "b"], ["1", "2"]])
    #expect(try rows("a\n1\n") == [["a"], ["1"]])
  }

  @Test func theFirstRowIsNotLostWhateverItIs() throws {
    #expect(sentence { _ = try rows("1,2\n3,4") }.contains("line 1: expected a header"))
    let table = try TableReader(folder.write("1,2\n3,4"), hasHeader: false)
    #expect(table.columns == ["1", "2"])
    #expect(try table.next())
    #expect(table.text(1) == "2")
    #expect(try table.next())
    #expect(try !table.next())
  }

  @Test func aWrongTableSaysWhere() throws {
    #expect(sentence { _ = try rows("") }.contains("found an empty file"))
    #expect(
      sentence { _ = try rows("a,b\n1,2\n\"x\ny\",1\n3\n") }.contains(
        "line 5: expected 2 cells as in the first line, found 1"))
    #expect(sentence { _ = try rows("a,b\n1,\"2\n") }.contains("line 2: expected a closing quote"))
    #expect(sentence { _ = try rows("a,a\n1,2\n") }.contains("found 'a' twice"))
    let table = try TableReader(folder.write("speed,class\n1,2\n"))
    #expect(
      sentence { _ = try table.index(of: "clas", option: "--label") }.contains(
        "did you mean 'class'?"))
  }

  @Test func numbersAreTakenExactlyAndOthersAreTold() {
    for (text, value) in [
      ("1", 1.0), (" -0.1 ", -0.1), ("+12.5", 12.5), ("1e-3", 1e-3),
      ("12345678901234567e-2", 123_456_789_012_345.67),
      ("0.30000000000000004", 0.30000000000000004), (".5", 0.5), ("5.", 5),
    ] {
      #expect(NumberCell(text.utf8) == .number(value), "\(text)")
    }
    for text in ["", " ", "NaN", "na", "N/A", "null", "?"] {
      #expect(NumberCell(text.utf8) == .missing, "\(text)")
    }
    for text in ["x", "1,5", "inf", "-Infinity", "0x10", "1 2", "1e999", "-", "nan(1)"] {
      #expect(NumberCell(text.utf8) == .text, "\(text)")
    }
    #expect(NumberCell("-1,25".utf8, decimalComma: true) == .number(-1.25))
  }

  @Test func timesAreOrderedAsTheyAre() throws {
    #expect(TimeText.seconds("1970-01-02") == 86_400)
    #expect(TimeText.seconds("2024/02/29") == 1_709_164_800)
    #expect(TimeText.seconds("2000-03-01T01:00:30.5+01:00") == 951_868_830.5)
    #expect(TimeText.seconds("1969-12-31 23:59Z") == -60)
    for text in ["24-01-01", "2024-13-01", "yesterday", "2024-01-01T25:00", "2024"] {
      #expect(TimeText.seconds(text) == nil, "\(text)")
    }
  }

  @Test func stepsOfSequencesComeInTheOrderOfTime() throws {
    let path = try folder.write(
      "id,when,class,x,y\na,2024-01-02,u,3,4\nb,1,v,5,6\na,2024-01-01,u,1,2\nb,0,v,7,8\n")
    let columns = SequenceColumns(label: "class", id: "id", time: "when")
    let set = try SequenceSet(table: path, columns: columns)
    #expect(set.channels == ["x", "y"])
    #expect(set.values == [1, 2, 3, 4, 7, 8, 5, 6])
    #expect(set.starts == [0, 2, 4] && set.ids == ["a", "b"] && set.labels == ["u", "v"])
    let swapped = try SequenceSet(table: path, columns: columns, channels: ["y", "x"])
    #expect(swapped.values.prefix(2) == [2, 1])
  }

  @Test func wrongSequencesSayWhere() throws {
    let columns = SequenceColumns(label: "class", id: "id", time: "t")
    for (text, part) in [
      ("id,t,class,x\na,0,u,1\na,0,u,2\n", "line 3, column 't': expected a time of its own"),
      ("id,t,class,x\na,0,u,1\na,1,v,2\n", "line 3, column 'class': expected the class 'u'"),
      ("id,t,class,x\na,0,u,1\na,1,u,two\n", "line 3, column 'x': expected a number, found 'two'"),
      ("id,t,class,x\na,0,u,1\na,1,u,\n", "--missing zero or forward"),
      ("id,t,class,x\na,soon,u,1\n", "line 2, column 't': expected a number or a time"),
      ("id,t,class,x\n", "expected rows behind the header"),
    ] {
      let path = try folder.write(text)
      #expect(
        sentence { _ = try SequenceSet(table: path, columns: columns) }.contains(part), "\(text)")
    }
  }

  @Test func missingNumbersAreFilledAsAskedFor() throws {
    let path = try folder.write("label,1,2,3,4\nu,,2,NaN,4\nv,1,,,?\n")
    let columns = SequenceColumns(label: "label")
    func values(_ missing: MissingValues) throws -> [Float] {
      try SequenceSet(table: path, columns: columns, missing: missing).values
    }
    #expect(try values(.zero) == [0, 2, 0, 4, 1, 0, 0, 0])
    #expect(try values(.forward) == [2, 2, 2, 4, 1, 1, 1, 1])
    #expect(
      sentence { _ = try values(.error) }.contains(
        "line 2, column '1': expected a number, found none"))
  }
}
